"""How the package is built, measured: root modules, floors, imports that run up, circles, parameters, lines.

    python benchmarks/structure.py            # the table
    python benchmarks/structure.py --list     # and what it counts, by name

Only the sources are read; nothing of the package is imported. Kernels are files in a folder ``kernels``,
files whose name ends in ``kernels.py`` or ``simd.py``: compiled code takes raw arrays, so its functions may
have any number of parameters.
"""

from __future__ import annotations

import argparse
import ast
from collections import defaultdict
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "imcsim"
MOST_PARAMETERS = 8
"""More than so many parameters of a function are counted (see CONTRIBUTING.md)."""


@dataclass(frozen=True)
class Parameters:
    """A function and its parameters; `optional` says whether all but the first few keywords have defaults."""

    place: str
    count: int
    optional: bool


@dataclass
class Structure:
    """What `measure` found. Modules are named by their dotted name."""

    modules: dict[str, Path]
    imports: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    classes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    functions: list[Parameters] = field(default_factory=list)
    lines: int = 0
    test_lines: int = 0
    floors: list[list[str]] = field(default_factory=list)

    @property
    def root_modules(self) -> list[str]:
        """Files that lie in the package's own folder."""
        return sorted(p.name for p in (ROOT / PACKAGE).glob("*.py"))

    @property
    def root_imports(self) -> list[str]:
        """Modules that import the package itself from inside."""
        return sorted(m for m, found in self.imports.items() if PACKAGE in found and m.count(".") > 0)

    @property
    def upward(self) -> list[tuple[str, str]]:
        """Imports from a floor to a higher one or to a neighbour, those for types only included."""
        level = {name: n for n, names in enumerate(self.floors) for name in names}
        found = []
        for module, targets in self.imports.items():
            for target in targets:
                here, there = _floor(module), _floor(target)
                if here != there and here in level and there in level and level[there] <= level[here]:
                    found.append((module, target))
        return sorted(found)

    @property
    def circles(self) -> list[list[str]]:
        """Groups of files that import each other, directly or through others."""
        return [group for group in _components(self.imports) if len(group) > 1]

    @property
    def ambiguous(self) -> dict[str, list[str]]:
        """Class names that stand for more than one class."""
        return {name: places for name, places in sorted(self.classes.items()) if len(places) > 1}

    @property
    def wide(self) -> list[Parameters]:
        """Functions outside kernels with too many parameters."""
        return [f for f in self.functions if f.count > MOST_PARAMETERS]


def measure() -> Structure:
    """Read the sources of the package and say how it is built."""
    found = Structure(modules=dict(sorted(_modules())), floors=_floors())
    for module, path in found.modules.items():
        text = path.read_text(encoding="utf-8")
        found.lines += text.count("\n")
        tree = ast.parse(text)
        found.imports[module] = set(_imports(tree, found.modules)) - {module}
        kernel = path.stem.endswith(("kernels", "simd")) or path.parent.name == "kernels"
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found.classes[node.name].append(module)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not kernel:
                found.functions.append(_parameters(node, module))
    found.test_lines = sum(p.read_text(encoding="utf-8").count("\n") for p in (ROOT / "tests").rglob("*.py"))
    return found


def _modules() -> Iterator[tuple[str, Path]]:
    for path in (ROOT / PACKAGE).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _floors() -> list[list[str]]:
    contract = ConfigParser()
    contract.read(ROOT / ".importlinter", encoding="utf-8")
    lines = contract["importlinter:contract:floors"]["layers"].split("\n")
    return [[name.strip(" ()") for name in line.split("|")] for line in lines if line.strip()]


def _floor(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def _imports(tree: ast.AST, modules: dict[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                yield inside if inside in modules else node.module


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef, module: str) -> Parameters:
    arguments = node.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    own = [name for name in names if name not in ("self", "cls")]
    required = sum(default is None for default in arguments.kw_defaults)
    return Parameters(f"{module}:{node.lineno} {node.name}", len(own), optional=required == 0)


def _components(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components (Tarjan, 1972), without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    held: set[str] = set()
    groups: list[list[str]] = []
    for start in graph:
        if start in index:
            continue
        work = [(start, iter(sorted(graph[start])))]
        index[start] = low[start] = len(index)
        stack.append(start)
        held.add(start)
        while work:
            node, rest = work[-1]
            for target in rest:
                if target not in graph:
                    continue
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    held.add(target)
                    work.append((target, iter(sorted(graph[target]))))
                    break
                if target in held:
                    low[node] = min(low[node], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    group = []
                    while not group or group[-1] != node:
                        group.append(stack.pop())
                        held.discard(group[-1])
                    groups.append(sorted(group))
    return groups


def table(found: Structure) -> list[tuple[str, str]]:
    """What is measured, in words and figures."""
    return [
        ("modules at the package root", str(len(found.root_modules))),
        ("levels of imports", str(len(found.floors))),
        ("imports that run upwards", str(len(found.upward))),
        ("imports of the package root from inside", str(len(found.root_imports))),
        ("circles of files", str(len(found.circles))),
        ("class names with two or more meanings", str(len(found.ambiguous))),
        (f"functions with more than {MOST_PARAMETERS} parameters", str(len(found.wide))),
        ("of these, with keywords that are not all optional", str(sum(not f.optional for f in found.wide))),
        ("files of the package", str(len(found.modules))),
        ("lines of the package", f"{found.lines:,}"),
        ("lines of tests", f"{found.test_lines:,}"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="also what is counted, by name")
    listed = parser.parse_args().list
    found = measure()
    for what, figure in table(found):
        print(f"{what:52}{figure:>9}")
    if not listed:
        return
    for title, rows in (
        ("root", found.root_modules),
        ("upwards", [f"{a} -> {b}" for a, b in found.upward]),
        ("package root imported by", found.root_imports),
        ("circles", [" <-> ".join(group) for group in found.circles]),
        ("class names", [f"{name}: {', '.join(places)}" for name, places in found.ambiguous.items()]),
        ("parameters", [f"{f.count} {f.place}" for f in sorted(found.wide, key=lambda f: -f.count)]),
    ):
        print(f"\n{title}")
        for row in rows:
            print(f"  {row}")


if __name__ == "__main__":
    main()
