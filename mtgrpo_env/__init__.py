"""Multi-Task GRPO: reasoning tasks as Gymnasium envs, a sampler that keeps their ratio, an agent that keeps the worst.

Importing this package registers `MTReason-v0` and one id for each task, and costs numpy and
gymnasium only. Agents stand in `mtgrpo_env.agents`, tasks in `mtgrpo_env.envs`.
"""

from importlib.metadata import PackageNotFoundError, version

from gymnasium.envs.registration import register

from mtgrpo_env.carry_over import CarryOver
from mtgrpo_env.checker import TaskCheckError, check_task
from mtgrpo_env.evaluation import Evaluation, evaluate_policy
from mtgrpo_env.filters import every_group, lenient, strict
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.rollout import Policy, rollout_groups, sample_batch
from mtgrpo_env.samplers import (
    BatchPlan,
    BatchSampler,
    DynamicSampler,
    MultinomialSampler,
    RatioPreservingSampler,
)
from mtgrpo_env.schedule import Schedule
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, TaskWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import RegularizedWeights, SelfEvolvingWeights, SequentialWeights
from mtgrpo_env.text_env import Provenance, TextEnv, Verdict
from mtgrpo_env.types import Batch, Group, Problem, Rollout, Step, TaskStats
from mtgrpo_env.vector import TextVectorEnv

try:
    __version__ = version("mtgrpo-env")
except PackageNotFoundError:  # running from a checkout that was never installed
    __version__ = "0+unknown"

__all__ = [
    "Batch",
    "BatchPlan",
    "BatchSampler",
    "CarryOver",
    "DisparityWeights",
    "DynamicSampler",
    "Evaluation",
    "Group",
    "ImprovementAwareWeights",
    "MultiTaskEnv",
    "MultinomialSampler",
    "Policy",
    "Problem",
    "Provenance",
    "QuotaSampler",
    "RatioPreservingSampler",
    "RegularizedWeights",
    "Rollout",
    "Schedule",
    "SelfEvolvingWeights",
    "SequentialWeights",
    "Step",
    "Task",
    "TaskCheckError",
    "TaskError",
    "TaskStats",
    "TaskSuite",
    "TaskWeights",
    "TextEnv",
    "TextVectorEnv",
    "UniformWeights",
    "Verdict",
    "check_task",
    "evaluate_policy",
    "every_group",
    "lenient",
    "rollout_groups",
    "sample_batch",
    "strict",
]

register(
    "MTReason-v0",
    entry_point="mtgrpo_env.envs.mtreason:make_mt_reason",
    vector_entry_point="mtgrpo_env.envs.mtreason:make_mt_reason_vec",
)
for _class, _module in {
    "Countdown": "countdown",
    "Zebra": "zebra",
    "Arc": "arc",
    "Mathematics": "mathematics",
    "Science": "science",
    "NumberGuessing": "number_guessing",
}.items():
    register(
        f"MTReason/{_class}-v0",
        entry_point=f"mtgrpo_env.envs.{_module}:{_class}",
        vector_entry_point=f"mtgrpo_env.envs.mtreason:make_{_module}_vec",
    )
