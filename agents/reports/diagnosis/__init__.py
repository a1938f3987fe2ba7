"""What to change in a run, from its history and its options alone: one rule for each thing that goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mtgrpo_env.agents.reports.diagnosis import batch_rules, learning_rules
from mtgrpo_env.agents.reports.diagnosis.evidence import Evidence
from mtgrpo_env.agents.reports.diagnosis.finding import SEVERITIES, Finding
from mtgrpo_env.agents.reports.page.content import StoredRun

__all__ = ["RULES", "Find", "Finding", "Rule", "diagnose"]

Find = Callable[[Evidence], Iterator[Finding]]
"""Yields what it finds, or nothing."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Looks for one thing that goes wrong.

    Attributes:
        find: what it is.
        follows_from: what else may be its cause: where that stops a run from learning, this is not named beside it.
    """

    find: Find
    follows_from: tuple[Find, ...] = ()


_NOTHING = (batch_rules.no_gradient, batch_rules.cut_off)
_CAUSES = (*_NOTHING, learning_rules.fallen)
RULES: tuple[Rule, ...] = (
    Rule(batch_rules.no_verdict),
    Rule(batch_rules.cut_off),
    Rule(batch_rules.no_gradient, follows_from=(batch_rules.cut_off, batch_rules.no_verdict)),
    Rule(learning_rules.not_finite),
    Rule(learning_rules.fallen),
    Rule(learning_rules.too_far),
    Rule(learning_rules.certain, follows_from=_CAUSES),
    Rule(learning_rules.too_little, follows_from=_NOTHING),
    Rule(learning_rules.clipped),
    Rule(batch_rules.few_informative, follows_from=_CAUSES),
    Rule(batch_rules.starved, follows_from=_CAUSES),
    Rule(batch_rules.short_of_target, follows_from=_CAUSES),
    Rule(batch_rules.replayed, follows_from=_CAUSES),
    Rule(batch_rules.lengths, follows_from=_CAUSES),
    Rule(learning_rules.constant, follows_from=_CAUSES),
    Rule(learning_rules.noise, follows_from=_CAUSES),
)
"""In the order in which findings of equal severity are shown."""


def diagnose(run: StoredRun) -> list[Finding]:
    """What is wrong with a run, the worst first; nothing where the history shows nothing.

    Raises:
        ValueError: if the run has no training step yet.
    """
    evidence = Evidence.of(run)
    found = {rule.find: list(rule.find(evidence)) for rule in RULES}
    stopping = {find for find, findings in found.items() if any(one.severity == SEVERITIES[0] for one in findings)}
    named = [one for rule in RULES if not stopping.intersection(rule.follows_from) for one in found[rule.find]]
    return sorted(named, key=lambda finding: SEVERITIES.index(finding.severity))
