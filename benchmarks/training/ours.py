"""Our training step, from prompts to new parameters: an agent as anyone composes it."""

from __future__ import annotations

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.neural.losses import Objective
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.filters import every_group
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import ImprovementAwareWeights, TaskWeights, UniformWeights
from training import setting
from training.setting import Size

NUM_TASKS = 3


def suite() -> TaskSuite:
    """Three tasks of one kind: what is timed is the step, not the tasks."""
    return TaskSuite([Task.from_text(f"digits-{k}", setting.DigitsEnv) for k in range(NUM_TASKS)])


def grpo(size: Size) -> MTGRPOAgent:
    """Plain GRPO: uniform weights, and nothing measured for them."""
    return _agent(size, UniformWeights(NUM_TASKS))


def mt_grpo(size: Size) -> MTGRPOAgent:
    """MT-GRPO on as many rollouts: after the update a forward pass tells how far each task improved."""
    return _agent(size, ImprovementAwareWeights(NUM_TASKS))


def _agent(size: Size, task_weights: TaskWeights) -> MTGRPOAgent:
    tokenizer, model = setting.tokenizer_and_model(size)
    policy = LanguageModelPolicy(model, tokenizer, decoding=Decoding(setting.NEW_TOKENS))
    engine = TorchTrainEngine(model, lr=setting.LEARNING_RATE, max_grad_norm=setting.MAX_GRAD_NORM)
    objective = Objective(clip_low=setting.CLIP_LOW, clip_high=setting.CLIP_HIGH)
    learner = LanguageModelLearner(policy, engine, objective=objective, num_minibatches=1)
    tasks, sampler = suite(), MultinomialSampler(NUM_TASKS, setting.NUM_PROMPTS, seed=0)
    curriculum = Curriculum(tasks, sampler=sampler, task_weights=task_weights, group_filter=every_group)
    return MTGRPOAgent(tasks, policy, learner, curriculum=curriculum, group_size=setting.GROUP_SIZE)
