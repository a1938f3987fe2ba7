"""The `mtgrpo` command and its subcommands, a module each."""

from __future__ import annotations

import importlib
import io
import logging
import os
import select
import shlex
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from mtgrpo_env import __version__
from mtgrpo_env.cli.command_lines import joined
from mtgrpo_env.extras import imports_for
from mtgrpo_env.named_objects import did_you_mean
from mtgrpo_env.ranges import check_ranges
from mtgrpo_env.redaction import shown
from mtgrpo_env.row_options import MissingOptions
from mtgrpo_env.signals import CommandSignals
from mtgrpo_env.task import TaskError

_COMMANDS = {
    "train": "post-train a language model on several tasks by MT-GRPO; continues a run that was stopped",
    "compare": "methods and seeds side by side, at equal steps, rollouts and seconds",
    "diagnose": "what is wrong with a run, with what to change",
    "report": "one page of a run, of several, or of a comparison",
    "evaluate": "agents side by side on suites of tasks or on rows, the worst task first",
    "tasks": "list the tasks there are",
    "check": "check tasks of your own, and data files for leaks",
    "score": "score stored responses",
    "push": "upload a checkpoint with a model card to the Hugging Face hub, private by default",
    "export": "write a suite's problems as rows that other trainers load",
}

_READ_FILES = {"train"}
"""Commands whose options may stand in a file: these have a function `parse`."""

_LOG = logging.getLogger(__name__)

_SIGPIPE = 128 + 13
"""Exit code where the reader of the output has gone, as of a process that the signal ended."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a user can mend are printed without a traceback and exit with 2.

    Without arguments those of the process are taken, which ends with the command.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    name = " ".join(["mtgrpo", *(word for word in given[:1] if word in _COMMANDS)])
    signals = CommandSignals(name, owns_process=arguments is None)
    return signals.run(partial(_main, given, signals))


def _main(arguments: Sequence[str], signals: CommandSignals) -> int:
    _replace_what_it_lacks(sys.stdout)
    try:
        try:
            return _run(arguments, signals)
        finally:
            sys.stdout.flush()  # or a closed pipe would show when Python ends
    except BrokenPipeError:
        if not _has_lost_its_reader(sys.stdout):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again when it ends
        return _SIGPIPE


def _run(arguments: Sequence[str], signals: CommandSignals) -> int:
    command = arguments[0] if arguments else ""
    if command in ("-h", "--help"):
        print(_usage())
        return 0
    if command == "--version":
        print(f"mtgrpo {__version__}")
        return 0
    if command not in _COMMANDS:
        unknown = f"mtgrpo: there is no command {command!r}{did_you_mean(command, _COMMANDS)}\n" if command else ""
        print(unknown + _usage(), file=sys.stderr)
        return 2
    _log_to_stderr()
    try:
        with imports_for("the command"):
            import tyro

            from mtgrpo_env.cli.help_texts import reflow_help

            module = importlib.import_module(f"mtgrpo_env.cli.{command}")
            reflow_help(module.Config)
        options = joined(arguments[1:])
        if command in _READ_FILES:
            config = module.parse(options)
        else:
            config = tyro.cli(module.Config, args=options, prog=f"mtgrpo {command}")
        check_ranges(config)
        with imports_for("this"):
            return _run_to_its_end(module.run, config)
    except BrokenPipeError:
        raise
    except (ImportError, ValueError, OSError, TaskError) as error:
        if signals.received is not None:  # what a signal breaks is no mistake
            raise
        would_do = error.options if isinstance(error, MissingOptions) else ()
        hint = f". This would work: {shlex.join(['mtgrpo', *arguments, *would_do])}" if would_do else ""
        print(shown(f"mtgrpo {command}: {_said(error)}{hint}"), file=sys.stderr)
        return 2


def _run_to_its_end(run: Callable[[Any], int], config: Any) -> int:
    """The exit code of a command; code of others that exits would end it as if all were well."""
    try:
        return run(config)
    except (SystemExit, GeneratorExit) as error:
        raise RuntimeError(f"the command called something that ended the process ({error!r})") from error


class _Formatter(logging.Formatter):
    """What informs, such as how many rows are held out, is shown without its place; what warns, with it."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(record.getMessage() if record.levelno == logging.INFO else super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("mtgrpo_env").setLevel(logging.INFO)
    threading.excepthook = _log_thread_error


def _log_thread_error(failed: threading.ExceptHookArgs) -> None:
    """In one line: what a thread of some library meets, such as a full disk, the command meets soon itself."""
    thread = failed.thread.name if failed.thread else "a thread"
    _LOG.warning("%s ended: %s: %s", thread, failed.exc_type.__name__, failed.exc_value)


def _said(error: Exception) -> str:
    if isinstance(error, FileExistsError) and Path(error.filename or "").is_file():
        return f"expected a folder, got the file {error.filename!r}"
    return str(error)


def _replace_what_it_lacks(stream: TextIO) -> None:
    """Write "?" for what its encoding cannot hold, such as a Greek letter on a Latin-1 terminal.

    Standard error does the like by itself.
    """
    if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
        stream.reconfigure(errors="replace")


def _has_lost_its_reader(stream: TextIO) -> bool:
    poll = select.poll()
    poll.register(stream, 0)
    return bool(poll.poll(0))  # errors alone are reported


def _usage() -> str:
    commands = [f"  {name:10}{meaning}" for name, meaning in _COMMANDS.items()]
    lines = ["usage: mtgrpo COMMAND [OPTIONS]", "", *commands, ""]
    return "\n".join([*lines, "mtgrpo COMMAND --help lists its options; mtgrpo --version prints the version."])
