"""What commands print besides tables: lines without secrets, and without what steers a terminal."""

from __future__ import annotations

import sys

from mtgrpo_env.redaction import shown


def say(line: str, *, to_stderr: bool = False) -> None:
    """Print a line that may hold names, errors and responses of others."""
    print(shown(line), file=sys.stderr if to_stderr else sys.stdout)
