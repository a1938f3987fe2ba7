r"""Hostile answers: what our verifiers say of them, and what the peers' scorers do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compare.peers import reasoning_gym_set
from compare.tables import table
from compare.trials import EXECUTES, Court, Trial
from mtgrpo_env.envs.answers import boxed
from mtgrpo_env.envs.mtreason import REASON_TASKS
from mtgrpo_env.hostile import HOSTILE

Said = Callable[[str], None]

_REFUSED = 0.05  # what reasoning-gym's Countdown gives to a wrong answer of the right form


@dataclass(frozen=True, slots=True)
class _Named:
    """A Countdown answer that fools somebody: what it is, the numbers given, the target, the answer."""

    what: str
    numbers: tuple[int, ...]
    target: int
    answer: str


_NAMED = (
    _Named("a tower of powers of the given numbers", (44, 19, 35), 100, "44**19**35"),
    _Named("a tower of nines", (9, 9, 9, 9), 100, "9**9**9**9"),
    _Named("a power", (2, 3, 2), 512, "2**3**2"),
    _Named("division that rounds down", (10, 3), 3, "10//3"),
    _Named("two numbers joined by a point", (3, 5, 2), 7, "3.5*2"),
    _Named("a value that is off by a millionth", (100, 1, 99, 98, 97), 100, "100+1/99/98/97"),
    _Named("a factorial", (5, 20), 100, "5!-20"),
    _Named("a constant that cancels out", (75, 20, 5), 100, "75+20+5+pi-pi"),
)
# Right only to somebody who calls it: an expression of arithmetic it is not.
_CALL = _Named("a call in place of arithmetic", (3, 5, 2), 16, "sum([3,5])*2")


def named(said: Said) -> str:
    """Table of answers known to fool a scorer."""
    court, rows = Court(), []
    for trap in (*_NAMED, _CALL):
        said(f"hostile: {trap.what}")
        ours = court.hear(Trial("ours", "countdown", boxed(trap.answer), trap.numbers, trap.target))
        theirs = court.hear(Trial("reasoning-gym", "countdown", trap.answer, trap.numbers, trap.target))
        if trap is _CALL:
            rows.append([f"Countdown: {trap.what}", ours, EXECUTES if theirs == "1.00" else _judged(theirs)])
        else:
            rows.append([f"Countdown: {trap.what}, `{trap.answer}` for {trap.target}", ours, _judged(theirs)])
    said("hostile: partial credit and opening tags")
    rows.append(["ARC: the answer among other words", _our_arc_among_words(court), _arc_among_words(court)])
    tags = "<answer>" * 20_000
    theirs = court.hear(Trial("reasoning-gym, extraction", "countdown", tags))
    ours = court.hear(Trial("ours", "countdown", tags))
    rows.append(["160 kB of an opening tag", ours, "no answer" if theirs == "None" else theirs])
    court.close()
    return table(["answer", "ours", "reasoning-gym"], rows)


def _arc_among_words(court: Court) -> str:
    return _judged(court.hear(Trial("reasoning-gym", "arc", "is it <oracle> or not?")), partial=True)


def _our_arc_among_words(court: Court) -> str:
    data_set = reasoning_gym_set("arc", "easy", seed=0, size=1)
    answer = "0 0 1" if data_set is None else data_set[0]["answer"]
    return court.hear(Trial("ours", "arc", boxed(f"is it {answer} or not?")))


def generic(said: Said) -> str:
    """Table of the responses of `mtgrpo_env.hostile` that some judge fails on, and a count of the others."""
    judges = [("ours", name) for name in REASON_TASKS]
    judges += [("reasoning-gym", name) for name in ("countdown", "zebra", "arc")] + [("math_verify", "math")]
    court, rows, unremarkable = Court(), [], 0
    for hostile in HOSTILE:
        said(f"hostile: {hostile.name}")
        heard = [court.hear(Trial(judge, name, _as_asked(judge, hostile.response))) for judge, name in judges]
        ours, theirs = heard[: len(REASON_TASKS)], [_judged(text) for text in heard[len(REASON_TASKS) :]]
        if set(ours) <= {"wrong", "no_answer"} and set(theirs) <= {"refused", "–"}:
            unremarkable += 1
        else:
            rows.append([hostile.name, " or ".join(sorted(set(ours))), *theirs])
    court.close()
    rows.append([f"the other {unremarkable}", "wrong or no_answer", *["refused"] * 4])
    sets = ("countdown", "zebra_puzzles", "arc_1d")
    return table(
        ["response", f"ours, all {len(REASON_TASKS)} tasks", *(f"reasoning-gym {s}" for s in sets), "math_verify"], rows
    )


def _as_asked(judge: str, response: str) -> str:
    """A whole response to those who extract, the content of the box to those who do not."""
    if judge == "reasoning-gym" and response.startswith("\\boxed{") and response.endswith("}"):
        return response.removeprefix("\\boxed{").removesuffix("}")
    return response


def _judged(said: str, *, partial: bool = False) -> str:
    """A score as what it does to a policy."""
    try:
        score = float(said)
    except ValueError:
        return said
    if score <= _REFUSED:
        return "refused"
    return f"pays {score:.2f}"
