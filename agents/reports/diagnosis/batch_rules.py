"""Rules about what is generated and what a batch is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtgrpo_env.agents.reports.diagnosis.evidence import (
    Evidence,
    pooled,
    pooled_over_tasks,
    span,
    summed,
)
from mtgrpo_env.agents.reports.diagnosis.finding import Curve, Finding, Severity
from mtgrpo_env.agents.reports.history import nothing_learned
from mtgrpo_env.agents.response_warnings import FAULTS, MOST, NO_GRADIENT_ADVICE
from mtgrpo_env.metrics import average

FEW = 0.25
"""Share of groups that are informative, below which most of what is generated is in vain."""
NEXT_TO_NONE = 0.05
"""The same of a task, below which it is solved or out of reach; also how near to 0 or 1 its accuracy then is."""
SEVERAL = 0.1
"""Share of responses that are cut off, or of a batch that is replayed, which may not be overlooked."""
DRIFT = 1.5
"""How many times longer or shorter responses become before that is called a drift."""
FEWEST_STEPS = 8
"""Steps of a run before its beginning and its end are compared."""
FEWEST_GROUPS = 16
"""Groups of a task before its share of informative ones is judged."""
COMMON_GROUP_SIZE = 8
"""Rollouts of a problem that are common."""


def no_gradient(evidence: Evidence) -> Iterator[Finding]:
    """Nothing can have been learned at all."""
    if reason := nothing_learned(evidence.records):
        yield Finding(
            name="nothing was learned",
            severity="stops learning",
            seen=f"{reason} ({span(evidence.steps)})",
            advice=f"{NO_GRADIENT_ADVICE}; --examples shows how to answer",
            chart="What is generated",
            curves=evidence.task_curves("filter_rate"),
            measure="groups without a gradient",
            limit=1.0,
        )


def few_informative(evidence: Evidence) -> Iterator[Finding]:
    """Most of what is generated is thrown away, of all tasks together."""
    amounts = {name: amount.sum() for name, amount in summed(evidence.late).items()}
    accepted, generated = amounts["accepted"], amounts["generated"]
    if generated < FEWEST_GROUPS or accepted >= FEW * generated:
        return
    wider = max(COMMON_GROUP_SIZE, 2 * evidence.facts.group_size)
    yield Finding(
        name="few informative groups",
        severity="slows learning",
        seen=f"{accepted:.0f} of {generated:.0f} groups of {evidence.facts.group_size} rollouts had a gradient "
        f"({accepted / generated:.0%}, {span(evidence.late)})",
        advice=f"more rollouts of a problem, --group-size {wider}, differ more often; or take --tasks of a level at "
        "which some are right and some wrong",
        chart="What is generated",
        curves=(evidence.total_curve("filter_rate", "all tasks"),),
        measure="groups without a gradient",
        limit=1 - FEW,
    )


class _Starvation(NamedTuple):
    """Why no group of a task is informative, by the accuracy of its rollouts: above `low`, up to `high`."""

    why: str
    low: float
    high: float
    severity: Severity
    advice: tuple[str, ...]


_EASIER = ("take --tasks of an easier level", "show --examples", "learn from graded rewards by --filter reward")
_STARVATIONS = (
    _Starvation("out of reach", -1.0, NEXT_TO_NONE, "slows learning", _EASIER),
    _Starvation(
        "each problem right or wrong throughout",
        NEXT_TO_NONE,
        1 - NEXT_TO_NONE,
        "slows learning",
        ("take a larger --group-size", *_EASIER),
    ),
    _Starvation("solved", 1 - NEXT_TO_NONE, 1.0, "worth a look", ("take --tasks of a harder level", "leave it out")),
)


def starved(evidence: Evidence) -> Iterator[Finding]:
    """Tasks of which next to no group is informative."""
    amounts, curves = summed(evidence.late), evidence.task_curves("filter_rate")
    recorded = [record["accuracies"] for record in evidence.late if "accuracies" in record]  # not by earlier versions
    accuracies = {
        k: average([of_step[k] for of_step in recorded]) for k in np.flatnonzero(_is_starved(evidence)).tolist()
    }
    for one in _STARVATIONS:
        tasks = [k for k, accuracy in accuracies.items() if one.low < accuracy <= one.high]
        if not tasks:
            continue
        counted = ", ".join(
            f"{amounts['accepted'][k]:.0f} of {amounts['generated'][k]:.0f} groups of {evidence.tasks[k]}, of whose "
            f"rollouts {accuracies[k]:.0%} were right"
            for k in tasks
        )
        yield Finding(
            name=f"starved, {one.why}: {', '.join(evidence.tasks[k] for k in tasks)}",
            severity=one.severity,
            seen=f"informative were {counted} ({span(evidence.late)})",
            advice=evidence.facts.open_advice(*one.advice),
            chart="What is generated",
            curves=tuple(curves[k] for k in tasks),
            measure="groups without a gradient",
            limit=1 - NEXT_TO_NONE,
        )


def short_of_target(evidence: Evidence) -> Iterator[Finding]:
    """A task that has informative groups, but less than half of those that its weight asks for."""
    targets, numbers = summed(evidence.late)["targets"], pooled(evidence.late)
    kept, wanted = numbers["prompt_share"], numbers["target_share"]
    of_batch, asked = evidence.task_curves("prompt_share"), evidence.task_curves("target_share")
    is_short = (kept < MOST * wanted) & (targets >= FEWEST_GROUPS) & ~_is_starved(evidence)
    for k in np.flatnonzero(is_short).tolist():
        task = evidence.tasks[k]
        yield Finding(
            name=f"{task} is short of its target",
            severity="slows learning",
            seen=f"{task} is {kept[k]:.0%} of what is trained on, its weight asks for {wanted[k]:.0%} "
            f"({span(evidence.late)})",
            advice=evidence.facts.open_advice(
                "make more of its groups informative by a larger --group-size",
                "by an easier level in --tasks",
                "fill batches from earlier groups as well by --method quota-mt-grpo",
            ),
            chart="Task weights against realised shares",
            curves=(replace(of_batch[k], name="share of the batch"), replace(asked[k], name="share asked for")),
            measure="share of the groups",
        )


def _is_starved(evidence: Evidence) -> NDArray[np.bool_]:
    """(K,)."""
    generated, rates = summed(evidence.late)["generated"], pooled(evidence.late)["filter_rate"]
    return (generated >= FEWEST_GROUPS) & (rates > 1 - NEXT_TO_NONE)


def cut_off(evidence: Evidence) -> Iterator[Finding]:
    """Responses end at the limit of tokens."""
    share = pooled_over_tasks(evidence.late).get("truncated_share", 0.0)
    if not share > SEVERAL:
        return
    of_tasks, before = pooled(evidence.late)["truncated_share"], _cut_off_at_first(evidence)
    named = ", ".join(f"{t} {s:.0%}" for t, s in zip(evidence.tasks, of_tasks, strict=True) if s > SEVERAL)
    has_grown = before <= SEVERAL
    facts, longer = evidence.facts, FAULTS[0].advice(evidence.facts)
    dearer = facts.open_advice("the policy learns to go on: --truncated penalty makes that dearer") if has_grown else ""
    yield Finding(
        name="responses have grown until they are cut off" if has_grown else "responses are cut off",
        severity="stops learning" if share > MOST and not has_grown else "slows learning",
        seen=f"{share:.0%} of the responses in training ({named}; {span(evidence.late)}), {before:.0%} at first",
        advice=dearer or facts.open_advice(longer, "learn nothing from those that are by --truncated mask"),
        chart="Responses",
        curves=evidence.task_curves("truncated_share"),
        measure="responses cut off",
        limit=SEVERAL,
    )


def _cut_off_at_first(evidence: Evidence) -> float:
    """Of the held-out responses before any step, or of the first steps where that was not recorded."""
    recorded = evidence.evaluations[0].get("truncated_shares")
    return average(recorded) if recorded else pooled_over_tasks(evidence.early)["truncated_share"]


def lengths(evidence: Evidence) -> Iterator[Finding]:
    """Responses become much longer or shorter."""
    early, late = (pooled_over_tasks(part).get("response_length", np.nan) for part in (evidence.early, evidence.late))
    if len(evidence.steps) < FEWEST_STEPS or not (early > 0 and late > 0) or 1 / DRIFT < late / early < DRIFT:
        return
    is_longer = late > early
    hold = f"if they are worse, {evidence.facts.hold}"
    longer = evidence.facts.open_advice("make long ones dearer by --truncated penalty") or hold
    yield Finding(
        name=f"responses become {'longer' if is_longer else 'shorter'}",
        severity="worth a look",
        seen=f"{early:.1f} in {span(evidence.early)}, {late:.1f} in {span(evidence.late)}",
        advice=longer if is_longer else hold,
        chart="Responses",
        curves=evidence.task_curves("response_length"),
        measure="mean length",
    )


def replayed(evidence: Evidence) -> Iterator[Finding]:
    """Most of a late batch is old data."""
    kept = sum(sum(record["kept"]) for record in evidence.late)
    old = sum(record.get("replayed", 0) for record in evidence.late)
    if not kept or old <= MOST * kept:
        return
    wanted = sum(sum(record["targets"]) for record in evidence.late)  # of which the option is a share
    shares = np.array([record.get("replayed", 0) / max(1, sum(record["kept"])) for record in evidence.steps])
    yield Finding(
        name="most of the batch is old",
        severity="slows learning",
        seen=f"{old} of {kept} groups trained on were generated for earlier batches ({old / kept:.0%}, "
        f"{span(evidence.late)})",
        advice=f"--max-replayed {min(MOST, old / wanted / 2):.2g}; a larger --group-size makes more of the fresh "
        "groups informative",
        chart="Steps: what they cost, and what the learner says",
        curves=(Curve("share replayed", evidence.numbers, shares),),
        measure="share of the batch",
        limit=MOST,
    )


def no_verdict(evidence: Evidence) -> Iterator[Finding]:
    """The scorer failed on responses, which then count for nothing."""
    counts = np.array([record["counts"] for record in evidence.evaluations], dtype=np.float64)  # (E, K)
    invalid = np.array([record.get("invalid", [0] * counts.shape[1]) for record in evidence.evaluations])
    for k in np.flatnonzero(invalid.sum(axis=0)).tolist():
        task, bad, played = evidence.tasks[k], invalid[:, k], counts[:, k] + invalid[:, k]
        share = bad.sum() / played.sum()
        yield Finding(
            name=f"{task} has invalid verdicts",
            severity="stops learning" if share > MOST else "slows learning",
            seen=f"the scorer failed on {bad.sum()} of {played.sum():.0f} held-out responses ({share:.0%}, "
            f"{span(evidence.evaluations)})",
            advice="mtgrpo check shows why; of rows, --reward names another scorer (worker: before a function of your "
            "own ends it where it hangs)",
            chart="Held-out accuracy, and what it costs",
            curves=(Curve("invalid", evidence.evaluated, bad / played),),
            measure="share without a verdict",
            limit=0.0,
        )
