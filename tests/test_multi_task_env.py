from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Recording, Scripted, sample_batch
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.mtreason import make_mt_reason
from mtgrpo_env.envs.toy import LockEnv, toy_suite
from mtgrpo_env.envs.zebra import Zebra
from mtgrpo_env.filters import success_differs
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.samplers import BatchSampler, DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.types import GroupFilter, Problem

N = 4
SAMPLERS = [RatioPreservingSampler, DynamicSampler, MultinomialSampler]


class Counting:
    """A player whose action depends on nothing but how often it was asked: the two drivers must agree with it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def action(self, problem_seed_like: Any, rollout: int) -> int:
        return int(np.random.default_rng([self.seed, int(problem_seed_like), rollout]).integers(4))

    def act(self, observations: Any, task_ids: Any, *, deterministic: bool = False) -> tuple[list[int], list[None]]:
        return [self.action(o, i % N) for i, o in enumerate(observations)], [None] * len(observations)


def env_of(
    suite: TaskSuite, sampler: BatchSampler[Any], *, group_filter: GroupFilter = success_differs, **options: Any
) -> MultiTaskEnv:
    """On a curriculum whose weights stay equal until they are set."""
    uniform = UniformWeights(suite.num_tasks)
    return MultiTaskEnv(Curriculum(suite, sampler=sampler, task_weights=uniform, group_filter=group_filter), **options)


def one_step_suite() -> Recording:
    """One-digit locks, so that an episode is one action and a group's outcome depends on its problem alone."""
    return Recording([Task(f"lock-{k}", partial(LockEnv, 1, num_locks=8, code_seed=k)) for k in range(3)])


Given = tuple[list[Problem], list[Any]]


def by_sample_batch(sampler: BatchSampler[Any], weights: list[np.ndarray], seed: int) -> Given:
    suite = one_step_suite()
    suite.reseed(seed)
    sampler.reseed(seed)
    kept = []
    for z in weights:
        batch = sample_batch(suite, Counting(3), sampler, z, group_size=N)
        kept.append([group.problem for group in batch.groups])
    return suite.given, kept


def by_plain_loop(sampler: BatchSampler[Any], weights: list[np.ndarray], seed: int) -> Given:
    suite, player = one_step_suite(), Counting(3)
    env = env_of(suite, sampler, group_size=N)
    kept, first, start = [], True, 0
    for z in weights:
        env.set_task_weights(z)
        while True:
            observation, info = env.reset(seed=seed if first else None)
            first = False
            *_, info = env.step(player.action(observation, info["rollout"]))
            if info["batch_complete"]:
                break
        kept.append([suite.given[start + i] for i in info["selected_groups"]])
        start = len(suite.given)
    return suite.given, kept


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_plain_loop_and_sample_batch_get_the_same_problems_and_keep_the_same_groups(sampler_type: Any) -> None:
    weights = [np.array(z) for z in ([1 / 3] * 3, [0.6, 0.3, 0.1], [0.0, 0.5, 0.5])]
    batched = by_sample_batch(sampler_type(3, 8), weights, seed=5)
    looped = by_plain_loop(sampler_type(3, 8), weights, seed=5)
    assert len(batched[0]) >= 24
    assert batched[0] == looped[0]
    assert batched[1] == looped[1]


def toy_env(**options: Any) -> MultiTaskEnv:
    return env_of(toy_suite(3), RatioPreservingSampler(3, 6), **{"group_size": 3, **options})


def play(env: gym.Env[Any, Any], seed: int | None = None) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """One episode of zeros: first observation, first and last info."""
    observation, first = env.reset(seed=seed)
    done, last = False, first
    while not done:
        _, _, terminated, truncated, last = env.step(0)
        done = terminated or truncated
    return observation, first, last


def test_each_problem_is_played_group_size_times_and_info_says_where_one_is() -> None:
    env = toy_env()
    episodes = [play(env, seed=0 if i == 0 else None) for i in range(12)]
    assert [first["rollout"] for _, first, _ in episodes] == [0, 1, 2] * 4
    assert [first["group"] for _, first, _ in episodes] == list(np.repeat(range(4), 3))
    for group in range(4):
        members = episodes[3 * group : 3 * group + 3]
        assert len({observation for observation, _, _ in members}) == 1
        assert len({first["task"] for _, first, _ in members}) == 1
        assert ["group_informative" in last for _, _, last in members] == [False, False, True]
        assert all("is_success" in last and not last["batch_complete"] for _, _, last in members)


def test_an_episode_left_before_its_first_step_is_played_again() -> None:
    env = toy_env()
    first, info = env.reset(seed=1)
    again, again_info = env.reset()
    assert (first, info) == (again, again_info)
    _, after, _ = play(env)
    assert after["rollout"] == 0


def test_an_episode_whose_reset_fails_is_kept_for_the_next_reset() -> None:
    env = toy_env()
    env.reset(seed=1)
    expected = [play(env)[:2] for _ in range(4)]
    _, info = env.reset(seed=1)
    task_env = env.suite.envs(info["task_id"], 1)[0]

    def broken(**_: Any) -> None:
        raise OSError("the disk is full")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_env, "reset", broken)
        with pytest.raises(OSError, match="full"):
            env.reset()
        with pytest.raises(gym.error.ResetNeeded, match="call reset"):
            env.step(0)
    assert [play(env)[:2] for _ in range(4)] == expected


@pytest.mark.parametrize("episodes", [0, 1, 7, 40])
def test_a_seed_starts_everything_anew_wherever_the_env_stands(episodes: int) -> None:
    fresh, used = toy_env(), toy_env()
    for i in range(episodes):
        play(used, seed=9 if i == 0 else None)
    for i in range(20):
        assert play(fresh, seed=4 if i == 0 else None) == play(used, seed=4 if i == 0 else None)


def test_equal_seeds_replay_everything() -> None:
    check_environments_match(toy_env(), toy_env(), num_steps=200, seed=3)


def test_a_batch_in_which_nothing_was_informative_completes_empty() -> None:
    sampler = RatioPreservingSampler(3, 4, max_resamples=1)
    env = env_of(toy_suite(3), sampler, group_size=2, group_filter=lambda group: False)
    last = play(env, seed=0)[2]
    episodes = 1
    while not last["batch_complete"]:
        last, episodes = play(env)[2], episodes + 1
    assert episodes == 2 * sampler.round_size * 2
    assert last["selected_groups"] == []
    assert last["group_weights"] == []
    assert (sampler.filter_rates > 0).all()
    assert play(env)[1]["group"] == 0


def test_a_rollout_whose_scorer_failed_does_not_make_a_group_informative() -> None:
    def script(action: str) -> tuple[float, dict[str, Any]]:
        return (1.0, {"is_success": True}) if action == "right" else (0.0, {"is_success": False, "valid": False})

    suite = TaskSuite([Task("scripted", partial(Scripted, script))])
    env = env_of(suite, MultinomialSampler(1, 4), group_size=2)
    env.reset(seed=0)
    env.step("right")
    env.reset()
    assert not env.step("crash")[4]["group_informative"]


def test_a_group_of_one_is_always_informative_unless_a_filter_is_given() -> None:
    env = env_of(toy_suite(3), MultinomialSampler(3, 4))
    assert [play(env, seed=0 if i == 0 else None)[2]["group_informative"] for i in range(8)] == [True] * 8


def test_new_weights_take_effect_with_the_next_batch() -> None:
    env = toy_env(group_filter=lambda group: True)
    env.reset(seed=0)
    env.set_task_weights([0.0, 0.0, 1.0])
    seen: list[set[str]] = [set(), set()]
    for batch in range(2):
        complete = False
        while not complete:
            _, first, last = play(env)
            seen[batch].add(first["task"])
            complete = last["batch_complete"]
    assert len(seen[0]) == 3
    assert seen[1] == {"lock-2-length-3"}


def test_realised_shares_match_the_weights_although_filtering_is_uneven() -> None:
    """Filter rates .9, .1, .5; z = .2, .5, .3; 60 batches of 32: mean share within .03 of z, and DAPO's is not."""
    z, rates = np.array([0.2, 0.5, 0.3]), np.array([0.9, 0.1, 0.5])
    rng = np.random.default_rng(0)
    shares = {}
    for sampler in (RatioPreservingSampler(3, 32), DynamicSampler(3, 32)):
        suite = TaskSuite([Task(f"lock-{k}", partial(LockEnv, 1, code_seed=k)) for k in range(3)])
        env = env_of(suite, sampler, group_size=1, group_filter=lambda g: bool(rng.random() >= rates[g.task_id]))
        env.set_task_weights(z)
        kept, tasks = np.zeros(3), []
        for batch in range(60):
            tasks.clear()
            while True:
                _, info = env.reset(seed=7 if batch == 0 and not tasks else None)
                tasks.append(info["task_id"])
                *_, info = env.step(0)
                if info["batch_complete"]:
                    break
            kept += np.bincount([tasks[i] for i in info["selected_groups"]], minlength=3)
        shares[type(sampler).__name__] = kept / kept.sum()
    biased = z * (1 - rates) / (z * (1 - rates)).sum()
    assert np.abs(shares["RatioPreservingSampler"] - z).max() < 0.03
    assert np.abs(shares["DynamicSampler"] - biased).max() < 0.03
    assert np.abs(shares["DynamicSampler"] - z).max() > 0.1


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes.*")
def test_check_env_finds_nothing() -> None:
    check_env(toy_env(), skip_render_check=True)
    check_env(make_mt_reason(level="mini"), skip_render_check=True)
    check_env(make_mt_reason(level="mini", render_mode="ansi"), skip_render_check=True)


def test_tasks_with_different_spaces_are_played_through_one_env() -> None:
    suite = TaskSuite([Task.from_id("CartPole-v1"), Task.from_id("FrozenLake-v1")])
    env = env_of(suite, MultinomialSampler(2, 6), group_size=2)
    assert isinstance(env.observation_space, spaces.OneOf)
    assert isinstance(env.action_space, spaces.Tuple)
    env.action_space.seed(0)
    tasks, complete, seed = set(), False, 0
    while not complete:
        (task_id, observation), info = env.reset(seed=seed)
        seed, done = None, False
        while not done:
            assert task_id == info["task_id"]
            assert observation in env.observation_space.spaces[task_id]
            (task_id, observation), _, terminated, truncated, info = env.step(env.action_space.sample())
            done = terminated or truncated
        tasks.add(info["task"])
        complete = info["batch_complete"]
    assert tasks == {"CartPole-v1", "FrozenLake-v1"}


def test_of_an_action_for_mixed_spaces_the_active_slot_is_played() -> None:
    """FrozenLake would refuse the 5 that stands in CartPole's slot, and the other way round."""
    tasks = [Task.from_id("FrozenLake-v1", env_options={"is_slippery": False}), Task.from_id("CartPole-v1")]
    env = env_of(TaskSuite(tasks), MultinomialSampler(2, 1))
    env.set_task_weights(np.array([1.0, 0.0]))
    env.reset(seed=0)
    assert env.step((2, 5))[0] == (0, 1)  # one step to the right
    env.set_task_weights(np.array([0.0, 1.0]))
    env.reset(seed=0)
    (task_id, observation), *_ = env.step((7, 1))
    assert task_id == 1
    assert observation[1] > 0  # pushed to the right


def test_the_puzzle_and_then_the_response_are_rendered_when_asked_for() -> None:
    env = gym.make("mtgrpo_env:MTReason-v0", level="mini", render_mode="ansi", group_size=1)
    prompt, _ = env.reset(seed=0)
    assert env.render() == prompt
    env.step("17")
    assert env.render() == f"{prompt}\n> 17"
    silent = make_mt_reason(level="mini")
    silent.reset(seed=0)
    assert silent.render() is None


def test_misuse_is_named() -> None:
    env = toy_env()
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)
    with pytest.raises(ValueError, match=r"the only reset option is 'task_weights', got \['split'\]"):
        env.reset(options={"split": "test"})
    play(env)
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(0)
    for weights in ([0.5, 0.5], [0.5, 0.6, 0.1], [1.2, -0.1, -0.1], [np.nan, 0.5, 0.5]):
        with pytest.raises(ValueError, match="task weights"):
            env.set_task_weights(weights)
    with pytest.raises(ValueError, match=r"there are 3 tasks, \[.*\], the sampler expects 2"):
        Curriculum(toy_suite(3), sampler=RatioPreservingSampler(2, 6))
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        toy_env(group_size=0)
    with pytest.raises(ValueError, match=r"render_mode must be .*, \[\] for 'lock-0-length-1', got 'human'"):
        toy_env(render_mode="human")


def test_a_mt_reason_batch_smaller_than_its_tasks_is_refused() -> None:
    with pytest.raises(ValueError, match="at least the number of tasks, 3, got 2"):
        make_mt_reason(level="mini", batch_size=2)


def test_weights_choose_the_task_and_its_env_judges_the_answer() -> None:
    env = make_mt_reason(level="mini", task_weights=[0, 1, 0], group_size=2)
    prompt, _ = env.reset(seed=0)
    zebra = env.suite.envs(1, 1)[0].unwrapped
    assert isinstance(zebra, Zebra)
    assert prompt == zebra.prompt(zebra.puzzle)
    _, reward, terminated, _, info = env.step(zebra.oracle(zebra.puzzle))
    assert (reward, terminated, info["is_success"], info["task"]) == (1.0, True, True, "zebra-mini")
