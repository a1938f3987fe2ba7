"""Math-Verify as a process: pairs of a truth and an answer as JSON on its input, verdicts as JSON on its output.

Run by `math_verdicts.py`, perhaps with another interpreter: it needs nothing but `math_verify`.
"""

from __future__ import annotations

import json
import logging
import sys
from functools import lru_cache
from importlib.metadata import version

from math_verify import parse, verify  # pyright: ignore[reportMissingImports]


@lru_cache(maxsize=1)
def _truth(text: str) -> list[object]:
    return parse(f"${text}$")


def main() -> None:
    """Judge every pair as the package's own documentation does: the truth in dollar signs, the answer in a box."""
    logging.disable(logging.CRITICAL)
    verdicts = [bool(verify(_truth(truth), parse(f"\\boxed{{{answer}}}"))) for truth, answer in json.load(sys.stdin)]
    json.dump({"version": version("math-verify"), "verdicts": verdicts}, sys.stdout)


if __name__ == "__main__":
    main()
