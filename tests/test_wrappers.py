"""`PaddedTasks`: what pads, what passes through, and what is refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Sum
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import FilterObservation, FrameStackObservation, RecordEpisodeStatistics, TimeLimit
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.wrappers import PaddedTasks


class Echo(gym.Env[Any, Any]):
    """Shows samples of a space, remembers the actions, and ends after three steps."""

    def __init__(self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]) -> None:
        self.observation_space, self.action_space = observation_space, action_space
        self.actions: list[Any] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed % 2**31)
        self.left = 3
        self.shown = self.observation_space.sample()
        return self.shown, {"shown": "first"}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.actions.append(action)
        self.left -= 1
        self.shown = self.observation_space.sample()
        return self.shown, 1.0, self.left == 0, False, {"is_success": True, "left": self.left}


OBSERVATIONS = (
    spaces.Box(-2.0, 3.0, (2, 2)),
    spaces.Discrete(5, start=2),
    spaces.MultiBinary(3),
    spaces.MultiDiscrete([2, 4]),
    spaces.Box(-np.inf, np.inf, (1,), dtype=np.float64),
    spaces.Box(0, 255, (2, 3), dtype=np.uint8),
    spaces.Dict({"at": spaces.Discrete(3), "image": spaces.Box(0, 1, (2,))}),
    spaces.Tuple([spaces.Discrete(2), spaces.Box(-1, 0, (2,))]),
)
NUMBERS = (spaces.Discrete(2), spaces.Discrete(5), spaces.Discrete(3, start=-1))
BOXES = (
    spaces.Box(-2.0, 2.0, (1,)),
    spaces.Box(np.array([0.0, -1.0]), np.array([10.0, 1.0]), dtype=np.float64),
    spaces.Box(-np.inf, np.inf, (3,)),
    spaces.Box(0.0, 1.0, (2, 2)),
)


def padded(*tasks: tuple[spaces.Space[Any], spaces.Space[Any]], **options: Any) -> PaddedTasks:
    suite = TaskSuite([Task(f"echo-{k}", partial(Echo, *own)) for k, own in enumerate(tasks)])
    return PaddedTasks(MultiTaskEnv(suite), **options)


def active(env: gym.Env[Any, Any], info: dict[str, Any]) -> Echo:
    tasks = env.unwrapped
    assert isinstance(tasks, MultiTaskEnv)
    echo = tasks.suite.envs(info["task_id"], 1)[0]
    assert isinstance(echo, Echo)
    return echo


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(OBSERVATIONS) - 1), min_size=1, max_size=4), st.booleans(), st.integers(0, 99))
def test_an_observation_is_the_tasks_own_then_zeros_then_the_task(places: list[int], one_hot: bool, seed: int) -> None:
    own = [OBSERVATIONS[place] for place in places]
    env = padded(*[(space, NUMBERS[0]) for space in own], task_one_hot=one_hot)
    longest = max(spaces.flatdim(space) for space in own)
    assert env.observation_space.shape == (longest + one_hot * len(own),)
    observation, info = env.reset(seed=seed)
    for step in range(8):
        k = info["task_id"]
        flat = spaces.flatten(own[k], active(env, info).shown)
        assert observation in env.observation_space
        np.testing.assert_array_equal(observation[: len(flat)], np.asarray(flat, dtype=np.float32))
        np.testing.assert_array_equal(observation[len(flat) : longest], 0)
        np.testing.assert_array_equal(observation[longest:], np.eye(len(own))[k] if one_hot else [])
        observation, _, ended, _, info = env.step(step % 2)
        if ended:
            observation, info = env.reset()


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(NUMBERS) - 1), min_size=1, max_size=4), st.integers(0, 99))
def test_an_action_number_that_a_task_lacks_counts_modulo_its_own(places: list[int], seed: int) -> None:
    own = [NUMBERS[place] for place in places]
    env = padded(*[(OBSERVATIONS[0], space) for space in own])
    most = max(int(space.n) for space in own)
    assert env.action_space == spaces.Discrete(most)
    _, info = env.reset(seed=seed)
    for _ in range(4):
        space, echo = own[info["task_id"]], active(env, info)
        for action in range(3):
            echo.actions.clear()
            mask = env.action_masks()
            assert mask.tolist() == [i < space.n for i in range(most)]
            env.step(np.int64(action % most))
            assert echo.actions[0] in space
            if mask[action % most]:
                assert echo.actions == [space.start + action % most]
        _, info = env.reset()


@settings(max_examples=30, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, len(BOXES) - 1), min_size=1, max_size=4), st.integers(0, 99))
def test_action_numbers_are_scaled_to_the_bounds_of_the_task_and_the_rest_is_ignored(
    places: list[int], seed: int
) -> None:
    own = [BOXES[place] for place in places]
    env = padded(*[(OBSERVATIONS[0], space) for space in own])
    longest = max(int(np.prod(space.shape)) for space in own)
    assert env.action_space == spaces.Box(-1, 1, (longest,))
    _, info = env.reset(seed=seed)
    for sign in (-1.0, 1.0, 0.0):
        space, echo = own[info["task_id"]], active(env, info)
        echo.actions.clear()
        env.step(np.full(longest, sign, dtype=np.float32))
        (played,) = echo.actions
        low, high = (np.where(np.isfinite(space.low), bound, end) for bound, end in ((space.low, -1), (space.high, 1)))
        assert played in space
        np.testing.assert_allclose(played, (low + high) / 2 + sign * (high - low) / 2)
        _, info = env.reset()


def test_infos_rewards_and_weights_pass_through_wrappers_inside_and_outside() -> None:
    suite = TaskSuite([Task(f"echo-{k}", partial(Echo, OBSERVATIONS[k], NUMBERS[k])) for k in range(2)])
    inner = TimeLimit(RecordEpisodeStatistics(MultiTaskEnv(suite, group_size=2)), 50)
    env = RecordEpisodeStatistics(PaddedTasks(inner), stats_key="outer")
    _, info = env.reset(seed=0, options={"task_weights": [0.0, 1.0]})
    assert (info["task"], info["shown"], info["rollout"]) == ("echo-1", "first", 0)
    env.step(0)
    env.step(0)
    _, reward, terminated, _, info = env.step(0)
    assert (reward, terminated, info["left"], info["is_success"], info["task_id"]) == (1.0, True, 0, True, 1)
    assert info["episode"]["r"] == info["outer"]["r"] == 3.0
    np.testing.assert_array_equal(env.get_wrapper_attr("task_weights"), [0, 1])
    env.set_wrapper_attr("task_weights", [1.0, 0.0])
    np.testing.assert_array_equal(env.get_wrapper_attr("task_weights"), [1, 0])


def test_weights_set_on_the_wrapper_are_those_of_the_env() -> None:
    tasks = MultiTaskEnv(["CartPole-v1", "Acrobot-v1"])
    env = PaddedTasks(RecordEpisodeStatistics(tasks))
    env.task_weights = {"Acrobot-v1": 1.0}
    assert tasks.task_weights.tolist() == env.task_weights.tolist() == [0.0, 1.0]
    assert env.reset(seed=0)[1]["task"] == "Acrobot-v1"
    env.task_weights = None
    assert tasks.task_weights.tolist() == [0.5, 0.5]


def test_tasks_that_agree_on_their_spaces_are_padded_by_nothing() -> None:
    env = padded((OBSERVATIONS[0], NUMBERS[1]), (OBSERVATIONS[0], NUMBERS[1]), task_one_hot=False)
    assert env.observation_space == spaces.Box(-2, 3, (4,))
    assert env.action_space == NUMBERS[1]


@pytest.mark.filterwarnings("ignore:.*is different from the unwrapped version.*")
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes.*")
@pytest.mark.filterwarnings("ignore:.*Box observation space .* value is .*infinity.*")
def test_check_env_finds_nothing() -> None:
    check_env(PaddedTasks(MultiTaskEnv(["CartPole-v1", "Acrobot-v1"])), skip_render_check=True)
    check_env(PaddedTasks(MultiTaskEnv(["Pendulum-v1", "MountainCarContinuous-v0"])), skip_render_check=True)
    check_env(padded((OBSERVATIONS[6], NUMBERS[1]), (OBSERVATIONS[1], NUMBERS[2])), skip_render_check=True)


def test_mixtures_of_numbers_and_choices_are_refused_by_the_names_of_the_tasks() -> None:
    with pytest.raises(ValueError, match=r"all have Disc.* Discrete\(2\) in 'CartPole-v1', Box.* in 'Pendulum-v1'"):
        PaddedTasks(MultiTaskEnv(["CartPole-v1", "Pendulum-v1"]))
    with pytest.raises(ValueError, match=r"all have Discrete .*MultiBinary\(2\) in 'echo-0'"):
        padded((OBSERVATIONS[0], spaces.MultiBinary(2)))
    env = padded((OBSERVATIONS[0], BOXES[0]))
    with pytest.raises(ValueError, match="only Discrete actions have masks, got Box"):
        env.action_masks()


class Mission(spaces.Space[str]):
    """A space that Gymnasium does not know."""


@pytest.mark.parametrize("text", [spaces.Text(9), Mission(), spaces.Sequence(spaces.Discrete(2))])
def test_observations_that_are_no_row_of_numbers_are_refused_until_the_task_is_wrapped(text: Any) -> None:
    both = spaces.Dict({"image": spaces.Box(0, 1, (2,)), "mission": text})
    for space in (text, both, spaces.Tuple([text])):
        with pytest.raises(ValueError, match="observations of task 'echo-1' must be numbers of a fixed count, got "):
            padded((OBSERVATIONS[0], NUMBERS[0]), (space, NUMBERS[0]))
    if not isinstance(text, Mission):

        def wrapped() -> gym.Env[Any, Any]:
            return FilterObservation(Echo(both, NUMBERS[0]), ["image"])

        env = PaddedTasks(MultiTaskEnv([Task("wrapped", wrapped)]), task_one_hot=False)
        assert env.observation_space == spaces.Box(0, 1, (2,))


def test_other_envs_are_refused() -> None:
    expected = "expected a MultiTaskEnv, alone or in wrappers that leave its spaces as they are, got "
    with pytest.raises(ValueError, match=f"{expected}.*CartPole"):
        PaddedTasks(gym.make("CartPole-v1"))
    with pytest.raises(ValueError, match=f"{expected}.*FrameStack"):
        PaddedTasks(FrameStackObservation(MultiTaskEnv(["CartPole-v1"]), 2))
    with pytest.raises(ValueError, match="observations of task 'Sum' must be numbers"):
        PaddedTasks(MultiTaskEnv([Sum]))


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Box(0, 3, (1,), dtype=np.int64), {0, 1, 2, 3}),
        (spaces.Box(-1, 1, (1,), dtype=np.int8), {-1, 0, 1}),
        (spaces.Box(5, np.inf, (1,)), {5.0, 6.0, 7.0}),
    ],
)
def test_equal_parts_of_an_action_reach_every_whole_number_and_go_up_from_a_single_bound(
    space: spaces.Box, expected: set[float]
) -> None:
    echo = Echo(spaces.Discrete(2), space)
    env = PaddedTasks(MultiTaskEnv(TaskSuite([Task("echo", lambda: echo)])))
    numbers = np.linspace(-1, 1, 3 if space.dtype == np.float32 else 3 * len(expected))
    for number in numbers:
        env.reset(seed=0)
        env.step(np.array([number], dtype=np.float32))
    played = [float(action[0]) for action in echo.actions]
    assert set(played) == expected
