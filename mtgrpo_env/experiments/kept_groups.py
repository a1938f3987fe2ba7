"""Rollouts that are kept problem by problem: of policies whose responses only the policy itself could repeat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mtgrpo_env.agents.kept_file import KeptFile, key_of
from mtgrpo_env.problem_sets import ProblemSet
from mtgrpo_env.rollout_records import rollout_of, rollout_record
from mtgrpo_env.types import Group, Problem


class KeptGroups:
    """The rollouts of an agent on a problem set.

    Args:
        file: keeps them.
        problem_set: what is played.
        agent: what decides the agent's responses.
        rollouts: of each problem.
    """

    def __init__(self, file: KeptFile, problem_set: ProblemSet, *, agent: str, rollouts: int) -> None:
        self._file, self._problem_set, self._agent, self._rollouts = file, problem_set, agent, rollouts

    def known(self) -> Iterator[Group]:
        """Those of the problems that the file holds."""
        for problem in self._problem_set.problems:
            if (kept := self._file.get(self._key(problem))) is not None:
                yield Group(problem, tuple(map(rollout_of, kept)))

    def unknown(self) -> ProblemSet:
        """The problems that are still to be played."""
        problems = (problem for problem in self._problem_set.problems if self._file.get(self._key(problem)) is None)
        return replace(self._problem_set, problems=tuple(problems))

    def put(self, group: Group) -> None:
        """Keep the rollouts of a problem, unless a scorer failed, which may be mended."""
        if group.valid.all():
            self._file.put(self._key(group.problem), [rollout_record(one) for one in group.rollouts])

    def _key(self, problem: Problem) -> str:
        return key_of(self._agent, self._problem_set.key(problem), self._rollouts)
