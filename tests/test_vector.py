from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from fakes import Sum
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit
from gymnasium.wrappers import RecordEpisodeStatistics as RecordSingleStatistics
from gymnasium.wrappers.vector import DictInfoToList, RecordEpisodeStatistics

from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.envs.mtreason import make_mt_reason, reason_suite
from mtgrpo_env.envs.toy import toy_suite
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.rollout import rollout_groups
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler
from mtgrpo_env.schedule import Schedule
from mtgrpo_env.suite import Task, TaskError, TaskSuite
from mtgrpo_env.task_weights import UniformWeights
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, SCORER_ERROR, WRONG, TextEnv, Verdict
from mtgrpo_env.types import Problem
from mtgrpo_env.vector import TextVectorEnv, make_text_vec

MODES = [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]


class HigherLower(TextEnv[int]):
    """Guess a number of 0..9 in at most three turns, told each time whether it is higher or lower."""

    calls: list[tuple[str, str]] = []

    def generate(self, rng: np.random.Generator) -> int:
        return int(rng.integers(10**6))

    def prompt(self, puzzle: int) -> str:
        return f"number {puzzle // 10}x?\n"

    def key(self, puzzle: int) -> str:
        return str(puzzle)

    def verify(self, puzzle: int, response: str) -> Verdict:
        if response == "crash":
            raise RuntimeError("the verifier fell over")
        if response == "timeout":
            return SCORER_ERROR
        if not response.isdecimal():
            return NO_ANSWER
        return CORRECT if int(response) == puzzle % 10 else WRONG

    def reply(self, puzzle: int, responses: Sequence[str]) -> Verdict | str:
        verdict = self.verify(puzzle, responses[-1])
        if verdict is not WRONG or len(responses) == 3:
            return verdict
        return "higher" if int(responses[-1]) < puzzle % 10 else "lower"

    def oracle(self, puzzle: int) -> str:
        return str(puzzle % 10)

    def prefetch(self, puzzle: int, response: str) -> None:
        self.calls.append(("prefetch", response))

    def advance(self, puzzle: int, conversation: str, responses: Sequence[str]) -> tuple[Verdict | None, str]:
        self.calls.append(("advance", responses[-1]))
        return super().advance(puzzle, conversation, responses)


class Replay(gym.Wrapper[Any, Any, Any, Any]):
    """Resets to the next of some problems, so that a sync vector env can be given the schedule's."""

    def __init__(self, env: gym.Env[Any, Any], problems: list[Problem]) -> None:
        super().__init__(env)
        self.problems = iter(problems)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        problem = next(self.problems)
        return self.env.reset(seed=problem.seed, options=dict(problem.options))


def text_suite() -> TaskSuite:
    return TaskSuite([Task.from_text("sum", Sum), Task.from_text("number", HigherLower)])


def text_vec(num_envs: int = 6, *, group_size: int = 2, **options: Any) -> TextVectorEnv:
    return TextVectorEnv(scheduled(text_suite(), MultinomialSampler(2, 4), group_size), num_envs, **options)


def scheduled(suite: TaskSuite, sampler: BatchSampler[Any], group_size: int = 1) -> Schedule:
    """Of a curriculum whose weights stay equal."""
    uniform = UniformWeights(suite.num_tasks)
    return Schedule(Curriculum(suite, sampler=sampler, task_weights=uniform), group_size=group_size)


def responses(rng: np.random.Generator, count: int) -> list[str]:
    return [str(rng.integers(10)) if rng.random() < 0.8 else "none" for _ in range(count)]


def assert_infos_hold(infos: dict[str, Any], expected: dict[str, Any]) -> None:
    """All that is expected is there, to the dtype, with its masks."""
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_infos_hold(infos[name], value)
        else:
            assert infos[name].dtype == value.dtype, name
            np.testing.assert_array_equal(infos[name], value, err_msg=name)


@pytest.mark.filterwarnings("ignore::mtgrpo_env.curriculum.StarvedTaskWarning")  # random responses are never right
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("weights", [[1, 0], [0, 1]])
def test_it_returns_what_a_sync_vector_env_returns_on_the_same_problems(
    mode: AutoresetMode, weights: list[int]
) -> None:
    n, env_type = 5, Sum if weights[0] else HigherLower
    played: list[list[Problem]] = [[] for _ in range(n)]

    def run(envs: gym.vector.VectorEnv[Any, Any, Any], note: Callable[[np.ndarray], None]) -> list[tuple[Any, ...]]:
        rng = np.random.default_rng(0)
        log: list[tuple[Any, ...]] = [envs.reset()]
        note(np.ones(n, dtype=np.bool_))
        for _ in range(25):
            step = envs.step(responses(rng, n))
            log.append(step)
            ended = step[2] | step[3]
            if mode is AutoresetMode.SAME_STEP:
                note(ended)
            elif ended.any():
                log.append(envs.reset(options={"reset_mask": ended}))
                note(ended)
        return log

    ours = text_vec(n, autoreset_mode=mode)
    ours.set_task_weights(weights)

    def note(mask: np.ndarray) -> None:
        for i in np.flatnonzero(mask):
            played[i].append(ours._assignments[i].problem)

    log = run(ours, note)
    makers = [partial(Replay, env_type(), problems) for problems in played]
    sync = SyncVectorEnv(makers, autoreset_mode=mode)
    assert ours.metadata["autoreset_mode"] is sync.metadata["autoreset_mode"]
    assert ours.observation_space == sync.observation_space
    assert ours.single_action_space == sync.single_action_space
    for mine, theirs in zip(log, run(sync, lambda mask: None), strict=True):
        assert mine[0] == theirs[0]
        for own, other in zip(mine[1:-1], theirs[1:-1], strict=True):
            assert own.dtype == other.dtype
            np.testing.assert_array_equal(own, other)
        assert_infos_hold(mine[-1], theirs[-1])


@pytest.mark.parametrize("mode", MODES)
def test_one_slot_is_a_multi_task_env(mode: AutoresetMode) -> None:
    """Down to the selected groups; only what a vector env adds is missing there."""
    arguments: dict[str, Any] = {"level": "mini", "group_size": 2, "batch_size": 3}
    ours = gym.make_vec("mtgrpo_env:MTReason-v0", num_envs=1, autoreset_mode=mode, **arguments)
    sync = SyncVectorEnv([partial(make_mt_reason, **arguments)], autoreset_mode=mode)
    assert isinstance(ours, TextVectorEnv)
    rng, complete = np.random.default_rng(0), 0
    (mine, infos), (theirs, expected) = ours.reset(seed=3), sync.reset(seed=3)
    assert mine == theirs
    assert_infos_hold(infos, expected)
    for _ in range(60):
        setting = ours._conversations[0].setting
        action = ["" if rng.random() < 0.5 else setting.env.oracle(setting.opening.puzzle)]
        step, sync_step = ours.step(action), sync.step(action)
        assert step[0] == sync_step[0]
        assert step[1] == sync_step[1]
        infos, expected = step[-1], sync_step[-1]
        complete += int(expected.get("final_info", expected)["batch_complete"][0])
        assert_infos_hold(infos, expected)
        if mode is AutoresetMode.DISABLED:
            assert ours.reset()[0] == sync.reset()[0]
    assert complete > 1


def test_slots_side_by_side_are_a_group() -> None:
    envs = gym.make_vec("MTReason-v0", num_envs=12, group_size=4, level="mini", batch_size=3)
    prompts, infos = envs.reset(seed=0)
    for _ in range(3):
        assert infos["rollout"].tolist() == [0, 1, 2, 3] * 3
        assert [len(set(prompts[i : i + 4])) for i in (0, 4, 8)] == [1, 1, 1]
        assert len(set(prompts)) == 3
        for column in (infos["group"], infos["task_id"], infos["provenance"]["hash"]):
            assert (column.reshape(3, 4) == column.reshape(3, 4)[:, :1]).all()
        prompts, _, _, _, infos = envs.step([""] * 12)
        assert infos["final_info"]["_group_informative"].tolist() == [False, False, False, True] * 3


def test_a_slot_starts_from_the_very_state_that_rollout_groups_starts_from() -> None:
    envs = gym.make_vec("MTReason-v0", num_envs=8, group_size=2, level="mini")
    prompts, infos = envs.reset(seed=4)
    suite = reason_suite(level="mini", seed=4)

    class Answers:
        def act(self, observations: Any, task_ids: Any, *, deterministic: bool = False) -> tuple[list[str], list[None]]:
            return [""] * len(observations), [None] * len(observations)

    problems = [suite.next_problem(int(k)) for k in infos["task_id"][::2]]
    groups = rollout_groups(suite, Answers(), problems, 2)
    assert [rollout.steps[0].observation for group in groups for rollout in group.rollouts] == list(prompts)


@pytest.mark.parametrize("env_id", ["MTReason/Countdown-v0", "MTReason/Zebra-v0", "MTReason/Arc-v0"])
def test_every_single_task_id_has_a_batched_env(env_id: str) -> None:
    envs = gym.make_vec(env_id, num_envs=6, level="mini")
    assert isinstance(envs.unwrapped, TextVectorEnv)
    assert envs.spec is not None
    assert envs.spec.to_json()
    prompts, infos = envs.reset(seed=1)
    assert len(set(prompts)) == 6
    assert infos["rollout"].tolist() == [0] * 6
    assert len(set(gym.make_vec(env_id, num_envs=6, level="mini", group_size=3).reset(seed=1)[0])) == 2
    held_out = gym.make_vec(env_id, num_envs=6, level="mini", split="test").reset(seed=1)[1]
    assert held_out["provenance"]["split"].tolist() == ["test"] * 6
    envs.close()


def test_equal_seeds_replay_everything_wherever_the_env_stands() -> None:
    logs = []
    for warm_up in (0, 3):
        envs = text_vec(autoreset_mode="SameStep")
        rng = np.random.default_rng(0)
        for i in range(warm_up):
            envs.reset(seed=9) if i == 0 else envs.step(["1"] * 6)
        prompts, _ = envs.reset(seed=2)
        steps = [envs.step(responses(rng, 6)) for _ in range(20)]
        logs.append([prompts, *[(step[0], step[1].tolist(), step[4]["group"].tolist()) for step in steps]])
    assert logs[0] == logs[1]


def test_without_a_seed_a_slot_that_was_not_stepped_is_played_again_and_any_other_goes_on() -> None:
    envs = text_vec(4, group_size=1, autoreset_mode="Disabled")
    envs.set_task_weights([0, 1])
    first, infos = envs.reset(seed=0)
    assert envs.reset()[0] == first
    _, _, terminated, truncated, _ = envs.step(["none", "1", "2", "3"])
    assert terminated[0]
    assert not truncated.any()
    again, after = envs.reset()
    assert not set(again) & set(first)
    left = after["truncated_episode"]
    np.testing.assert_array_equal(after["_truncated_episode"], ~terminated)
    for name in ("group", "rollout"):
        np.testing.assert_array_equal(left[name][~terminated], infos[name][~terminated])
    assert set(left["outcome"][~terminated]) == {"no_answer"}
    assert left["episode_length"].tolist() == (~terminated).astype(int).tolist()


def test_a_mask_that_leaves_a_slot_in_mid_conversation_alone_does_not_end_it() -> None:
    envs = text_vec(3, group_size=1, autoreset_mode="Disabled")
    envs.set_task_weights([0, 1])
    envs.reset(seed=0)
    before, _, terminated, _, _ = envs.step(["none", *["11"] * 2])
    assert terminated.tolist() == [True, False, False]
    prompts, infos = envs.reset(options={"reset_mask": np.array([True, True, False])})
    assert infos["_truncated_episode"].tolist() == [False, True, False]
    assert prompts[2] == before[2]


@pytest.mark.filterwarnings("ignore::mtgrpo_env.curriculum.StarvedTaskWarning")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [1, 2])
def test_a_step_limit_is_that_of_a_sync_vector_env(mode: AutoresetMode, limit: int) -> None:
    """But that a limit around a single env shows its verdict at the next reset, and ours at once."""
    arguments: dict[str, Any] = {"tasks": "guessing-mini", "group_size": 2, "batch_size": 2, "max_episode_steps": limit}
    ours = gym.make_vec("mtgrpo_env:MTReason-v0", num_envs=1, autoreset_mode=mode, **arguments)
    sync = gym.make_vec(
        "MTReason-v0",
        num_envs=1,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **arguments,
    )
    assert ours.reset(seed=3)[0] == sync.reset(seed=3)[0]
    groups, reset_info = set(), {}
    for _ in range(12):
        step, other = ours.step([r"\boxed{0}"]), sync.step([r"\boxed{0}"])
        for mine, theirs in zip(step[:4], other[:4], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        ended = step[2] | step[3]
        assert step[2].tolist() == [False]
        infos, reset_info = step[4], other[4]
        if mode is AutoresetMode.DISABLED and ended.any():
            theirs, reset_info = sync.reset(options={"reset_mask": ended})
            assert ours.reset(options={"reset_mask": ended})[0] == theirs
        if ended.any():
            last = infos.get("final_info", infos)
            groups.add(int(last["group"][0]))
            for name, value in reset_info["truncated_episode"].items():
                np.testing.assert_array_equal(last[name], value, err_msg=name)
    assert len(groups) > 1


def test_a_mask_resets_its_slots_alone() -> None:
    envs = text_vec(4, autoreset_mode="Disabled")
    envs.set_task_weights([1, 0])
    envs.reset(seed=0)
    envs.step(["1"] * 4)
    mask = np.array([False, True, False, True])
    options = {"reset_mask": mask}
    prompts, infos = envs.reset(options=options)
    assert [prompt == "" for prompt in prompts] == [True, False, True, False]
    assert infos["_task"].tolist() == infos["_provenance"].tolist() == mask.tolist()
    assert options == {"reset_mask": mask}
    with pytest.raises(gym.error.ResetNeeded, match=r"slots \[0, 2\] have ended"):
        envs.step(["1"] * 4)
    envs.reset(options={"reset_mask": ~mask})
    assert envs.step(["1"] * 4)[2].all()


@pytest.mark.parametrize("mode", MODES)
def test_episode_returns_and_lengths_are_those_that_gymnasium_records(mode: AutoresetMode) -> None:
    """Under its default key, which is left to it."""
    envs = RecordEpisodeStatistics(text_vec(autoreset_mode=mode))
    envs.reset(seed=0)
    rng, lengths = np.random.default_rng(0), set[int]()
    for _ in range(20):
        *_, terminated, _, infos = envs.step(responses(rng, 6))
        if terminated.any():
            last = infos.get("final_info", infos)
            np.testing.assert_array_equal(last["_episode_return"], infos["_episode"])
            np.testing.assert_array_equal(last["episode_return"], infos["episode"]["r"])
            np.testing.assert_array_equal(last["episode_length"], infos["episode"]["l"])
            lengths |= set(last["episode_length"][terminated].tolist())
            if mode is AutoresetMode.DISABLED:
                envs.reset(options={"reset_mask": terminated})
    assert lengths == {1, 2, 3}


KEYS_OF_WRAPPERS = {"episode", "terminal_observation", "TimeLimit.truncated", "final_obs", "final_info"}
"""What `RecordEpisodeStatistics`, vector envs with autoreset and stable-baselines3 put into an env's `info`."""


def test_no_key_of_ours_is_one_that_wrappers_write() -> None:
    ours = text_vec(autoreset_mode="Disabled")
    single = gym.make("MTReason-v0", level="mini", group_size=1, batch_size=3)
    keys = {*ours.reset(seed=0)[1], *ours.step(["none"] * 6)[4], *single.reset(seed=0)[1]}
    for _ in range(6):
        keys |= {*single.step("")[4], *single.reset()[1]}
    assert {"task", "is_success", "selected_groups"} <= keys
    assert not keys & {f"{mask}{key}" for key in KEYS_OF_WRAPPERS for mask in ("", "_")}


def test_gymnasium_records_the_episodes_of_a_single_env() -> None:
    env = RecordSingleStatistics(gym.make("MTReason-v0", level="mini", group_size=1))
    env.reset(seed=0)
    info = env.step(r"\boxed{1}")[4]
    assert (info["episode"]["r"], info["episode"]["l"]) == (0.1, 1)


def test_infos_come_apart_slot_by_slot() -> None:
    envs = DictInfoToList(text_vec(4))
    _, infos = envs.reset(seed=0)
    assert [(info["group"], info["rollout"]) for info in infos] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(info["provenance"]["task"] in ("Sum", "HigherLower") for info in infos)


def test_a_batch_names_the_groups_to_train_on() -> None:
    """With DAPO: the first B informative ones, and groups are informative if one of two rollouts is right."""
    suite = TaskSuite([Task.from_text("sum", Sum)])
    envs = TextVectorEnv(scheduled(suite, DynamicSampler(1, 3, oversampling=2), 2), 4)
    prompts, infos = envs.reset(seed=0)
    informative: dict[int, bool] = {}
    final: dict[str, Any] = {}
    for i in range(3):
        right = [str(sum(map(int, prompt[:-1].split("+")))) for prompt in prompts]
        actions = [right[0], "1", right[2] if i else "1", "1"]
        prompts, _, _, _, infos = envs.step(actions)
        final = infos["final_info"]
        ends = final["_group_informative"]
        informative |= dict(zip(final["group"][ends].tolist(), final["group_informative"][ends].tolist(), strict=True))
        assert final["batch_complete"].tolist() == [False, False, False, i == 2]
    assert informative == {0: True, 1: False, 2: True, 3: True, 4: True, 5: True}
    assert final["selected_groups"].tolist() == [None, None, None, [0, 2, 3]]
    assert final["group_weights"][3] == [1, 1, 1]
    assert infos["batch"].tolist() == [1] * 4


def test_weights_choose_the_tasks_of_the_next_plan() -> None:
    envs = text_vec(8)
    envs.set_task_weights([0, 1])
    assert set(envs.reset(seed=0)[1]["task"]) == {"number"}
    envs.set_task_weights([1, 0])
    assert set(envs.step(["none"] * 8)[4]["task"]) == {"sum"}
    assert set(envs.reset(seed=0, options={"task_weights": {"number": 1.0}})[1]["task"]) == {"number"}
    envs.task_weights = {"sum": 0.5, "number": 0.5}
    assert envs.task_weights.tolist() == [0.5, 0.5]


def test_all_responses_are_prefetched_before_the_first_is_judged() -> None:
    envs = text_vec(3, group_size=1)
    envs.set_task_weights([0, 1])
    envs.reset(seed=0)
    HigherLower.calls.clear()
    envs.step(["1", "2", "3"])
    assert [call for call, _ in HigherLower.calls] == ["prefetch"] * 3 + ["advance"] * 3
    assert [response for _, response in HigherLower.calls] == ["1", "2", "3"] * 2


def test_statistics_keep_failed_scorers_apart() -> None:
    envs = text_vec(4, group_size=1)
    assert np.isnan(envs.statistics["sum"].mean_reward)
    envs.set_task_weights([0, 1])
    envs.reset(seed=0)
    right = [str(conversation.setting.opening.puzzle % 10) for conversation in envs._conversations]
    envs.step([right[0], "none", "timeout", "timeout"])
    number = envs.statistics["number"]
    assert (number.episodes, number.mean_reward, number.accuracy) == (4, 0.5, 0.5)
    assert number.outcomes == {"correct": 1, "wrong": 0, "no_answer": 1, "scorer_error": 2}
    assert envs.statistics["sum"].episodes == 0
    envs.reset(seed=1)
    assert envs.statistics["number"] == number
    envs.reset_statistics()
    assert envs.statistics["number"].episodes == 0


def test_nothing_changes_when_a_verifier_raises() -> None:
    envs = text_vec(3, group_size=1)
    envs.set_task_weights([0, 1])
    envs.reset(seed=0)
    before, _, _, _, _ = envs.step(["1", "1", "1"])
    with pytest.raises(TaskError, match=r"task 'number' raised in step\('crash'\).*fell over"):
        envs.step(["none", "none", "crash"])
    assert envs._observations() == before
    assert envs.step(["none"] * 3)[2].all()


def test_slots_left_because_a_verifier_raised_are_played_again() -> None:
    envs = text_vec(3, group_size=1)
    envs.set_task_weights([0, 1])
    before, _ = envs.reset(seed=0)
    envs.step(["11"] * 3)
    with pytest.raises(TaskError, match="fell over"):
        envs.step(["11", "11", "crash"])
    after, infos = envs.reset()
    assert after == before
    assert "truncated_episode" not in infos


BAD_ACTIONS = [
    (["1"] * 5, "sequence of 6 strings, got 5"),
    ("123456", "sequence of 6 strings, got one str"),
    (["1"] * 5 + [1], r"slot 5 must be a str of at most 1000000 characters, got int: 1"),
    ([None] + ["1"] * 5, "slot 0 must be a str.* got NoneType"),
    (["1"] * 3 + ["x" * 1_000_001] + ["1"] * 2, "slot 3 must be a str.* got 1000001"),
]


@pytest.mark.parametrize(("actions", "message"), BAD_ACTIONS)
def test_bad_actions_are_named_and_change_nothing(actions: Any, message: str) -> None:
    envs = text_vec()
    before, _ = envs.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        envs.step(actions)
    assert envs.reset()[0] == before


def test_actions_may_be_any_sequence_of_strings() -> None:
    results = []
    kinds: tuple[Any, ...] = (list, tuple, np.array)
    for kind in kinds:
        envs = text_vec()
        envs.reset(seed=0)
        results.append(envs.step(kind(["1", "2", "3", "4", "5", "6"]))[0])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": [1] * 6}, ValueError, r"None or one int, got \[1, 1.*group_size=N"),
        ({"options": {"split": "test"}}, ValueError, r"'reset_mask', got \['split'\]"),
        ({"options": {"reset_mask": np.ones(6, bool), "split": "test"}}, ValueError, "got .*'split'"),
        ({"options": {"reset_mask": [True] * 6}}, TypeError, "must be a bool array"),
        ({"options": {"reset_mask": np.ones(6)}}, TypeError, "must be a bool array"),
        ({"options": {"reset_mask": np.ones(5, bool)}}, ValueError, r"shape \(6,\)"),
        ({"options": {"reset_mask": np.zeros(6, bool)}}, ValueError, "and a True"),
        ({"seed": 1, "options": {"reset_mask": np.ones(6, bool)}}, ValueError, "got both"),
    ],
)
def test_bad_resets_are_named_and_change_nothing(arguments: Any, error: type[Exception], message: str) -> None:
    envs = text_vec()
    before, _ = envs.reset(seed=0)
    with pytest.raises(error, match=message):
        envs.reset(**arguments)
    assert envs.reset()[0] == before


def test_a_reset_comes_first() -> None:
    for call in (
        lambda envs: envs.step(["1"] * 6),
        lambda envs: envs.reset(options={"reset_mask": np.ones(6, bool)}),
        lambda envs: envs.render(),
    ):
        with pytest.raises(gym.error.ResetNeeded, match="call reset"):
            call(text_vec(render_mode="ansi"))


def test_without_autoreset_ended_slots_must_be_reset() -> None:
    envs = gym.make_vec("MTReason/Countdown-v0", num_envs=2, level="mini", autoreset_mode="Disabled")
    envs.reset(seed=0)
    observations, _, _, _, infos = envs.step(["", ""])
    assert observations == ("", "")
    assert infos["outcome"].tolist() == ["no_answer"] * 2
    with pytest.raises(gym.error.ResetNeeded, match=r"slots \[0, 1\]"):
        envs.step(["", ""])


class Overriding(Sum):
    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return super().step(action)


@pytest.mark.parametrize(
    "make", [lambda: TimeLimit(Sum(), 3), Overriding, partial(gym.make, "MTReason-v0", level="mini")]
)
def test_tasks_that_need_an_env_for_every_slot_are_refused(make: Callable[[], gym.Env[Any, Any]]) -> None:
    suite = TaskSuite([Task.from_text("odd", make)])
    with pytest.raises(ValueError, match=r"task 'odd' must.*use gymnasium\.vector\.SyncVectorEnv"):
        TextVectorEnv(scheduled(suite, MultinomialSampler(1, 2)), 2)


def test_wrappers_that_change_nothing_are_looked_through() -> None:
    suite = TaskSuite([Task.from_text("sum", lambda: OrderEnforcing(PassiveEnvChecker(Sum())))])
    envs = TextVectorEnv(scheduled(suite, MultinomialSampler(1, 2)), 2)
    envs.reset(seed=0)
    assert envs.step(["", "1"])[1].tolist() == [0.0, 0.1]


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="num_envs must be at least 1, got 0"):
        text_vec(0)
    with pytest.raises(ValueError, match="'NextStep': single-turn tasks would spend every second step"):
        text_vec(autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match="'Sometimes' is not a valid AutoresetMode"):
        text_vec(autoreset_mode="Sometimes")
    with pytest.raises(ValueError, match="render_mode must be None or 'ansi', got 'human'"):
        text_vec(render_mode="human")
    with pytest.raises(ValueError, match="task 'lock-0-length-1' must be a bare TextEnv"):
        TextVectorEnv(scheduled(toy_suite(2), MultinomialSampler(2, 2)), 2)
    with pytest.raises(ValueError, match="group_size must be at least 1, got 0"):
        make_text_vec(Sum, num_envs=2, group_size=0)
    with pytest.raises(TypeError, match="colour"):
        gym.make_vec("MTReason/Arc-v0", num_envs=2, colour="red")
    with pytest.raises(TypeError, match="colour"):
        gym.make_vec("MTReason-v0", num_envs=2, colour="red")
    with pytest.raises(ValueError, match="task weights"):
        text_vec().set_task_weights([1, 1])


def test_each_slot_is_rendered_as_its_env_would() -> None:
    envs = text_vec(2, group_size=1, render_mode="ansi", autoreset_mode="Disabled")
    envs.set_task_weights([0, 1])
    envs.reset(seed=0)
    single = [HigherLower(render_mode="ansi") for _ in range(2)]
    for env, assignment in zip(single, envs._assignments, strict=True):
        env.reset(seed=assignment.problem.seed, options=dict(assignment.problem.options))
    for actions in (None, ["1", "none"]):
        if actions:
            envs.step(actions)
            for env, action in zip(single, actions, strict=True):
                env.step(action)
        assert envs.render() == tuple(env.render() for env in single)
    silent = text_vec()
    silent.reset(seed=0)
    assert silent.render() is None
