"""The `mtgrpo` command and its subcommands, a module each."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

from mtgrpo_env import __version__
from mtgrpo_env.extras import extra_of

_COMMANDS = {
    "train": "post-train a language model on several tasks by MT-GRPO; continues a run that was stopped",
    "compare": "methods and seeds side by side, at equal steps, rollouts and seconds",
    "report": "one page of a run, of several, or of a comparison",
    "evaluate": "agents side by side on suites of tasks or on rows, the worst task first",
    "tasks": "list the tasks there are",
    "check": "check tasks of your own, and data files for leaks",
    "score": "score stored responses",
    "export": "write a suite's problems as rows that other trainers load",
}

_READ_FILES = {"train"}
"""Commands whose options may stand in a file: these have a function `parse`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors that a user can mend are printed without a traceback and exit with 2."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    command = arguments[0] if arguments else ""
    if command in ("-h", "--help"):
        print(_usage())
        return 0
    if command == "--version":
        print(f"mtgrpo {__version__}")
        return 0
    if command not in _COMMANDS:
        print(_usage() if not command else f"mtgrpo: there is no command {command!r}\n{_usage()}", file=sys.stderr)
        return 2
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    try:
        import tyro

        module = importlib.import_module(f"mtgrpo_env.cli.{command}")
        if command in _READ_FILES:
            config = module.parse(arguments[1:])
        else:
            config = tyro.cli(module.Config, args=arguments[1:], prog=f"mtgrpo {command}")
        return module.run(config)
    except ImportError as error:
        extra = extra_of(error.name)
        print(f"mtgrpo {command}: {error}. Try: pip install 'mtgrpo-env[{extra}]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mtgrpo {command}: interrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"mtgrpo {command}: {error}", file=sys.stderr)
        return 2


def _usage() -> str:
    commands = [f"  {name:10}{meaning}" for name, meaning in _COMMANDS.items()]
    lines = ["usage: mtgrpo COMMAND [OPTIONS]", "", *commands, ""]
    return "\n".join([*lines, "mtgrpo COMMAND --help lists its options; mtgrpo --version prints the version."])
