"""A `MultiTaskEnv` renders as its tasks do."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Sum
from gymnasium import spaces
from gymnasium.wrappers import RecordVideo, RenderCollection

from mtgrpo_env.envs.gymnasium_tasks import control_tasks
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.wrappers import PaddedTasks


class Painted(gym.Env[Any, Any]):
    """Five steps, each a grey frame."""

    metadata = {"render_modes": ["rgb_array", "ansi"], "render_fps": 20}
    action_space = spaces.Discrete(2)

    def __init__(self, size: int = 2, *, render_mode: str | None = None) -> None:
        self.observation_space = spaces.Box(0, 5, (size,))
        self.render_mode = render_mode
        self.closed = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.steps = 0
        return np.zeros(self.observation_space.shape or (), np.float32), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        last = self.steps == 5
        return (
            np.full(self.observation_space.shape or (), self.steps, np.float32),
            1.0,
            last,
            False,
            {"is_success": last},
        )

    def render(self) -> Any:
        return np.full((32, 32, 3), self.steps, np.uint8) if self.render_mode == "rgb_array" else str(self.steps)

    def close(self) -> None:
        self.closed += 1


class Slow(Painted):
    """The same with fewer frames a second, and no text."""

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 4}


def tasks() -> list[Task]:
    return [Task("painted", Painted), Task("slow", partial(Slow, 3))]


def test_tasks_are_made_to_render_as_the_env_does() -> None:
    env = MultiTaskEnv(tasks(), render_mode="rgb_array")
    assert env.metadata == {"render_modes": ["rgb_array"], "render_fps": 4}
    for k, name in enumerate(("painted", "slow")):
        _, info = env.reset(seed=0, options={"task_weights": np.eye(2)[k]})
        assert info["task"] == name
        assert env.render().tolist() == np.zeros((32, 32, 3)).tolist()
        env.step((0, 0))
        assert env.render().max() == 1


def test_an_env_that_renders_nothing_or_text_is_as_before() -> None:
    assert MultiTaskEnv(tasks()).render() is None
    env = MultiTaskEnv([Task("painted", Painted), Task.from_text("sum", Sum)], render_mode="ansi")
    assert env.metadata == {"render_modes": ["ansi"], "render_fps": 4}
    env.reset(seed=0, options={"task_weights": [0, 1]})
    assert env.render().endswith("=")


def test_rendering_changes_no_episode() -> None:
    played = []
    for mode in (None, "rgb_array"):
        env = MultiTaskEnv(tasks(), group_size=2, render_mode=mode)
        infos = [env.reset(seed=3)[1]]
        for _ in range(40):
            *_, ended, _, info = env.step((1, 1))
            infos.append({name: info[name] for name in ("task", "batch", "group", "rollout")})
            if ended:
                env.reset()
        played.append(infos)
    assert played[0] == played[1]


@pytest.mark.parametrize("wrap", [lambda env: env, PaddedTasks])
def test_an_episode_can_be_filmed(wrap: Any, tmp_path: Path) -> None:
    env = wrap(MultiTaskEnv(tasks(), render_mode="rgb_array"))
    has_encoder = importlib.util.find_spec("moviepy") is not None
    filmed = (
        RecordVideo(env, str(tmp_path / "videos"), episode_trigger=lambda _: True)
        if has_encoder
        else RenderCollection(env)
    )
    filmed.reset(seed=0)
    for _ in range(5):
        filmed.step(0 if wrap is PaddedTasks else (0, 0))
    if has_encoder:
        filmed.close()
        assert [path.name for path in (tmp_path / "videos").iterdir()] == ["rl-video-episode-0.mp4"]
    else:
        assert len(filmed.render()) == 6  # pyright: ignore[reportArgumentType]


def test_a_mode_that_a_task_lacks_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"one of every task's, \['human', 'rgb_array'\] for 'slow', got 'ansi'"):
        MultiTaskEnv(tasks(), render_mode="ansi")
    with pytest.raises(ValueError, match=r"one of every task's, \['ansi'\] for 'sum', got 'rgb_array'"):
        MultiTaskEnv([Task("painted", Painted), Task.from_text("sum", Sum)], render_mode="rgb_array")
    with pytest.raises(ValueError, match=r"\['ansi'\] for 'countdown-medium', got 'rgb_array'"):
        gym.make("MTReason-v0", render_mode="rgb_array")
    with pytest.raises(ValueError, match="task 'mine' cannot be made with render_mode='rgb_array', which its `make`"):
        MultiTaskEnv([Task("mine", lambda: Painted())], render_mode="rgb_array")


def test_every_env_that_was_made_is_closed() -> None:
    env = MultiTaskEnv(tasks(), render_mode="rgb_array")
    made = [*env._envs, *(env.suite.envs(k, 1)[0] for k in range(2))]
    env.close()
    assert all(isinstance(each, Painted) and each.closed for each in made)
    assert len(set(map(id, made))) == 4


def test_the_control_tasks_can_be_made_to_render() -> None:
    env = MultiTaskEnv(TaskSuite(control_tasks()), render_mode="rgb_array")
    assert "rgb_array" in env.metadata["render_modes"]
    assert [each.render_mode for each in env._envs] == ["rgb_array"] * 6
