"""The command behind docs/five_figures.md, at its smallest."""

import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_the_command_draws_the_figures_of_the_page_and_prints_its_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    page = (ROOT / "docs" / "five_figures.md").read_text("utf-8")
    monkeypatch.setattr(sys, "argv", ["five_figures.py", "--seeds", "0", "1", "--steps", "4", "--out", str(tmp_path)])
    runpy.run_path(str(ROOT / "benchmarks" / "five_figures.py"), run_name="__main__")
    assert {path.name for path in tmp_path.glob("*.png")} == set(re.findall(r"images/(\w+\.png)", page))
    printed, shown = [
        [line for line in text.splitlines() if line.startswith("|")] for text in (capsys.readouterr().out, page)
    ]
    assert printed[0] == shown[0]
    assert [row.split("|")[1] for row in printed] == [row.split("|")[1] for row in shown]
