"""The files that a benchmark reads and writes: no two of them may be one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mtgrpo_env.experiments.benchmark_result import report_files
from mtgrpo_env.files import resolved


def refuse_shared_files(
    suites: Any, *, save: Path | str | None, out: Path | str | None, cache: Path | str, baselines: Iterable[Path | str]
) -> None:
    """Make sure that nothing which is written would replace something else that is read or written.

    Raises:
        ValueError: naming the option and what it would replace.
        OSError: naming a path that can be none.
    """
    rows, report, kept = _files(suites), set[Path](), resolved(Path(cache))
    if out is not None:
        report = {resolved(file) for file in report_files(out)}
        _refuse("out", out, report, rows, "another folder than that of the rows that are played")
        _refuse("cache", cache, {kept}, report | _above(resolved(Path(out))), "another file than those of the report")
    if save is None:
        return
    saved = {resolved(Path(save))}
    read = {resolved(file) for one in map(Path, baselines) for file in (one, *report_files(one)[:1])}
    folders = {folder for file in [*report, kept] for folder in _above(file.parent)}
    _refuse("save", save, saved, rows, "another file than the rows that are played")
    _refuse("save", save, saved, {kept}, "another file than that in which responses are kept (cache)")
    _refuse("save", save, saved, report, "another file than those of the report (out)")
    _refuse("save", save, saved, read, "another file than the baseline")
    _refuse("save", save, saved, folders, "another name than that of a folder of the report (out) or the cache")


def _refuse(option: str, given: Path | str, files: set[Path], others: set[Path], expected: str) -> None:
    if files & others:
        raise ValueError(f"{option} must be {expected}, got {given}")


def _above(folder: Path) -> set[Path]:
    return {folder, *folder.parents}


def _files(suites: Any) -> set[Path]:
    """The files among suites, and in the folders among them."""
    many = suites.values() if isinstance(suites, Mapping) else suites if isinstance(suites, list | tuple) else [suites]
    named = [Path(one) for one in many if isinstance(one, str | Path)]
    inside = [file for one in named if os.path.isdir(one) for file in one.iterdir()]
    return {resolved(file) for file in [*named, *inside]}
