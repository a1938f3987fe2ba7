"""Draw the packages of this project and the imports between them, as they are in the code.

    python docs/package_map.py docs/images/package_map.png

A box is a package, with its modules; an arrow leads from what imports to what is imported. Packages stand above all that
they import; an arrow that others imply, as from the top to the core, is left out.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "mtgrpo_env"
ROOMS = {  # a box each: what it is for, and where its modules are; the longest name that fits a module decides
    "core": ("problems, samplers, weights, curriculum, envs of any tasks", [PACKAGE]),
    "envs": ("tasks, their generators and verifiers, rows", ["envs"]),
    "agents: parts": ("protocols, signals, ranks, a table that learns", ["agents"]),
    "agents.recipes": ("methods by name", ["agents.recipes"]),
    "agents.mtgrpo": ("the agent", ["agents.mtgrpo", "agents.policies"]),
    "agents.neural": ("losses, a small network", ["agents.neural"]),
    "agents.llm": ("language models and their engines", ["agents.llm"]),
    "agents.config": ("options of a run, its folder", ["agents.config", "agents.run_folder"]),
    "agents.trainer": (
        "a run of a language model",
        ["agents.trainer", "agents.callbacks", "agents.display", "agents.stop_request"],
    ),
    "agents.endpoints": ("models behind an endpoint", ["agents.endpoints"]),
    "agents.integrations.trl": ("inside TRL's trainer", ["agents.integrations"]),
    "agents.reports": ("history, tables, figures, pages", ["agents.reports"]),
    "experiments": ("comparing methods, benchmarking agents", ["experiments"]),
    "cli": ("one thin file a command", ["cli", "__main__"]),
}


def modules() -> dict[str, Path]:
    """Every module by its dotted name."""
    found: dict[str, Path] = {}
    for folder, prefix in (
        (ROOT / PACKAGE, PACKAGE),
        (ROOT / "envs", f"{PACKAGE}.envs"),
        (ROOT / "agents", f"{PACKAGE}.agents"),
    ):
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if folder.name == PACKAGE and parts[0] in ("envs", "agents"):
                continue  # links to the folders at the top
            found[".".join((prefix, *(part for part in parts if part != "__init__")))] = path
    return found


def room_of(module: str) -> str:
    """The box that a module is in."""
    inside = module.removeprefix(f"{PACKAGE}.")
    fits = {
        prefix: room
        for room, (_, prefixes) in ROOMS.items()
        for prefix in prefixes
        if f"{inside}.".startswith(f"{prefix}.")
    }
    return fits[max(fits, key=len)] if fits else "core"


def imports_between_rooms(found: Mapping[str, Path]) -> Counter[tuple[str, str]]:
    """How often modules of one box import from another; what is imported for types alone does not count."""
    arrows: Counter[tuple[str, str]] = Counter()
    for module, path in found.items():
        for node in _nodes_that_run(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE):
                ends = room_of(module), room_of(node.module)
                arrows[ends] += ends[0] != ends[1]
    return +arrows


def _nodes_that_run(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        nodes += [child, *_nodes_that_run(child)]
    return nodes


def levels(rooms: list[str], arrows: Counter[tuple[str, str]]) -> dict[str, int]:
    """A box stands one level above the highest that it imports.

    Raises:
        ValueError: if imports go round in a circle.
    """
    level: dict[str, int] = {}
    while len(level) < len(rooms):
        ready = [r for r in rooms if r not in level and all(b in level for a, b in arrows if a == r)]
        if not ready:
            raise ValueError(f"imports go round in a circle among {sorted(set(rooms) - set(level))}")
        level |= {room: 1 + max((level[b] for a, b in arrows if a == room), default=-1) for room in ready}
    return level


def without_implied(arrows: Counter[tuple[str, str]]) -> set[tuple[str, str]]:
    """The arrows that no longer way leads along."""
    below: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in below:
            direct = {lower for upper, lower in arrows if upper == room}
            below[room] = direct.union(*map(reached, direct))
        return below[room]

    return {(a, b) for a, b in arrows if not any(b in reached(c) for upper, c in arrows if upper == a)}


def draw(file: Path) -> None:
    """Boxes from the bottom up, arrows downwards."""
    found = modules()
    arrows = imports_between_rooms(found)
    rooms = [room for room in ROOMS if any(room_of(module) == room for module in found)]
    level = levels(rooms, arrows)
    figure = Figure(figsize=(11, 1.5 * (max(level.values()) + 1)), layout="constrained")
    axes = figure.subplots()
    places: dict[str, tuple[float, float]] = {}
    for height in range(max(level.values()) + 1):
        row = [room for room in rooms if level[room] == height]
        places |= {room: ((i + 0.5) / len(row), float(height)) for i, room in enumerate(row)}
    for upper, lower in without_implied(arrows):
        (x0, y0), (x1, y1) = places[upper], places[lower]
        axes.annotate("", (x1, y1 + 0.2), (x0, y0 - 0.2), arrowprops={"arrowstyle": "->", "color": "0.45"})
    for room, place in places.items():
        own = sum(room_of(module) == room for module in found)
        text = f"{room}\n{fill(ROOMS[room][0], 26)}\n{own} modules"
        box = {"boxstyle": "round,pad=0.5", "facecolor": ("tab:purple", 0.1)}
        axes.text(*place, text, ha="center", va="center", fontsize=9, bbox={**box, "edgecolor": "0.3"}, zorder=3)
    axes.set(xlim=(0, 1), ylim=(-0.5, max(level.values()) + 0.5))
    axes.axis("off")
    figure.savefig(file, dpi=80)


if __name__ == "__main__":
    draw(Path(sys.argv[1] if len(sys.argv) > 1 else "package_map.png"))
