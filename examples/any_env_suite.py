"""MT-GRPO on any Gymnasium envs: here, combination locks and a table instead of a language model.

    python examples/any_env_suite.py

Compares four methods at equal steps; takes some seconds and needs numpy only.
"""

from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.agents.tabular import TabularLearner, TabularPolicy
from mtgrpo_env.envs.toy import toy_suite

STEPS = 40


def main() -> None:
    """Train each method on locks of one to four digits and print what became of the worst."""
    for name in ("quota-mt-grpo", "mt-grpo", "dapo", "grpo"):
        suite = toy_suite(4)
        policy = TabularPolicy(suite.num_tasks, num_observations=16, num_actions=4)
        agent = MTGRPOAgent(suite, policy, TabularLearner(policy, lr=4.0), method=name)
        agent.train(STEPS)
        result = agent.evaluate(suite.held_out(50), rollouts_per_problem=4)
        accuracies = " ".join(f"{accuracy:.2f}" for accuracy in result.accuracies)
        print(f"{name:13} worst {result.worst:.2f}   per task {accuracies}   {agent.rollouts:,} rollouts")


if __name__ == "__main__":
    main()
