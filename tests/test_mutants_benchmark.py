"""Mutants of a module: each a change of one thing, that reaches whoever has imported a function or a number."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
SOURCE = '''"""Of a shop."""

LIMIT = 3


def dear(price: int, *, least: int = 5) -> bool:
    """Not cheap, and few."""
    return price >= least and price < 10 * LIMIT
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    (tmp_path / "shop.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("shop")
    for name in ("shop", "mutant_operators", "mutant_transplant"):
        sys.modules.pop(name, None)


def test_each_mutant_changes_one_thing(shop: ModuleType) -> None:
    operators = importlib.import_module("mutant_operators")
    changes = [mutant.name for mutant in operators.mutants(SOURCE, str(shop.__file__))]
    assert changes == [
        "(module): 3 → 4",
        "(module): 3 → 2",
        "dear: 5 → 6",
        "dear: 5 → 4",
        "dear: return price >= least and price < 10 * LIMIT → return None",
        "dear: price >= least and price < 10 * LIMIT → price >= least or price < 10 * LIMIT",
        "dear: price >= least → price > least",
        "dear: price >= least → price < least",
        "dear: price < 10 * LIMIT → price <= 10 * LIMIT",
        "dear: price < 10 * LIMIT → price >= 10 * LIMIT",
        "dear: 10 * LIMIT → 10 / LIMIT",
        "dear: 10 → 11",
        "dear: 10 → 9",
    ]


@pytest.mark.parametrize(
    ("change", "price", "is_dear"),
    [
        ("(module): 3 → 2", 25, False),
        ("dear: 5 → 4", 4, True),
        ("dear: price >= least → price > least", 5, False),
        ("dear: price < 10 * LIMIT → price <= 10 * LIMIT", 30, True),
    ],
)
def test_a_mutant_reaches_a_function_that_was_imported_before(
    shop: ModuleType, change: str, price: int, is_dear: bool
) -> None:
    operators, places = (importlib.import_module(f"mutant_{name}") for name in ("operators", "transplant"))
    imported, file = shop.dear, str(shop.__file__)
    assert imported(price) is not is_dear
    mutant = next(mutant for mutant in operators.mutants(SOURCE, file) if mutant.name == change)
    if mutant.data is None:
        places.replace_bodies(places.functions_of(file), mutant.code)
    else:
        places.replace_data(shop, mutant.code, mutant.data)
    assert imported(price) is is_dear
