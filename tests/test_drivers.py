"""Envs are drivers of a curriculum: equal seeds give what `Curriculum.draw` gives, and weights are set through them."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Recording, Sum, guess_suite
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import OrderEnforcing, RecordEpisodeStatistics, TimeLimit
from gymnasium.wrappers.vector import RecordEpisodeStatistics as RecordVectorStatistics

from mtgrpo_env.curriculum import Curriculum, StarvedTaskWarning
from mtgrpo_env.envs.mtreason import make_mt_reason
from mtgrpo_env.multi_task_env import MultiTaskEnv
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.samplers import DynamicSampler, RatioPreservingSampler
from mtgrpo_env.schedule import Schedule
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights
from mtgrpo_env.text_env import Verdict
from mtgrpo_env.types import Problem
from mtgrpo_env.vector import TextVectorEnv

N, B, BATCHES = 2, 6, 8
CHANCES = (0.5, 0.1, 0.9)
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "default": lambda: {"batch_size": B},
    "algorithm 2 with replay": lambda: {"sampler": RatioPreservingSampler(3, B), "replay": ReplayBuffer()},
    "dapo with replay": lambda: {"sampler": DynamicSampler(3, B, oversampling=1.5), "replay": ReplayBuffer(max_uses=1)},
    "algorithm 2": lambda: {
        "sampler": RatioPreservingSampler(3, B),
        "task_weights": DisparityWeights(3, tolerance=0.1),
    },
}


SELECTION = ("selected_groups", "group_weights", "replayed_groups", "replay_weights", "task_weights")


class Lottery(Sum):
    """Any response is right as often as `chance` says, by nothing but the puzzle and the response."""

    def __init__(self, chance: float, **options: Any) -> None:
        super().__init__(**options)
        self.chance = chance

    def verify(self, puzzle: tuple[int, int], response: str) -> Verdict:
        wins = zlib.crc32(f"{puzzle}{response}".encode()) % 1000 < 1000 * self.chance
        return Verdict(float(wins), wins, "correct" if wins else "wrong")


class Numbering:
    """Responds with the number of the rollout within its group."""

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[None]]:
        return [str(i % N) for i in range(len(observations))], [None] * len(observations)


def lottery(parts: str = "default") -> Curriculum:
    suite = Recording([Task.from_text(f"lottery-{k}", partial(Lottery, chance)) for k, chance in enumerate(CHANCES)])
    return Curriculum(suite, **PARTS[parts]())


Selected = list[list[tuple[Problem, float]]]
"""Of each batch, the problems of its groups and their loss weights."""

Played = tuple[list[Problem], Selected, list[list[float]], int]
"""All problems, the selections, z after each batch, and how many groups were replayed."""


def by_draw(curriculum: Curriculum, seed: int) -> Played:
    curriculum.reseed(seed)
    suite = curriculum.problems
    assert isinstance(suite, Recording)
    selected: Selected = []
    weights, replayed = [], 0
    for _ in range(BATCHES):
        batch = curriculum.draw(lambda problems: rollout_groups(suite, Numbering(), problems, N))
        curriculum.update(batch)
        problems = [group.problem for group in batch.groups]
        selected.append(sorted(zip(problems, batch.loss_weights.tolist(), strict=True), key=_place))
        weights.append(curriculum.probabilities.tolist())
        replayed += batch.replayed
    return suite.given, selected, weights, replayed


class Ledger:
    """Looks up what `info` names: problems by batch and group, in the order in which they were handed out."""

    def __init__(self, suite: Recording) -> None:
        self.suite = suite
        self.problems: dict[tuple[int, int], Problem] = {}
        self.selected: Selected = []
        self.weights: list[list[float]] = []
        self.replayed = 0

    def note(self, batch: int, group: int) -> None:
        if (batch, group) not in self.problems:
            self.problems[batch, group] = self.suite.given[len(self.problems)]

    def complete(self, batch: int, info: dict[str, Any]) -> None:
        assert all(earlier < batch for earlier, _ in info["replayed_groups"])
        own = [(batch, group) for group in info["selected_groups"]]
        places = [*own, *info["replayed_groups"]]
        weights = [*info["group_weights"], *info["replay_weights"]]
        entries = [(self.problems[place], weight) for place, weight in zip(places, weights, strict=True)]
        self.selected.append(sorted(entries, key=_place))
        self.weights.append(info["task_weights"].tolist())
        self.replayed += len(info["replayed_groups"])

    @property
    def played(self) -> Played:
        return self.suite.given, self.selected, self.weights, self.replayed


def _place(entry: tuple[Problem, float]) -> tuple[int, int]:
    return entry[0].task_id, entry[0].seed


def by_plain_loop(curriculum: Curriculum, seed: int) -> Played:
    env = MultiTaskEnv(curriculum, group_size=N)
    assert isinstance(env.suite, Recording)
    ledger, first = Ledger(env.suite), True
    while len(ledger.selected) < BATCHES:
        _, info = env.reset(seed=seed if first else None)
        first = False
        ledger.note(info["batch"], info["group"])
        *_, info = env.step(str(info["rollout"]))
        if info["batch_complete"]:
            ledger.complete(info["batch"], info)
    return ledger.played


def by_slots(curriculum: Curriculum, seed: int, slots: int) -> Played:
    envs = TextVectorEnv(Schedule(curriculum, group_size=N), slots, autoreset_mode=AutoresetMode.DISABLED)
    suite = envs.schedule.suite
    assert isinstance(suite, Recording)
    ledger, first = Ledger(suite), True
    while len(ledger.selected) < BATCHES:
        _, infos = envs.reset(seed=seed if first else None)
        first = False
        for batch, group in zip(infos["batch"].tolist(), infos["group"].tolist(), strict=True):
            ledger.note(batch, group)
        *_, infos = envs.step([str(rollout) for rollout in infos["rollout"]])
        for i in np.flatnonzero(infos["batch_complete"]).tolist():
            ledger.complete(int(infos["batch"][i]), {name: infos[name][i] for name in SELECTION})
    return ledger.played


@pytest.mark.parametrize("driver", [by_plain_loop, partial(by_slots, slots=1), partial(by_slots, slots=N)])
@pytest.mark.parametrize("parts", PARTS)
def test_every_driver_gives_the_problems_and_the_selections_of_draw(parts: str, driver: Any) -> None:
    """Down to the loss weights, the replayed groups and the weights that move by themselves."""
    expected = by_draw(lottery(parts), 5)
    assert driver(lottery(parts), 5) == expected
    assert (expected[3] > 0) == (parts != "algorithm 2")
    assert expected[2][-1] != [1 / 3] * 3


def test_batches_that_overlap_replay_only_what_earlier_batches_made() -> None:
    """More slots than a round has episodes: the next batch opens before the last is complete."""
    envs = TextVectorEnv(Schedule(lottery(), group_size=N), 30, autoreset_mode=AutoresetMode.SAME_STEP)
    _, infos = envs.reset(seed=0)
    replayed: list[tuple[int, int]] = []
    for _ in range(12):
        places = list(zip(infos["batch"].tolist(), infos["rollout"].tolist(), strict=True))
        *_, infos = envs.step([str(rollout) for _, rollout in places])
        final = infos["final_info"]
        for i in np.flatnonzero(final["batch_complete"]).tolist():
            groups = final["replayed_groups"][i]
            assert len(set(groups)) == len(groups)
            assert all(batch != final["batch"][i] for batch, _ in groups)
            assert final["task_weights"][i].sum() == pytest.approx(1)
            replayed += groups
    assert replayed
    assert max(replayed.count(place) for place in replayed) <= 3


def test_sync_vector_envs_hold_selections_of_different_lengths_in_one_step() -> None:
    """Gymnasium stacks arrays of one shape; what differs in length are lists."""
    envs = SyncVectorEnv(
        [partial(MultiTaskEnv, lottery(), group_size=N) for _ in range(3)], autoreset_mode=AutoresetMode.SAME_STEP
    )
    _, infos = envs.reset(seed=[0, 1, 2])
    together = 0
    for _ in range(300):
        *_, infos = envs.step([str(rollout) for rollout in infos["rollout"]])
        together += infos["final_info"]["batch_complete"].sum() > 1
    assert together


# Seeds


def episodes(env: gym.Env[Any, Any], count: int, *, seed: int | None = None) -> list[tuple[Any, ...]]:
    log: list[tuple[Any, ...]] = []
    for i in range(count):
        prompt, info = env.reset(seed=seed if i == 0 else None)
        _, reward, *_, last = env.step(str(info["rollout"]))
        log.append((prompt, info["task"], info["batch"], info["group"], info["rollout"], reward, last["is_success"]))
    return log


def test_a_seed_replays_the_same_episodes_also_after_the_weights_moved() -> None:
    env = MultiTaskEnv(lottery(), group_size=N)
    first = episodes(env, 100, seed=3)
    assert env.task_weights.tolist() != [1 / 3] * 3
    assert episodes(env, 100, seed=3) == first
    assert episodes(env, 100, seed=4) != first


@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes.*")
def test_check_env_finds_nothing_while_weights_move() -> None:
    check_env(MultiTaskEnv(lottery(), group_size=N), skip_render_check=True)


# Weights, through an env


def tasks_of_a_batch(
    env: gym.Env[Any, Any], *, options: dict[str, Any] | None = None, seed: int | None = None
) -> set[str]:
    """Plays until a batch is complete; the tasks that its episodes were of."""
    tasks, complete = set(), False
    while not complete:
        _, info = env.reset(seed=seed, options=options)
        tasks.add(info["task"])
        seed = options = None
        complete = env.step("")[4]["batch_complete"]
    return tasks


@pytest.fixture
def mt_reason() -> gym.Env[Any, Any]:
    return gym.make("mtgrpo_env:MTReason-v0", level="mini", group_size=2, batch_size=3)


def test_weights_are_set_by_a_reset_through_the_wrappers_of_make(mt_reason: gym.Env[Any, Any]) -> None:
    assert isinstance(mt_reason, OrderEnforcing)
    for k, name in enumerate(("countdown-mini", "zebra-mini", "arc-mini")):
        assert tasks_of_a_batch(mt_reason, options={"task_weights": np.eye(3)[k]}, seed=0) == {name}
    assert mt_reason.get_wrapper_attr("task_weights").tolist() == [0, 0, 1]


def test_weights_are_set_by_a_reset_through_wrappers_of_gymnasium(mt_reason: gym.Env[Any, Any]) -> None:
    env = RecordEpisodeStatistics(TimeLimit(mt_reason, 5))
    assert tasks_of_a_batch(env, options={"task_weights": [0, 1, 0]}, seed=0) == {"zebra-mini"}
    assert tasks_of_a_batch(env, options={"task_weights": [1, 0, 0]}) == {"countdown-mini"}, "from the next batch on"


def test_weights_are_set_as_an_attribute_through_wrappers(mt_reason: gym.Env[Any, Any]) -> None:
    env = RecordEpisodeStatistics(TimeLimit(mt_reason, 5))
    env.set_wrapper_attr("task_weights", [0, 0, 1])
    assert env.get_wrapper_attr("task_weights").tolist() == [0, 0, 1]
    assert "task_weights" not in vars(env)
    assert tasks_of_a_batch(env, seed=0) == {"arc-mini"}
    env.set_wrapper_attr("task_weights", None)
    curriculum = env.get_wrapper_attr("curriculum")
    assert env.get_wrapper_attr("task_weights").tolist() == curriculum.task_weights.probabilities.tolist()


def test_a_reset_in_the_midst_of_a_batch_steers_the_next() -> None:
    env = MultiTaskEnv(lottery(), group_size=N)
    assert len(tasks_of_a_batch(env, seed=0)) == 3
    env.reset()
    env.reset(options={"task_weights": [0, 1, 0]})
    assert tasks_of_a_batch(env) > {"lottery-1"}
    assert tasks_of_a_batch(env) == {"lottery-1"}
    env.reset(options={"task_weights": None})
    assert env.task_weights.tolist() == env.curriculum.task_weights.probabilities.tolist()


def test_weights_off_the_simplex_are_refused_by_every_way() -> None:
    env = MultiTaskEnv(lottery(), group_size=N)
    ways = [
        lambda z: env.reset(options={"task_weights": z}),
        lambda z: env.set_wrapper_attr("task_weights", z),
        env.set_task_weights,
    ]
    for way in ways:
        with pytest.raises(ValueError, match="task weights must be non-negative and sum to 1"):
            way([0.5, 0.6, 0.1])
    assert env.task_weights.tolist() == [1 / 3] * 3


def test_weights_are_set_by_a_reset_of_a_vector_env_and_through_its_wrappers() -> None:
    envs = gym.make_vec("mtgrpo_env:MTReason-v0", num_envs=4, level="mini", group_size=2, batch_size=3)
    wrapped = RecordVectorStatistics(envs)
    _, infos = wrapped.reset(seed=0, options={"task_weights": [0, 1, 0]})
    assert infos["task"].tolist() == ["zebra-mini"] * 4
    assert isinstance(envs, TextVectorEnv)
    assert envs.task_weights.tolist() == [0, 1, 0]
    envs.task_weights = [0, 0, 1]
    assert wrapped.reset(seed=0)[1]["task"].tolist() == ["arc-mini"] * 4
    with pytest.raises(ValueError, match=r"options must be 'task_weights' and a 'reset_mask', got \['level'\]"):
        wrapped.reset(options={"level": "easy"})


def test_a_mask_and_weights_may_come_together() -> None:
    curriculum = lottery()
    envs = TextVectorEnv(Schedule(curriculum, group_size=1), 4, autoreset_mode=AutoresetMode.DISABLED)
    envs.reset(seed=0, options={"task_weights": [0, 0, 1]})
    envs.step([""] * 4)
    mask = np.array([True, False, True, False])
    _, infos = envs.reset(options={"reset_mask": mask, "task_weights": [1, 0, 0]})
    assert infos["_task"].tolist() == mask.tolist()
    assert curriculum.probabilities.tolist() == [1, 0, 0]


def test_weights_given_to_make_stay_and_others_move() -> None:
    fixed = make_mt_reason(level="mini", group_size=1, batch_size=3, task_weights=[0.2, 0.3, 0.5])
    moving = make_mt_reason(level="mini", group_size=1, batch_size=12)
    for env in (fixed, moving):
        for i in range(60):
            _, info = env.reset(seed=0 if i == 0 else None)
            answer = env.suite.envs(0, 1)[0].unwrapped
            env.step(answer.oracle(answer.puzzle) if info["task_id"] == 0 else "")  # pyright: ignore
    assert fixed.task_weights.tolist() == [0.2, 0.3, 0.5]
    assert moving.task_weights[0] < moving.task_weights[1:].min(), "the task that is solved is ahead"


# Rules that only a learner can serve


def test_an_env_refuses_weights_that_look_at_improvements_until_they_are_set() -> None:
    suite = lottery().problems
    assert isinstance(suite, TaskSuite)
    env = MultiTaskEnv(Curriculum(suite, batch_size=B, task_weights=ImprovementAwareWeights(3)), group_size=N)
    with pytest.raises(ValueError, match="ImprovementAwareWeights looks at improvements, got none"):
        env.reset(seed=0)
    _, info = env.reset(options={"task_weights": [0, 0, 1]})
    assert info["task"] == "lottery-2"
    env.set_task_weights(None)
    for _ in range(200):  # the batch that is open is completed, and then there is none
        last = env.step("0")[4]
        if last["batch_complete"]:
            break
        env.reset()
    assert env.task_weights.tolist() == [1 / 3] * 3
    with pytest.raises(ValueError, match="looks at improvements"):
        env.reset()


def test_groups_of_another_driver_in_the_replay_buffer_are_refused_until_a_seed() -> None:
    curriculum = lottery()
    by_draw(curriculum, 0)
    env = MultiTaskEnv(curriculum, group_size=N)
    with pytest.raises(ValueError, match="expected groups of a schedule in the replay buffer, got others: reseed"):
        env.reset()
    env.reset(seed=0)


def test_a_task_that_starves_is_named_in_an_env_too() -> None:
    env = MultiTaskEnv(Curriculum(TaskSuite([Task.from_text("sum", Sum)]), batch_size=2), group_size=2)
    with pytest.warns(StarvedTaskWarning, match="'sum' gave no informative group in 10 steps"):
        episodes(env, 500)


@pytest.mark.filterwarnings("ignore::mtgrpo_env.curriculum.StarvedTaskWarning")
@pytest.mark.parametrize("seed", [1, 2])
def test_batches_that_replayed_groups_fill_alone_are_reported_with_the_next(seed: int) -> None:
    sampler = QuotaSampler(2, 2)  # any share of a batch may be replayed
    env = MultiTaskEnv(Curriculum(guess_suite([0.5, 0.5]), sampler=sampler, replay=ReplayBuffer()), group_size=4)
    env.reset(seed=seed)
    rng, alone, played = np.random.default_rng(seed), 0, set[tuple[int, int]]()
    for episode in range(1500):
        chance = 0.03 if (episode // 100) % 2 == 0 else 0.5  # seldom informative, then often: a surplus builds up
        _, _, _, _, info = env.step(int(rng.random() < chance))
        played.add((info["batch"], info["group"]))
        for groups, weights in info.get("replayed_batches", []):
            alone += 1
            assert len(groups) == len(weights) > 0
            assert set(groups) <= played
        env.reset()
    assert alone
