"""A plain Gymnasium loop over three reasoning tasks, in the ratio of the task weights.

    python examples/quickstart.py

The player guesses, and knows nothing of groups or batches; the env decides which task comes next.
"""

import gymnasium as gym
import numpy as np

import mtgrpo_env  # noqa: F401  # registers MTReason-v0

WEIGHTS = [0.2, 0.5, 0.3]


def main() -> None:
    """Play one batch and compare what was asked for with what came out."""
    env = gym.make("MTReason-v0", level="mini", group_size=8, batch_size=32)
    suite = env.get_wrapper_attr("suite")
    rng = np.random.default_rng(0)
    tasks_of_groups: list[str] = []
    _, info = env.reset(seed=0, options={"task_weights": WEIGHTS})
    while True:
        if info["rollout"] == 0:
            tasks_of_groups.append(info["task"])
        task = suite.envs(info["task_id"], 1)[0].unwrapped
        response = task.oracle(task.puzzle) if rng.random() < 0.3 else task.guess(task.puzzle, rng)
        _, _, _, _, info = env.step(response)
        if info["batch_complete"]:
            break
        _, info = env.reset()
    kept = [tasks_of_groups[i] for i in info["selected_groups"]]
    print(f"{len(tasks_of_groups)} groups generated, {len(kept)} with a gradient and in the batch")
    for name, weight in zip(suite.names, WEIGHTS, strict=True):
        print(f"  {name:15} weight {weight:.2f}   share of the batch {kept.count(name) / len(kept):.2f}")


if __name__ == "__main__":
    main()
