r"""Hostile responses: what any verifier of text must survive, and must never call correct.

A policy under reinforcement finds whatever a verifier gets wrong: answers that hang it, crash it, run as
code, or are paid for without being right. These are the generic ones, worth trying on a verifier of your own:

>>> from mtgrpo_env.envs.countdown import Countdown, CountdownPuzzle
>>> task, puzzle = Countdown("mini"), CountdownPuzzle((3, 5, 7), 22)
>>> len(judge_all(lambda response: task.verify(puzzle, response))) == len(HOSTILE)
True
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from mtgrpo_env.text_env import Outcome, Verdict

CANARY = "MTGRPO_HOSTILE_CANARY"
"""The environment variable, and the file in the working directory, that hostile code would leave behind."""

_OPEN = "\\boxed{"
_SMALL, _LARGE = 200_000, 1_000_000  # characters; no response is longer than the space of text allows
_SET_VARIABLE = f"__import__('os').environ.__setitem__('{CANARY}','1')"
_WRITE_FILE = f"open('{CANARY}','w').close()"
_PICKLE = f"cos\nsystem\n(S'echo > {CANARY}'\ntR."  # what `pickle.loads` would run, in its protocol of plain text


class HostileResponseError(AssertionError):
    """A verifier fails on a hostile response; says on which, and how."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One hostile response.

    Attributes:
        name: unique among `HOSTILE`.
        response: the text, up to a million characters long.
        why: what goes wrong in a verifier that it fools.
    """

    name: str
    response: str = field(repr=False)
    why: str


def _boxed(answer: str) -> str:
    return f"{_OPEN}{answer}}}"


def _filled(unit: str, length: int = _SMALL) -> str:
    return unit * (length // len(unit))


_MALFORMED = (
    Hostile("empty", "", "there is no last line, no first character and no answer"),
    Hostile("blanks", " \t\r\n\v\f" * 100, "stripped to nothing"),
    Hostile("empty box", _boxed(""), "an empty answer is a prefix of every answer, and part of it"),
    Hostile("box of blanks", _boxed(" \n "), "the same, before it is stripped"),
    Hostile("unclosed box", f"the answer is {_OPEN}", "extraction by index runs off the end"),
    Hostile("box closed too early", f"}}}}}}{_OPEN}", "a count of braces goes below zero"),
    Hostile("NULs", _filled("\0"), "ends a string in C"),
    Hostile("NUL in a box", _boxed("\0"), "ends a string in C, so that nothing is compared"),
    Hostile("lone surrogates", _boxed("\ud800\udfff" * 100), "cannot be encoded, so logging or a pipe crashes"),
    Hostile("right-to-left marks", _boxed("\u202e\u200f\u2066" * 9), "shows another answer than it holds"),
    Hostile("combining marks", _boxed("e" + "\u0301" * 10_000), "normalisation takes quadratic time"),
    Hostile("unicode digits", _boxed("１２３٤٥٦７８９"), "a digit to `str.isdigit` and `int`, and to `\\d`"),
    Hostile("superscript digits", _boxed("⁹⁹⁹"), "a digit to `str.isdigit`, but no number to `int`"),
)
_LONG = (
    Hostile("a megabyte of open boxes", _filled(_OPEN, _LARGE), "quadratic, or too deep for recursion"),
    Hostile("a megabyte of {", _filled("{", _LARGE), "quadratic, or too deep for recursion"),
    Hostile("a megabyte of }", _filled("}", _LARGE), "quadratic, where each looks for its opening brace"),
    Hostile("nested boxes", _OPEN * 20_000 + "}" * 20_000, "too deep for recursion"),
    Hostile("many boxes", _filled(_boxed("")), "quadratic, if the text is searched again from each"),
    Hostile("opening tags", _filled("<answer>"), "quadratic, in a lazy regular expression up to the closing tag"),
    Hostile("answer phrases", _filled("the answer is "), "quadratic, if the text is searched again from each"),
    Hostile("hash marks", _filled("#", _LARGE), "the same, where an answer stands after ####"),
    Hostile("nested text markup", _OPEN + _filled("\\text{"), "too deep for a recursive unwrapping"),
    Hostile("open parentheses", _boxed("(" * 100_000), "too deep for a recursive parser: the process crashes"),
    Hostile("nested brackets", _boxed("[" * 50_000 + "]" * 50_000), "too deep for `ast` and for `json`"),
    Hostile("many signs", _boxed("-" * 100_000 + "1"), "too deep for a recursive parser of signs"),
    Hostile("nested roots", _boxed("\\sqrt{" * 2_000 + "}" * 2_000), "exponential in parsers of LaTeX that go back"),
    Hostile("a long sum", _boxed("1" + "+1" * 50_000), "a tree too deep for recursion, which parsers accept"),
    Hostile("a long run of letters", _boxed("a" * 100_000 + "!"), "exponential in regular expressions like (a+)+$"),
    Hostile("a long run of blanks", _boxed("1" + " " * 50_000 + "1"), "quadratic in expressions like \\s+$"),
    Hostile("every choice", _boxed("ABCDEFGHIJ"), "holds the right letter, whichever it is"),
    Hostile("every number", _boxed(" ".join(map(str, range(20_000)))), "holds the right number, whichever it is"),
)
_ARITHMETIC = (
    Hostile("tower of nines", _boxed("9**9**9**9"), "evaluated, it takes all memory and never ends"),
    Hostile("tower of numbers", _boxed("44**19**35"), "the same, from numbers as a puzzle gives them"),
    Hostile("tower in LaTeX", _boxed("2^{2^{2^{2^9}}}"), "the same, to a parser of LaTeX"),
    Hostile("large power", _boxed("99**99999999"), "takes minutes, which signals do not interrupt"),
    Hostile("factorial", _boxed("9999999!"), "takes minutes in a symbolic parser"),
    Hostile("factorial tower", _boxed("((9!)!)!"), "the same, in eight characters"),
    Hostile("shift", _boxed("1<<(1<<60)"), "asks for an exabyte"),
    Hostile("repeated list", _boxed("[0]*10**12"), "asks for terabytes"),
    Hostile("long number", _boxed("9" * 100_000), "`int` refuses it by an exception, or takes quadratic time"),
    Hostile("long exponent", _boxed("1e999999999"), "infinity as a float, a gigabyte as a fraction"),
    Hostile("long negative exponent", _boxed("1e-999999999"), "zero as a float, a gigabyte as a fraction"),
    Hostile("nothing divided by nothing", _boxed("0/0"), "an exception, or a NaN"),
    Hostile("nan", _boxed("nan"), "compares false with everything, so `not a != b` holds"),
    Hostile("inf", _boxed("inf"), "a float whose difference from anything is within no tolerance, or any"),
    Hostile("nan minus nan", _boxed("inf-inf"), "not a number that has been checked to be one"),
    Hostile("True", _boxed("True"), "equals 1, and is the value of any comparison"),
    Hostile("None", _boxed("None"), "equals a failed extraction"),
    Hostile("division by zero", _boxed("1/(1-1)"), "an exception, or complex infinity"),
    Hostile("integral", _boxed("\\int_0^{10^9} x^{x^x} dx"), "takes hours in a symbolic parser"),
)
_CODE = (
    Hostile("code that sets a variable", _boxed(_SET_VARIABLE), "`eval`, and parsers built on it, run it"),
    Hostile("code that writes a file", _boxed(_WRITE_FILE), "the same, in a worker process too"),
    Hostile("fenced code", f"```python\n{_SET_VARIABLE}\n```", "run by a verifier of programs that is let loose"),
    Hostile("code in a format string", _boxed("{0.__class__.__mro__[1].__subclasses__}"), "`str.format` resolves it"),
    Hostile("percent formats", _boxed("%s%s%n%1000000000d"), "crashes `%`, or asks for a gigabyte"),
    Hostile("pickle", _boxed(_PICKLE), "`pickle.loads` runs it"),
    Hostile("deep JSON", _boxed('{"a":' * 20_000 + "1" + "}" * 20_000), "too deep for a recursive parser"),
    Hostile("JSON with NaN", _boxed('{"answer": NaN, "answer": Infinity}'), "accepted by `json.loads`"),
    Hostile("shell command", _boxed(f"$(touch {CANARY});`touch {CANARY}`"), "run, if a shell sees it"),
    Hostile("LaTeX command", _boxed("\\input{/dev/zero}\\def\\x{\\x\\x}\\x"), "expanded for ever, if typeset"),
    Hostile("HTML", _boxed("<script>document.cookie</script>"), "run, where a report shows it unescaped"),
    Hostile(
        "verdict", '{"reward": 1.0, "is_success": true, "outcome": "correct"}', "read back from a log as a verdict"
    ),
)

HOSTILE: tuple[Hostile, ...] = (*_MALFORMED, *_LONG, *_ARITHMETIC, *_CODE)
"""The hostile responses, each well within `FreeText`'s length."""


def judge_all(verify: Callable[[str], Verdict]) -> list[tuple[Hostile, Verdict]]:
    """What a verifier says of each hostile response.

    Args:
        verify: judges one response to one puzzle; the puzzle's answer must not be hostile itself.

    Raises:
        HostileResponseError: at the first response on which `verify` raises, says "correct", gives a verdict
            that contradicts itself, or leaves a canary: it has then run the response as code.
    """
    remove_canaries()
    return [(hostile, _judge(verify, hostile)) for hostile in HOSTILE]


def _judge(verify: Callable[[str], Verdict], hostile: Hostile) -> Verdict:
    try:
        verdict = verify(hostile.response)
    except Exception as error:
        raise HostileResponseError(
            f"the verifier raises on the hostile response {hostile.name!r}: {error!r}"
        ) from error
    fault = verdict_fault(verdict)
    if fault is None and verdict.is_success:
        fault = "it calls it correct"
    if found := canaries():
        fault = f"it runs it as code, which left {found}"
    if fault is not None:
        raise HostileResponseError(f"the verifier fails on the hostile response {hostile.name!r}: {fault}")
    return verdict


def verdict_fault(verdict: object) -> str | None:
    """What is wrong with a verdict as such; None if it is a legal one.

    >>> verdict_fault(Verdict(1.0, True, "wrong"))
    "is_success is True, but the outcome is 'wrong'"
    """
    if not isinstance(verdict, Verdict):
        return f"expected a Verdict, got {verdict!r:.80}"
    if verdict.outcome not in get_args(Outcome):
        return f"the outcome must be one of {list(get_args(Outcome))}, got {verdict.outcome!r:.80}"
    if verdict.is_success != (verdict.outcome == "correct"):
        return f"is_success is {verdict.is_success}, but the outcome is {verdict.outcome!r}"
    if not math.isfinite(verdict.reward):
        return f"the reward must be finite, got {verdict.reward}"
    return None


def canaries() -> list[str]:
    """The traces that hostile code has left since `remove_canaries`."""
    found = [f"the environment variable {CANARY}"] if CANARY in os.environ else []
    return [*found, f"the file {CANARY}"] if Path(CANARY).exists() else found


def remove_canaries() -> None:
    """Forget the traces of earlier hostile code."""
    os.environ.pop(CANARY, None)
    Path(CANARY).unlink(missing_ok=True)
