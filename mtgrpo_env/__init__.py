"""Multi-Task GRPO: reasoning tasks as Gymnasium envs, a sampler that keeps their ratio, an agent that keeps the worst.

Importing this package registers `MTReason-v0` and one id for each task, and costs numpy and
gymnasium only: the names below are imported when they are first used. Agents stand in
`mtgrpo_env.agents`, tasks in `mtgrpo_env.envs`, and what is not listed here in its module.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import register

import mtgrpo_env.task_registry  # noqa: F401  # registers the tasks' ids
from mtgrpo_env.extras import imports_for
from mtgrpo_env.version import VERSION

if TYPE_CHECKING:
    from mtgrpo_env.agents.config import TrainConfig
    from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
    from mtgrpo_env.agents.trainer import Trainer
    from mtgrpo_env.checker import check_task
    from mtgrpo_env.curriculum import Curriculum
    from mtgrpo_env.evaluation import Evaluation, evaluate_policy
    from mtgrpo_env.experiments.benchmark import benchmark
    from mtgrpo_env.multi_task_env import MultiTaskEnv
    from mtgrpo_env.plans import BatchSampler
    from mtgrpo_env.quota_sampler import QuotaSampler
    from mtgrpo_env.rollout import Policy
    from mtgrpo_env.samplers import RatioPreservingSampler
    from mtgrpo_env.suite import TaskSuite
    from mtgrpo_env.task import Task
    from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights
    from mtgrpo_env.text_env import TextEnv, Verdict
    from mtgrpo_env.types import Batch, Group, Problem, Rollout, Step
    from mtgrpo_env.vector import TextVectorEnv

__version__ = VERSION

__all__ = [
    "Batch",
    "BatchSampler",
    "Curriculum",
    "DisparityWeights",
    "Evaluation",
    "Group",
    "ImprovementAwareWeights",
    "MTGRPOAgent",
    "MultiTaskEnv",
    "Policy",
    "Problem",
    "QuotaSampler",
    "RatioPreservingSampler",
    "Rollout",
    "Step",
    "Task",
    "TaskSuite",
    "TaskWeights",
    "TextEnv",
    "TextVectorEnv",
    "TrainConfig",
    "Trainer",
    "Verdict",
    "benchmark",
    "check_task",
    "evaluate_policy",
]

_MODULES = {
    "Batch": "types",
    "BatchSampler": "plans",
    "Curriculum": "curriculum",
    "DisparityWeights": "task_weights",
    "Evaluation": "evaluation",
    "Group": "types",
    "ImprovementAwareWeights": "task_weights",
    "MTGRPOAgent": "agents.mtgrpo",
    "MultiTaskEnv": "multi_task_env",
    "Policy": "rollout",
    "Problem": "types",
    "QuotaSampler": "quota_sampler",
    "RatioPreservingSampler": "samplers",
    "Rollout": "types",
    "Step": "types",
    "Task": "task",
    "TaskSuite": "suite",
    "TaskWeights": "task_weights",
    "TextEnv": "text_env",
    "TextVectorEnv": "vector",
    "TrainConfig": "agents.config",
    "Trainer": "agents.trainer",
    "Verdict": "text_env",
    "benchmark": "experiments.benchmark",
    "check_task": "checker",
    "evaluate_policy": "evaluation",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with imports_for(name):
        module = importlib.import_module(f"{__name__}.{_MODULES[name]}")
    globals()[name] = getattr(module, name)  # so that this is not called again
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register(
    "MTReason-v0",
    entry_point="mtgrpo_env.envs.mtreason:make_mt_reason",
    vector_entry_point="mtgrpo_env.envs.mtreason:make_mt_reason_vec",
)
