"""Each line of the table of docs/verdicts.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.reward import verdict

PAGE = Path(__file__).parents[2] / "docs" / "verdicts.md"


def documented_verdicts() -> list[tuple[str, str, str]]:
    """(truth, right, wrong) of every line of the table."""
    table = PAGE.read_text(encoding="utf-8").split("<!-- verdicts")[1].split("<!-- end of verdicts")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")][1:]
    return [(truth, right, wrong) for _, truth, right, wrong in map(_cells, lines)]


def _cells(line: str) -> list[str]:
    return [cell.strip(" `") for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize(("truth", "right", "wrong"), documented_verdicts())
def test_a_documented_verdict_is_given(truth: str, right: str, wrong: str) -> None:
    ground_truth = {"task": "math", "target": truth}
    for answer, outcome in ((truth, "correct"), (right, "correct"), (wrong, "wrong")):
        assert verdict("What is it?", boxed(answer), ground_truth).outcome == outcome, answer
