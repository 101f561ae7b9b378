"use strict";
(() => {
  // --- light and dark
  const root = document.documentElement;
  const group = document.querySelector(".switch");
  const themes = [...group.querySelectorAll("button")];
  const remember = (value) => { try { localStorage.setItem("imcsim-theme", value); } catch { /* no storage */ } };
  const remembered = () => { try { return localStorage.getItem("imcsim-theme"); } catch { return null; } };
  const choose = (theme) => {
    if (theme === "auto") delete root.dataset.theme; else root.dataset.theme = theme;
    for (const button of themes) button.setAttribute("aria-pressed", String(button.dataset.theme === theme));
  };
  for (const button of themes) {
    button.addEventListener("click", () => { choose(button.dataset.theme); remember(button.dataset.theme); });
  }
  const before = remembered();
  if (themes.some((button) => button.dataset.theme === before)) choose(before);
  group.hidden = false;

  // --- downloads
  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const unpacked = (element) => {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), (c) => c.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };
  window.imcsimPage = { unpacked, save }; // for parts with scripts of their own
  for (const link of document.querySelectorAll("a[data-packed]")) {
    const held = document.querySelector(`script[data-name="${link.dataset.packed}"]`);
    if (!held) continue; // too large for the page: the link leads to the file beside it
    link.addEventListener("click", async (event) => {
      event.preventDefault();
      save(link.download, new Blob([await unpacked(held)], { type: link.type }));
    });
  }

  // --- tables
  const PAGE = 100;
  const numberOf = (text) => (text === "" ? NaN : Number(text.replaceAll(",", "")));
  const words = (text) => text.toLowerCase().match(/\S+/g) || [];
  const compare = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  };
  const collator = new Intl.Collator("en", { numeric: true });

  // A word of the filter as a test of a row: `key<3`, `key=text`, or text in any cell.
  const test = (word, columns) => {
    const found = word.match(/^(.+?)(<=|>=|!=|=|<|>|:)(.*)$/);
    const column = found ? columns.findIndex((one) => one.key.toLowerCase() === found[1]) : -1;
    if (column < 0) return (row) => row.some((cell) => cell.toLowerCase().includes(word));
    const [, , sign, wanted] = found;
    if (sign in compare) return (row) => compare[sign](numberOf(row[column]), numberOf(wanted));
    if (sign === ":") return (row) => row[column].toLowerCase().includes(wanted);
    const value = numberOf(wanted);
    const same = (cell) =>
      columns[column].number && !Number.isNaN(value) ? numberOf(cell) === value : cell.toLowerCase() === wanted;
    return (row) => same(row[column]) === (sign === "=");
  };

  const start = async (box) => {
    const held = box.querySelector("script[data-rows]");
    const rows = JSON.parse(held.type.endsWith("gzip") ? await unpacked(held) : held.textContent);
    const heads = [...box.querySelectorAll("th")];
    const columns = heads.map((th) => ({ key: th.dataset.key, number: th.classList.contains("number") }));
    const body = box.querySelector("tbody");
    const input = box.querySelector("input");
    const output = box.querySelector("output");
    const pages = box.querySelector(".pages");
    const [back, on] = pages.querySelectorAll("button");
    let shown = rows;
    let page = 0;
    let sorted = { column: -1, down: false };

    const draw = () => {
      const last = Math.max(0, Math.ceil(shown.length / PAGE) - 1);
      page = Math.min(page, last);
      body.replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map((row) => {
        const tr = document.createElement("tr");
        row.forEach((cell, k) => {
          const td = tr.insertCell();
          td.textContent = cell;
          if (columns[k].number) td.className = "number";
        });
        return tr;
      }));
      output.textContent = shown.length === rows.length ? `${rows.length} rows` : `${shown.length} of ${rows.length} rows`;
      pages.hidden = last === 0;
      pages.querySelector("span").textContent = `page ${page + 1} of ${last + 1}`;
      back.disabled = page === 0;
      on.disabled = page === last;
    };
    const update = () => {
      const tests = words(input.value).map((word) => test(word, columns));
      shown = rows.filter((row) => tests.every((one) => one(row)));
      const { column, down } = sorted;
      if (column >= 0) {
        const sign = down ? -1 : 1;
        const keys = new Map(shown.map((row) => [row, columns[column].number ? numberOf(row[column]) : row[column]]));
        const empty = (key) => key === "" || Number.isNaN(key);
        shown.sort((a, b) => {
          const [x, y] = [keys.get(a), keys.get(b)];
          if (empty(x) || empty(y)) return empty(x) - empty(y); // what is missing stands last, either way
          return sign * (columns[column].number ? x - y : collator.compare(x, y));
        });
      }
      draw();
    };
    heads.forEach((th, column) => {
      const button = th.querySelector("button");
      button.disabled = false;
      th.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        sorted = { column, down: sorted.column === column && !sorted.down };
        heads.forEach((one) => one.setAttribute("aria-sort", "none"));
        th.setAttribute("aria-sort", sorted.down ? "descending" : "ascending");
        page = 0;
        update();
      });
    });
    let waiting = 0;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { page = 0; update(); }, rows.length > 2000 ? 150 : 0);
    });
    back.addEventListener("click", () => { page -= 1; draw(); });
    on.addEventListener("click", () => { page += 1; draw(); });
    const quoted = (cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    box.querySelector('[data-do="csv"]').addEventListener("click", () => {
      const titles = heads.map((th) => [th.dataset.key, th.querySelector("small")?.textContent].filter(Boolean).join(" "));
      const lines = [titles, ...shown].map((row) =>
        row.map((cell, k) => quoted(columns[k].number ? cell.replaceAll(",", "") : cell)).join(","));
      save(`${box.dataset.table}.csv`, new Blob([lines.join("\n") + "\n"], { type: "text/csv;charset=utf-8" }));
    });
    box.querySelector(".tools").hidden = false;
    box.querySelector(".help").hidden = false;
    update();
  };
  document.querySelectorAll("[data-table]").forEach(start);
})();
