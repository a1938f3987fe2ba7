"""One PPO agent of stable-baselines3 on tasks of different spaces: CartPole and Acrobot.

    pip install stable-baselines3
    python examples/sb3_ppo.py

Learns both in a minute or two on a CPU, and prints the mean return of each before and after.
"""

# stable-baselines3 comes with no extra of ours.
# pyright: reportMissingImports=false

import argparse

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from mtgrpo_env import MultiTaskEnv
from mtgrpo_env.wrappers import PaddedTasks

TASKS = ["CartPole-v1", "Acrobot-v1"]
NUM_ENVS = 8  # each with a curriculum of its own


def make_env() -> PaddedTasks:
    """CartPole's 4 and Acrobot's 6 numbers in one row, with the task one-hot; their 2 and 3 actions in one space."""
    return PaddedTasks(MultiTaskEnv(TASKS))


def returns(model: PPO, scale: VecNormalize, task_id: int, episodes: int) -> list[float]:
    """What episodes of one task come to."""
    env, played = make_env(), []
    observation, _ = env.reset(seed=1, options={"task_weights": np.eye(len(TASKS))[task_id]})
    for _ in range(episodes):
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(scale.normalize_obs(observation), deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, done = total + reward, terminated or truncated
        played.append(total)
        observation, _ = env.reset()
    return played


def main() -> None:
    """Train, and print the mean return of each task before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=75_000, help="of all tasks together")
    parser.add_argument("--episodes", type=int, default=20, help="of each task, to see what it has come to")
    arguments = parser.parse_args()

    envs = VecNormalize(make_vec_env(make_env, n_envs=NUM_ENVS, seed=0))
    model = PPO("MlpPolicy", envs, n_steps=256, batch_size=256, learning_rate=1e-3, seed=0, device="cpu")
    before = [returns(model, envs, k, arguments.episodes) for k in range(len(TASKS))]
    model.learn(arguments.steps)
    after = [returns(model, envs, k, arguments.episodes) for k in range(len(TASKS))]
    print("mean return    before    after")
    for name, old, new in zip(TASKS, before, after, strict=True):
        print(f"{name:12} {np.mean(old):8.1f} {np.mean(new):8.1f}")
    weights = np.mean(envs.get_attr("task_weights"), axis=0)
    print("task weights at the end", ", ".join(f"{z:.2f}" for z in weights))


if __name__ == "__main__":
    main()
