"""Terminals and pipes that are not UTF-8: what they cannot show is replaced, and files are in UTF-8 all the same."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from training_runs import train

from mtgrpo_env.cli import main

COMMANDS = ("train", "compare", "report", "evaluate", "tasks", "check", "score", "export")
PLAIN = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}  # a machine whose locale is ASCII


def output(monkeypatch: pytest.MonkeyPatch, encoding: str, errors: str, *arguments: object) -> tuple[int, str]:
    """Code and standard output of a command, on a stream of this encoding."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    stream.flush()
    return code, stream.buffer.getvalue().decode(encoding)  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_is_ascii_and_so_printed_in_every_encoding(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    code, text = output(monkeypatch, "ascii", "strict", name, "--help")
    assert code == 0
    assert f"usage: mtgrpo {name}" in text
    assert "?" not in text.replace("...?", ""), "a help needs no character beyond ASCII"


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_what_the_stream_lacks_is_replaced(monkeypatch: pytest.MonkeyPatch, errors: str) -> None:
    line = ("evaluate", "--agent", "random", "--suite", "arc-mini", "--problems", 3)
    code, text = output(monkeypatch, "ascii", errors, *line)
    assert code == 0
    assert "arc-mini" in text
    assert "?" in text, "the table marks chance by a sign that ASCII lacks"


def test_a_choice_of_ones_own_for_such_characters_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    line = ("evaluate", "--agent", "random", "--suite", "arc-mini", "--problems", 3)
    _, text = output(monkeypatch, "ascii", "backslashreplace", *line)
    assert "\\u2248" in text


def run(environment: Mapping[str, str], *arguments: object) -> subprocess.CompletedProcess[bytes]:
    line = [sys.executable, "-m", "mtgrpo_env", *map(str, arguments)]
    return subprocess.run(line, env={**environment, **PLAIN}, capture_output=True, check=False)


def test_in_an_ascii_locale_a_run_and_a_report_are_written_in_utf8(
    environment: dict[str, str], model_folder: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "¿Cuánto es 1+2?", "answer": "3"}\n' * 12, encoding="utf-8")
    for line in (
        train(tmp_path / "run", model_folder, "--steps", 1),
        ("evaluate", "--agent", "oracle", "--rows", rows, "--reward", "number", "--out", tmp_path / "report"),
    ):
        done = run(environment, *line)
        assert done.returncode == 0, (line[0], done.stderr.decode("utf-8", "replace")[-2000:])
    for file in [path for path in tmp_path.rglob("*") if path.suffix in (".md", ".json", ".jsonl", ".yaml")]:
        file.read_text(encoding="utf-8")
