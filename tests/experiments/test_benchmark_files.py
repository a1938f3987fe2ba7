"""No file that a benchmark writes takes the place of another that it reads or writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env.experiments.agent_options import EndpointOptions
from mtgrpo_env.experiments.benchmark import benchmark
from mtgrpo_env.experiments.benchmark_files import refuse_shared_files


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"save": "c.sqlite"}, "save must be another file than that in which responses are kept"),
        ({"save": "link"}, "save must be another file than that in which responses are kept"),
        ({"out": "d", "save": "d/benchmark.json"}, "save must be another file than those of the report"),
        ({"out": "d", "save": "d/../d/benchmark.png"}, "save must be another file than those of the report"),
        ({"out": "d/e", "save": "d"}, "save must be another name than that of a folder"),
        ({"out": ".", "cache": "benchmark.md"}, "cache must be another file than those of the report"),
        ({"save": "rows/benchmark.json"}, "save must be another file than the rows"),
        ({"out": "rows"}, "out must be another folder than that of the rows"),
        ({"save": "old/benchmark.json"}, "save must be another file than the baseline"),
    ],
)
def test_one_file_is_not_two_things(
    options: dict[str, Any], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows").mkdir()
    Path("rows/benchmark.json").write_text("{}")
    Path("link").symlink_to("c.sqlite")
    with pytest.raises(ValueError, match=complaint):
        refuse_shared_files("rows", **{"cache": "c.sqlite", "baselines": ["old"], "save": None, "out": None} | options)


@pytest.mark.parametrize("option", ["save", "out", "cache"])
@pytest.mark.parametrize("name", ["a\0b", "circle"])
def test_a_path_that_can_be_none_is_refused_before_anything_is_played(
    option: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("circle").symlink_to("circle")
    given: dict[str, Any] = {"endpoint": EndpointOptions(cache=Path(name))} if option == "cache" else {option: name}
    with pytest.raises(OSError, match="expected a path that"):
        benchmark("oracle", "zebra-mini", problems=1, **given)


def test_files_that_differ_are_no_fault(tmp_path: Path) -> None:
    suite = ",".join(["zebra-mini"] * 40)  # longer than the name of a file
    names = {"save": tmp_path / "s.jsonl", "out": tmp_path / "d", "cache": tmp_path / "d/c.sqlite"}
    refuse_shared_files([suite, tmp_path / "rows"], **names, baselines=[tmp_path / "d"])
