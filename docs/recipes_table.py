"""The table of methods in `fidelity.md`, made from the dict that the command line reads.

python docs/recipes_table.py    # prints it; the tests compare it with the page
"""

from __future__ import annotations

from functools import partial

from mtgrpo_env.agents.recipes import RECIPES, Recipe, options_of


def table() -> str:
    """A row for each recipe: its name, what it is, the options it takes."""
    rows = [f"| `{name}` | {summary_of(recipe)} | {shown_options(recipe)} |" for name, recipe in RECIPES.items()]
    return "\n".join(["| method | what it is | options |", "|---|---|---|", *rows])


def summary_of(recipe: Recipe) -> str:
    """The first line of its docstring."""
    function = recipe.func if isinstance(recipe, partial) else recipe
    return (function.__doc__ or "").strip().splitlines()[0]


def shown_options(recipe: Recipe) -> str:
    """As the command line has them."""
    return ", ".join(f"`--{name.replace('_', '-')}`" for name in sorted(options_of(recipe)))


if __name__ == "__main__":
    print(table())
