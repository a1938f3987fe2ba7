"""A plain Gymnasium loop over three reasoning tasks, in the ratio of the task weights.

    python examples/quickstart.py

The player guesses, and knows nothing of groups or batches; the env decides which task comes next.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

import mtgrpo_env  # noqa: F401  # registers MTReason-v0

WEIGHTS = [0.2, 0.5, 0.3]
BATCHES = 3


def main() -> None:
    """Play some batches and compare the weights with the shares of the loss."""
    env = gym.make("MTReason-v0", level="mini", group_size=8, batch_size=32)
    suite = env.get_wrapper_attr("suite")
    rng = np.random.default_rng(0)
    task_of: dict[tuple[int, int], str] = {}  # by batch and group: groups of a rare task come back in later batches
    _, info = env.reset(seed=0, options={"task_weights": WEIGHTS})
    while True:
        task_of[info["batch"], info["group"]] = info["task"]
        task = suite.envs(info["task_id"], 1)[0].unwrapped
        response = task.oracle(task.puzzle) if rng.random() < 0.3 else task.guess(task.puzzle, rng)
        _, _, _, _, info = env.step(response)
        if info["batch_complete"]:
            show_batch(info, task_of, suite.names)
            if info["batch"] == BATCHES - 1:
                break
        _, info = env.reset()


def show_batch(info: dict[str, Any], task_of: dict[tuple[int, int], str], names: Sequence[str]) -> None:
    """The groups to train on, new and replayed, and what each task counts in the loss."""
    new, old = [(info["batch"], group) for group in info["selected_groups"]], info["replayed_groups"]
    weights = dict(zip([*new, *old], [*info["group_weights"], *info["replay_weights"]], strict=True))
    print(f"batch {info['batch']}: {len(new)} new groups and {len(old)} replayed ones to train on")
    for name, weight in zip(names, WEIGHTS, strict=True):
        share = sum(w for group, w in weights.items() if task_of[group] == name) / sum(weights.values())
        print(f"  {name:15} weight {weight:.2f}   share of the loss {share:.2f}")


if __name__ == "__main__":
    main()
