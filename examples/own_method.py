"""A rule for the task weights and a sampler of your own, beside built-in methods: EXP3, and B z groups of each task.

    python examples/own_method.py
    mtgrpo compare --methods examples.own_method:exp3 mt-grpo dapo

A method is a function from the facts of a run to its parts; its keyword-only arguments are the options it takes.
"""

from dataclasses import replace

import numpy as np

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.recipes import RECIPES, Method, RunFacts, make_method
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.plans import BatchSampler, systematic
from mtgrpo_env.samplers import MultinomialPlan
from mtgrpo_env.task_weights import TaskWeights, softmax
from mtgrpo_env.types import FloatArray, TaskStats


class Exp3(TaskWeights):
    """EXP3: tasks are arms that pay their mean |A|; a share γ of the batch explores."""

    uses_improvements = False
    hyperparameter_names, state_names = ("num_tasks", "exploration"), ("gains",)

    def __init__(self, num_tasks: int, exploration: float) -> None:
        self.num_tasks, self.exploration, self.gains = num_tasks, exploration, np.zeros(num_tasks)

    @property
    def probabilities(self) -> FloatArray:
        z = softmax(self.exploration / self.num_tasks * self.gains)
        return (1 - self.exploration) * z + self.exploration / self.num_tasks

    def update(self, stats: TaskStats) -> None:
        self.gains = self.gains + np.nan_to_num(stats.mean_abs_advantages) / self.probabilities


class RoundedSampler(BatchSampler[MultinomialPlan]):
    """As near to B z as whole groups are, nothing filtered."""

    def plan(self, probabilities: FloatArray) -> MultinomialPlan:
        return MultinomialPlan(systematic(self.rng, self.batch_size * probabilities), self.batch_size, self.rng)


def exp3(facts: RunFacts, *, exploration: float = 0.5) -> Method:
    """The method: `exploration` is an option of it."""
    return Method(RoundedSampler(*facts.sizes, seed=facts.seed), Exp3(facts.num_tasks, exploration))


def default_with_exp3(facts: RunFacts, *, exploration: float = 0.5) -> Method:
    """The default method with no part swapped but the rule."""
    return replace(make_method("quota-mt-grpo", facts), task_weights=Exp3(facts.num_tasks, exploration))


if __name__ == "__main__":
    own = {"exp3": exp3, "default_with_exp3": default_with_exp3}
    print("method             worst  average  weights of locks of 1 to 4 digits")
    for name, recipe in {**own, **{name: RECIPES[name] for name in ("quota-mt-grpo", "dapo", "grpo")}}.items():
        suite, policy = toy_suite(4), TabularPolicy(4, num_observations=16, num_actions=4)
        agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), method=recipe(RunFacts(4, batch_size=32)))
        agent.train(40)
        result = agent.evaluate(suite.held_out(50), rollouts_per_problem=4)
        print(f"{name:18} {result.worst:.2f}   {result.average:.2f}    {agent.curriculum.probabilities.round(2)}")
