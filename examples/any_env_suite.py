"""MT-GRPO on any Gymnasium envs: here, combination locks and a table instead of a language model.

    python examples/any_env_suite.py

Compares GRPO, DAPO and MT-GRPO at equal steps; takes some seconds and needs numpy only.
"""

from mtgrpo_env.agents.methods import METHODS, MethodConfig
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite

STEPS = 40


def main() -> None:
    """Train each method on locks of one to four digits and print what became of the worst."""
    for name, method in METHODS.items():
        suite = toy_suite(4)
        parts = method(MethodConfig(suite.num_tasks, batch_size=32, weight_lr=0.05))
        policy = TabularPolicy(suite.num_tasks, num_observations=16, num_actions=4)
        learner = TabularLearner(policy, lr=4.0, clip_high=parts.clip_high)
        agent = MTGRPOAgent(suite, policy, learner, parts.sampler, parts.task_weights, group_size=8)
        agent.train(STEPS)
        result = agent.evaluate(suite.held_out(50), rollouts_per_problem=4)
        accuracies = " ".join(f"{accuracy:.2f}" for accuracy in result.accuracies)
        print(f"{name:8} worst {result.worst:.2f}   per task {accuracies}   {agent.rollouts:,} rollouts")


if __name__ == "__main__":
    main()
