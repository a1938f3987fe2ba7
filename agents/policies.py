"""Policies that an agent is given by name, each with its learner."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from gymnasium import spaces

from mtgrpo_env.agents.base import Learner, TrainablePolicy
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.extras import imports_for
from mtgrpo_env.suite import TaskSuite

PolicyName = Literal["mlp", "tabular"]


def named_policy(name: str, suite: TaskSuite, *, seed: int) -> tuple[TrainablePolicy, Learner]:
    """The policy of a name, sized for a suite, and what trains it.

    Args:
        name: "mlp", a small network for Box and Discrete spaces; or "tabular", a row of logits for each observation.
        suite: the tasks.
        seed: of policy and learner.

    Raises:
        ValueError: if there is no such policy, or it cannot act in a task.
        MissingPackageError: if "mlp" finds no torch.
    """
    if name == "tabular":
        sizes = [_discrete_sizes(suite, k) for k in range(suite.num_tasks)]
        table = TabularPolicy(suite.num_tasks, *map(max, zip(*sizes, strict=True)), seed=seed)
        for task_id, (_, num_actions) in enumerate(sizes):
            table.logits[task_id, :, num_actions:] = -np.inf  # actions that the task does not have
        return table, TabularLearner(table, seed=seed)
    if name == "mlp":
        with imports_for("policy 'mlp'"):
            from mtgrpo_env.agents.neural.mlp import MLPPolicy
            from mtgrpo_env.agents.neural.mlp_learner import MLPLearner
        network = MLPPolicy.for_suite(suite, seed=seed)
        return network, MLPLearner(network, seed=seed)
    raise ValueError(
        f"policy must be one of {list(get_args(PolicyName))} or a policy of your own, got {name!r}; "
        "a language model is trained by `Trainer`"
    )


def _discrete_sizes(suite: TaskSuite, task_id: int) -> tuple[int, int]:
    """Observations and actions of a task."""
    env = suite.envs(task_id, 1)[0]
    given = env.observation_space, env.action_space
    sizes = [int(space.n) for space in given if isinstance(space, spaces.Discrete) and space.start == 0]
    if len(sizes) < 2:
        shown = " and ".join(map(str, given))
        raise ValueError(f"policy 'tabular' needs Discrete spaces from 0 on; task {suite.names[task_id]!r} has {shown}")
    return sizes[0], sizes[1]
