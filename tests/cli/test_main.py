"""The command as a whole: usage, exit codes, and errors that are one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtgrpo_env import __version__
from mtgrpo_env.cli import main
from mtgrpo_env.cli.command_lines import joined
from mtgrpo_env.experiments import benchmark_agents

RunCommand = Callable[..., Any]
StartProcess = Callable[[Sequence[object]], subprocess.Popen[str]]

COMMANDS = ("train", "compare", "evaluate", "tasks", "check", "score", "report", "diagnose", "export")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_the_commands_on_standard_output(command: RunCommand, flag: str) -> None:
    result = command(flag)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith("usage: mtgrpo COMMAND")
    assert all(f"\n  {name} " in result.out for name in COMMANDS)


@pytest.mark.parametrize("arguments", [[], ["trian"], ["--json", "evaluate"]])
def test_without_a_command_usage_goes_to_standard_error_and_the_exit_code_is_two(
    command: RunCommand, arguments: list[str]
) -> None:
    result = command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "usage: mtgrpo COMMAND" in result.err
    assert all(f"\n  {name} " in result.err for name in COMMANDS)


def test_an_unknown_command_is_named(command: RunCommand) -> None:
    assert command("trian").err.startswith(
        "mtgrpo: there is no command 'trian'; did you mean 'train'?\nusage: mtgrpo COMMAND"
    )


def test_the_version_is_printed(command: RunCommand) -> None:
    result = command("--version")
    assert (result.code, result.out, result.err) == (0, f"mtgrpo {__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_its_options(command: RunCommand, name: str) -> None:
    result = command(name, "--help")
    assert result.code == 0
    assert f"usage: mtgrpo {name}" in result.out
    assert "--" in result.out


@pytest.mark.parametrize(
    "arguments", [["evaluate"], ["evaluate", "--agent", "oracle", "--problems", "many"], ["score", "--rwos", "x"]]
)
def test_options_that_are_missing_wrong_or_unknown_are_refused(command: RunCommand, arguments: list[str]) -> None:
    result = command(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


def test_a_package_that_is_not_installed_is_named_with_its_cure(
    refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tyro", None)
    line = refused("tasks")
    assert "tyro" in line
    assert line.endswith("needs tyro: pip install '.[cli]' in the checkout")


def test_an_interrupt_ends_a_command_with_one_line(command: RunCommand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_agents, "evaluate_answers", lambda *_, **__: signal.raise_signal(signal.SIGINT))
    result = command("evaluate", "--agent", "oracle", "--problems", "3")
    assert (result.code, result.out, result.err) == (130, "", "mtgrpo evaluate: interrupted\n")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("train", "divides them (the sequential ones)"),
        ("compare", "it is chosen on --seeds themselves"),
    ],
)
def test_the_help_of_an_option_is_a_paragraph_however_its_source_is_broken(
    command: RunCommand, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.setenv("COLUMNS", "100")  # so that lines end elsewhere than in the source
    assert sentence in command(name, "--help").out


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["check", "--tasks", "arc-mini"]])
def test_where_the_reader_of_the_output_is_gone_a_command_ends_quietly(
    start_process: StartProcess, arguments: list[str]
) -> None:
    process = start_process(arguments)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 141


def test_a_pipe_that_breaks_elsewhere_is_an_error_as_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> int:
        raise BrokenPipeError(32, "a worker is gone")

    monkeypatch.setattr("mtgrpo_env.cli._run", broken)
    with Path(os.devnull).open("w") as out, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        with pytest.raises(BrokenPipeError, match="a worker is gone"):
            main(["tasks"])


def test_the_module_is_the_command_and_passes_its_exit_code_on(start_process: StartProcess) -> None:
    process = start_process(["nonsense"])
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("mtgrpo: there is no command 'nonsense'\nusage: mtgrpo COMMAND")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--reward", "a=b", "--out", "x", "--reward=c=d"], ["--reward", "a=b", "c=d", "--out", "x"]),
        (["runs/a", "runs/b", "--out", "x"], ["runs/a", "runs/b", "--out", "x"]),
        (["--rows", "a", "b", "--json", "--rows", "c"], ["--rows", "a", "b", "c", "--json"]),
        (["--lr", "1", "--lr", "2"], ["--lr", "1", "--lr", "2"]),
    ],
)
def test_a_list_that_is_given_twice_is_one(given: list[str], expected: list[str]) -> None:
    assert joined(given) == expected


@pytest.mark.parametrize("exit_", [SystemExit(), SystemExit(0), GeneratorExit()], ids=repr)
def test_code_that_a_command_runs_cannot_end_it_as_if_all_were_well(
    monkeypatch: pytest.MonkeyPatch, exit_: BaseException
) -> None:
    def leave(config: object) -> int:
        raise exit_

    monkeypatch.setattr("mtgrpo_env.cli.tasks.run", leave)
    with pytest.raises(RuntimeError, match="ended the process"):
        main(["tasks"])
