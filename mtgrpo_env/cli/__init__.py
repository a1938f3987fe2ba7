"""The `mtgrpo` command and its subcommands, a module each."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence

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
    if not arguments or arguments[0] not in _COMMANDS:
        return _usage(wants_help=bool(arguments) and arguments[0] in ("-h", "--help"))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    command = arguments[0]
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


def _usage(*, wants_help: bool) -> int:
    lines = [f"  {name:10}{meaning}" for name, meaning in _COMMANDS.items()]
    text = "\n".join(["usage: mtgrpo COMMAND [OPTIONS]", "", *lines, "", "mtgrpo COMMAND --help lists its options."])
    print(text, file=sys.stdout if wants_help else sys.stderr)
    return 0 if wants_help else 2
