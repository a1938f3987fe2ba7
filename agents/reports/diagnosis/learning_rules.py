"""Rules about how the policy moves, and about what its accuracies are worth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mtgrpo_env.agents.reports.chance_columns import is_near_chance
from mtgrpo_env.agents.reports.diagnosis.batch_rules import FEWEST_STEPS, NEXT_TO_NONE, SEVERAL
from mtgrpo_env.agents.reports.diagnosis.evidence import Evidence, learner_scalars, pooled_over_tasks, span
from mtgrpo_env.agents.reports.diagnosis.finding import Finding
from mtgrpo_env.agents.reports.statistics import NORMAL_QUANTILE
from mtgrpo_env.agents.response_warnings import MOST
from mtgrpo_env.metrics import average, averages, worst_tasks
from mtgrpo_env.types import FloatArray

FALL = 0.05
"""Least fall of the average accuracy after the best step that is named; it must be beyond the noise as well."""
COLLAPSE = 0.5
"""Share of the best accuracy that is lost in a collapse."""
CERTAIN = 0.1
"""Share of its first entropy below which a policy has become certain."""
FAR = 0.05
"""Divergence of the policy from the one that sampled, in nats a token, that moves too far in one batch."""
STILL = 1e-3
"""Mean |log-ratio| of a batch's tokens below which the policy hardly moves."""
CLIPPED = 5.0
"""How many times larger than the limit a gradient is when it is scaled down to next to nothing."""
ENOUGH_PROBLEMS = 20
"""Held-out problems of a task before its accuracy is set against chance."""
WORTH_SEEING = 0.05
"""Change of the average accuracy that an evaluation should be able to show."""


class Change(NamedTuple):
    """Of the average accuracy between two evaluations, and half its 95 % interval."""

    points: float
    noise: float


def fallen(evidence: Evidence) -> Iterator[Finding]:
    """Worst task and average were better before the end."""
    after = np.flatnonzero(evidence.evaluated > 0)
    means, worst = averages(evidence.accuracies), worst_tasks(evidence.accuracies)
    if len(after) < 2 or not np.isfinite(means[after]).all():
        return
    best = int(np.argmax(means))
    lost, noise = means[best] - means[-1], _change(evidence, best, -1).noise
    if lost < max(FALL, 1.5 * noise):  # the best of several is lucky: more than the noise of two
        return
    numbers = [pooled_over_tasks(part) for part in (evidence.early, evidence.late)]
    known = {name: [part.get(name, math.nan) for part in numbers] for name in ("entropy", "unanimous_share")}
    beside = ""
    if not np.isnan(list(known.values())).any():
        (high, low), (before, now) = known.values()
        beside = f"; entropy went from {high:.2f} to {low:.2f}, groups of equal rewards from {before:.0%} to {now:.0%}"
    is_collapse = lost > COLLAPSE * means[best]
    steps = evidence.evaluated
    yield Finding(
        name="collapse" if is_collapse else "accuracy falls",
        severity="stops learning" if is_collapse else "slows learning",
        seen=f"the average went from {means[best]:.1%} at step {steps[best]:.0f} to {means[-1]:.1%} at step "
        f"{steps[-1]:.0f}, the worst task from {worst[best]:.1%} to {worst[-1]:.1%}{beside}",
        advice=evidence.facts.open_advice(
            f"lower --lr ({evidence.facts.lr:g}) to {evidence.facts.lr / 4:.2g}",
            "let it fall by --lr-schedule linear",
            evidence.facts.hold,
        ),
        chart="Held-out accuracy, and what it costs",
        curves=evidence.accuracy_curves(),
        measure="held-out accuracy",
    )


def certain(evidence: Evidence) -> Iterator[Finding]:
    """The policy writes the same whatever is asked, before it has learned to be right."""
    early, late = (pooled_over_tasks(part) for part in (evidence.early, evidence.late))
    if len(evidence.steps) < FEWEST_STEPS or "entropy" not in late or "unanimous_share" not in late:
        return
    is_right = average(evidence.accuracies[-1]) > 1 - NEXT_TO_NONE
    if is_right or late["entropy"] > CERTAIN * early["entropy"] or late["unanimous_share"] <= MOST:
        return
    yield Finding(
        name="the policy has become certain",
        severity="slows learning",
        seen=f"entropy {early['entropy']:.3f} in {span(evidence.early)}, {late['entropy']:.3f} in "
        f"{span(evidence.late)}, where {late['unanimous_share']:.0%} of the groups had equal rewards",
        advice=f"lower --lr ({evidence.facts.lr:g}), or {evidence.facts.hold}",
        chart="Responses",
        curves=evidence.task_curves("entropy"),
        measure="nats a token",
    )


def not_finite(evidence: Evidence) -> Iterator[Finding]:
    """Gradients overflowed; a history has no number for them."""
    has_learned = np.array([bool(record.get("learner")) for record in evidence.steps])
    lost = evidence.numbers[has_learned & np.isnan(learner_scalars(evidence.steps, "gradient_norm"))]
    if not len(lost):
        return
    yield Finding(
        name="gradients are not finite",
        severity="stops learning",
        seen=f"in {len(lost)} of {len(evidence.steps)} steps, first in step {lost[0]:.0f}",
        advice=evidence.facts.open_advice(f"lower --lr ({evidence.facts.lr:g})", "compute in --dtype float32"),
        chart="Steps: what they cost, and what the learner says",
        curves=(evidence.scalar_curve("gradient_norm"),),
        measure="gradient norm",
    )


def too_far(evidence: Evidence) -> Iterator[Finding]:
    """One batch moves the policy far from the one that sampled it; by old rollouts that cannot be told."""
    fresh = [step for step in evidence.steps if step.get("replayed", 0) <= SEVERAL * sum(step["kept"])]
    known = _known(learner_scalars(fresh, "step_kl"))
    beyond = known > FAR
    if not len(known) or beyond.mean() <= MOST:
        return
    yield Finding(
        name="the learning rate is too high",
        severity="slows learning",
        seen=f"{beyond.sum()} of {len(known)} steps on fresh rollouts moved the policy by more than {FAR} nats a "
        f"token, the median by {np.median(known):.3g}",
        advice=evidence.facts.open_advice(
            f"lower --lr ({evidence.facts.lr:g})",
            "let it rise first (--warmup-steps)",
            f"end a batch that goes beyond --max-step-kl {FAR}",
        ),
        chart="Steps: what they cost, and what the learner says",
        curves=(evidence.scalar_curve("step_kl"),),
        measure="nats a token",
        limit=FAR,
    )


def too_little(evidence: Evidence) -> Iterator[Finding]:
    """The policy hardly moves, and its accuracy does not."""
    moved = learner_scalars(evidence.steps, "log_ratio") - np.nan_to_num(learner_scalars(evidence.steps, "ratio_gap"))
    known = _known(moved)
    change = _change(evidence, 0, -1)
    if not len(known) or np.median(known) > STILL:
        return
    if math.isnan(change.points) or abs(change.points) > change.noise:  # slow, but it learns
        return
    yield Finding(
        name="the learning rate is too low",
        severity="stops learning",
        seen=f"a batch changes the log-probability of its tokens by {np.median(known):.1g} (median of {len(known)} "
        f"steps), and the average accuracy by {100 * change.points:+.1f} points in all, within its noise",
        advice=f"raise --lr ({evidence.facts.lr:g}) tenfold, until the change can be seen",
        chart="Steps: what they cost, and what the learner says",
        curves=(evidence.scalar_curve("log_ratio"),),
        measure="mean |log-ratio|",
        limit=STILL,
    )


def clipped(evidence: Evidence) -> Iterator[Finding]:
    """Gradients are scaled down to next to nothing."""
    limit = evidence.facts.max_grad_norm
    known = _known(learner_scalars(evidence.steps, "gradient_norm"))
    if not len(known) or np.mean(known > CLIPPED * limit) <= MOST:
        return
    yield Finding(
        name="gradients are clipped",
        severity="slows learning",
        seen=f"norms of {np.median(known):.2g} (median of {len(known)} steps) are scaled down to {limit:g}",
        advice=f"raise --max-grad-norm ({limit:g}) to {_one_digit(2 * np.median(known))}, so that only rare ones are "
        "scaled; if they grew during the run, lower --lr instead",
        chart="Steps: what they cost, and what the learner says",
        curves=(evidence.scalar_curve("gradient_norm"),),
        measure="gradient norm",
        limit=limit,
    )


def noise(evidence: Evidence) -> Iterator[Finding]:
    """The evaluation cannot show the change."""
    change, problems = _change(evidence, 0, -1), evidence.problems
    if len(evidence.evaluations) < 2 or not change.noise > max(abs(change.points), WORTH_SEEING):
        return
    wanted = math.ceil(problems[problems > 0].min() * (change.noise / WORTH_SEEING) ** 2 / 100) * 100
    yield Finding(
        name="the evaluation is too small",
        severity="worth a look",
        seen=f"the average changed by {100 * change.points:+.1f} points from step {evidence.evaluated[0]:.0f} to "
        f"{evidence.evaluated[-1]:.0f}, on {problems.min():.0f} problems a task: less than its noise of "
        f"{100 * change.noise:.1f}",
        advice=f"--eval-problems {wanted} shows a change of {100 * WORTH_SEEING:.0f} points; of rows, hold out more",
        chart="Held-out accuracy, and what it costs",
        curves=evidence.accuracy_curves(),
        measure="held-out accuracy",
    )


def constant(evidence: Evidence) -> Iterator[Finding]:
    """A task whose accuracy the best constant answer, or a guess, explains."""
    last, chance = evidence.accuracies[-1], evidence.chance
    for k, task in enumerate(evidence.tasks):
        of_task = chance.of_task(k)
        if not np.minimum(last[k], of_task.best) >= NEXT_TO_NONE or evidence.problems[k] < ENOUGH_PROBLEMS:
            continue
        is_near = is_near_chance(last[k], evidence.problems[k], of_task.best)
        if not is_near or last[k] > of_task.best + WORTH_SEEING:  # of few problems all is near
            continue
        is_constant = of_task.constant >= np.nan_to_num(of_task.guess)
        named = f'answering "{of_task.name}"' if is_constant else "a guess"
        yield Finding(
            name=f"{task} is no better than {'a constant answer' if is_constant else 'a guess'}",
            severity="worth a look",
            seen=f"{last[k]:.1%} on {evidence.problems[k]:.0f} problems at step {evidence.evaluated[-1]:.0f}, where "
            f"{named} has {of_task.best:.1%}",
            advice="read the samples; take --tasks (or rows) whose answers differ more, and more --eval-problems",
            chart="Held-out accuracy, and what it costs",
            curves=evidence.accuracy_curves(),
            measure="held-out accuracy",
            limit=of_task.best,
        )


def _change(evidence: Evidence, before: int, after: int) -> Change:
    """Between two evaluations by their places; the problems are the same, which makes the true noise smaller."""
    first, last = evidence.accuracies[before], evidence.accuracies[after]
    played = ~np.isnan(first) & ~np.isnan(last) & (evidence.problems > 0)
    if not played.any():
        return Change(math.nan, math.nan)
    variances = (_variance(first[played]) + _variance(last[played])) / evidence.problems[played]
    return Change(float((last - first)[played].mean()), NORMAL_QUANTILE * math.sqrt(variances.sum()) / played.sum())


def _known(scalars: FloatArray) -> FloatArray:
    """Those of the steps that have one."""
    return scalars[~np.isnan(scalars)]


def _variance(accuracies: FloatArray) -> FloatArray:
    return accuracies * (1 - accuracies)


def _one_digit(value: float) -> str:
    return f"{float(f'{value:.0e}'):g}"
