"""Math-Verify as a process: pairs of a truth and an answer as JSON on its input, verdicts as JSON on its output.

Run by `math_verdicts.py`, perhaps with another interpreter: it needs nothing but `math_verify`.
"""

from __future__ import annotations

import json
import logging
import sys
from importlib.metadata import version

from math_verify import parse, verify  # pyright: ignore[reportMissingImports]


def main() -> None:
    """Judge every pair as the package's own documentation does: the truth in dollar signs, the answer in a box."""
    logging.disable(logging.CRITICAL)
    pairs = json.load(sys.stdin)
    verdicts = [bool(verify(parse(f"${truth}$"), parse(f"\\boxed{{{answer}}}"))) for truth, answer in pairs]
    json.dump({"version": version("math-verify"), "verdicts": verdicts}, sys.stdout)


if __name__ == "__main__":
    main()
