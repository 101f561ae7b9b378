(() => {
  const box = document.querySelector('[data-part="thresholds"]');
  const { unpacked, save } = window.imcsimPage;
  const held = box.querySelector("script[data-held]");

  const start = async () => {
    const { outcomes, thresholds, rows, z } = JSON.parse(await unpacked(held));
    const { images, timesteps, scale, registers, words, right, energy_pj: energy, latency_ns: latency } = outcomes;
    const early = timesteps - 1;
    // As in Python: a half goes to the even one.
    const rounded = (x) => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x));
    const largest = rounded(scale);

    // --- the figures at some words of the registers
    const figures = (register) => {
      const exits = new Array(timesteps).fill(0);
      let [correct, energies, latencies, products] = [0, 0, 0, 0];
      for (let n = 0; n < images; n += 1) {
        let t = 0;
        while (t < early && words[t][n] > register[t]) t += 1;
        const delay = latency[t][latency[t].length === 1 ? 0 : n];
        exits[t] += 1;
        if (right[t][n] === "1") correct += 1;
        energies += energy[t][n];
        latencies += delay;
        products += energy[t][n] * delay;
      }
      const p = correct / images;
      const centre = p + (z * z) / (2 * images);
      const spread = z * Math.sqrt((p * (1 - p)) / images + (z * z) / (4 * images * images));
      const whole = 1 + (z * z) / images;
      const mean = (sum) => sum / images;
      return {
        accuracy: p,
        accuracy_low: Math.max(0, Math.min(p, (centre - spread) / whole)),
        accuracy_high: Math.min(1, Math.max(p, (centre + spread) / whole)),
        mean_timesteps: mean(exits.reduce((sum, count, t) => sum + count * (t + 1), 0)),
        energy_pj: mean(energies),
        latency_ns: mean(latencies),
        edp_mean_of_products: mean(products),
        edp_product_of_means: mean(energies) * mean(latencies),
        exits: exits.map(mean),
      };
    };

    // --- as the tables of the page write them
    const number = (value) => {
      if (value === 0) return "0";
      const decimals = Math.max(0, 3 - Math.floor(Math.log10(Math.abs(value))));
      const [before, after] = value.toFixed(decimals).split(".");
      const grouped = before.replace(/\B(?=(\d{3})+$)/g, ",");
      return after === undefined ? grouped : `${grouped}.${after}`;
    };
    const percent = (share) => (100 * share).toFixed(1);
    const signed = (value) => {
      const text = value.toFixed(1);
      return Number(text) === 0 ? "0.0" : (value > 0 ? "+" : "") + text;
    };
    const write = (found) => {
      for (const row of rows) {
        const line = box.querySelector(`tr[data-figure="${row.key}"]`);
        const [here, change] = [line.querySelector("[data-here]"), line.querySelector("[data-change]")];
        const value = found[row.key];
        here.dataset.value = value;
        if (row.key === "accuracy") {
          [here.dataset.low, here.dataset.high] = [found.accuracy_low, found.accuracy_high];
          here.textContent = `${percent(value)} [${percent(found.accuracy_low)}, ${percent(found.accuracy_high)}]`;
          change.textContent = `${signed(100 * (value - row.static))} points`;
        } else {
          here.textContent = row.key === "mean_timesteps" ? value.toFixed(3) : number(value / row.per_base);
          change.textContent = row.static ? `${signed(100 * (value / row.static - 1))}\u00a0%` : "";
        }
      }
      box.querySelectorAll(".leaves li").forEach((one, t) => {
        one.dataset.value = found.exits[t];
        one.querySelector(".share").textContent = percent(found.exits[t]);
        one.querySelector(".fill").style.height = `${(100 * found.exits[t]).toFixed(2)}%`;
      });
    };

    // --- the sliders: each step lets one more image go
    const steps = (lists, kept) => {
      const found = new Set([0, ...kept]);
      for (const list of lists) for (const word of list) if (word <= largest) found.add(word);
      return [...found].sort((a, b) => a - b);
    };
    const together = box.querySelector('[type="checkbox"]');
    const state = [...registers];
    const knobs = [...box.querySelectorAll(".knob")].map((knob) => {
      const at = knob.dataset.knob === "all" ? null : Number(knob.dataset.knob) - 1;
      const own = at === null ? steps(words, registers) : steps([words[at]], [registers[at]]);
      const [range, typed] = knob.querySelectorAll("input");
      range.max = own.length - 1;
      const set = (word) => {
        if (at === null) state.fill(word); else state[at] = word;
        update(typed);
      };
      range.addEventListener("input", () => { set(own[Number(range.value)]); show(); });
      typed.addEventListener("input", () => {
        const value = Number(typed.value);
        if (typed.value !== "" && value >= 0 && value <= 1) set(rounded(value * scale));
      });
      const show = () => {
        const word = state[at ?? 0];
        // The largest step that is not above the word: the same images go.
        let [low, high] = [0, own.length - 1];
        while (low < high) {
          const middle = (low + high + 1) >> 1;
          if (own[middle] <= word) low = middle; else high = middle - 1;
        }
        range.value = low;
        const stated = word === registers[at ?? 0] ? thresholds[at ?? 0] : Math.min(1, word / scale);
        const text = String(Number(stated.toPrecision(6)));
        range.setAttribute("aria-valuetext", text);
        if (document.activeElement !== typed) typed.value = text;
      };
      return { knob, at, show };
    });
    const update = () => {
      for (const one of knobs) one.show();
      write(figures(state));
    };
    const several = (each) => {
      if (together) together.checked = each;
      for (const { knob, at } of knobs) knob.hidden = (at !== null) !== each;
    };
    if (together) {
      together.addEventListener("change", () => {
        several(together.checked);
        if (!together.checked) state.fill(state[0]);
        update();
      });
    }
    const differ = registers.some((word) => word !== registers[0]);
    box.querySelector('[data-do="chosen"]').addEventListener("click", () => {
      registers.forEach((word, t) => { state[t] = word; });
      several(differ && together !== null);
      update();
    });
    box.querySelector('[data-do="csv"]').addEventListener("click", () => {
      const at = [...Array(timesteps).keys()];
      const name = (what, t) => `${what}_${t + 1}`;
      const titles = [
        "image", ...at.slice(0, -1).map((t) => name("word", t)), ...at.map((t) => name("right", t)),
        ...at.map((t) => name("energy_pj", t)), ...at.map((t) => name("latency_ns", t)),
      ];
      const lines = Array.from({ length: images }, (_, n) => [
        n, ...words.map((list) => list[n]), ...right.map((list) => list[n]), ...energy.map((list) => list[n]),
        ...latency.map((list) => list[list.length === 1 ? 0 : n]),
      ].join(","));
      save("images.csv", new Blob([[titles.join(","), ...lines].join("\n") + "\n"], { type: "text/csv" }));
    });
    box.querySelector(".leaves").classList.toggle("many", timesteps > 16);
    several(differ && together !== null);
    update();
    box.querySelector("form").hidden = false;
  };
  start();
})();
