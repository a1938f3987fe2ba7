"""Groups kept for later: which, for how long, that surplus is used once and spares fill; and their file, as data."""

from __future__ import annotations

import ast
import json
import math
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import ScriptedPolicy, group_of, guess_suite, sample_batch

import mtgrpo_env
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.chat import ChatText, Message, continued, messages_of
from mtgrpo_env.filters import success_differs
from mtgrpo_env.plans import BatchPlan, BatchSampler
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.rollout import Policy, rollout_groups
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.types import Batch, FloatArray, Group, Problem, Rollout, Step

CHANCES, Z = (0.5, 0.1, 0.9), np.array([0.5, 0.3, 0.2])
BITS = ScriptedPolicy(lambda observation, task_id, place: place % 2)  # the two rollouts of a group ask for one bit each
SAMPLERS: list[Callable[..., BatchSampler[Any]]] = [QuotaSampler, RatioPreservingSampler, DynamicSampler]

surplus = partial(ReplayBuffer, max_uses=1)


class ScriptedPlan(BatchPlan):
    """Proposes one round of task 0, this many groups, and trains on these."""

    def __init__(self, count: int = 0, selected: Sequence[int] = ()) -> None:
        super().__init__(np.array([8]), 8)
        self._count_of_round = count
        self._selected = list(selected)

    def next_round(self) -> list[int]:
        return [0] * self._count_of_round if self.rounds == 0 else []

    def select(self) -> tuple[list[int], FloatArray]:
        return self._selected, np.ones(len(self._selected))


def numbered(number: int, extras: Any = None) -> Group:
    """A group told apart by the seed of its problem."""
    rollouts = group_of([1.0, 0.0]).rollouts
    step = replace(rollouts[0].steps[0], extras=extras)
    return Group(Problem(0, seed=number), (replace(rollouts[0], steps=(step,)), rollouts[1]))


def play(
    replay: ReplayBuffer,
    numbers: Sequence[int],
    *,
    informative: Sequence[bool] | None = None,
    selected: Sequence[int] = (),
) -> list[int]:
    """One batch that makes the groups of these numbers; returns the numbers of those it was offered."""
    plan = ScriptedPlan(len(numbers), selected)
    offered = replay.offer(plan)
    plan.propose()
    plan.report([0] * len(numbers), [True] * len(numbers) if informative is None else informative)
    replay.keep(plan, [*offered, *map(numbered, numbers)], selected)
    return [group.problem.seed for group in offered]


def held(replay: ReplayBuffer) -> list[Group]:
    """What would be offered next."""
    return replay.groups


class RecordedRollOut:
    """Rolls out in this process and remembers every group."""

    def __init__(self) -> None:
        self.groups: list[Group] = []

    def __call__(
        self,
        suite: TaskSuite,
        policy: Policy,
        problems: Sequence[Problem],
        group_size: int | Sequence[int],
        *,
        deterministic: bool = False,
    ) -> list[Group]:
        groups = rollout_groups(suite, policy, problems, group_size, deterministic=deterministic)
        self.groups += groups
        return groups


def sampled(
    suite: TaskSuite, sampler: BatchSampler[Any], replay: ReplayBuffer | None, record: RecordedRollOut | None = None
) -> Batch:
    roll_out = RecordedRollOut() if record is None else record
    return sample_batch(suite, BITS, sampler, Z, group_size=2, roll_out=roll_out, replay=replay)


# Which groups are kept


def test_only_informative_groups_that_were_not_trained_on_are_kept_the_oldest_first() -> None:
    replay = surplus(max_age=3)
    assert play(replay, [1, 2, 3, 4], informative=[True, False, True, True], selected=[2]) == []
    assert len(replay) == 2
    assert play(replay, [5, 6]) == [1, 4]
    assert play(replay, [7], selected=[0, 2]) == [1, 4, 5, 6]
    assert [group.problem.seed for group in held(replay)] == [4, 6, 7]


@pytest.mark.parametrize("max_age", [1, 2, 5])
def test_a_group_is_offered_to_as_many_batches_as_its_age_allows(max_age: int) -> None:
    replay = surplus(max_age=max_age)
    play(replay, [1])
    assert [play(replay, []) for _ in range(max_age + 1)] == [[1]] * max_age + [[]]


def test_what_is_offered_is_what_the_plan_is_told_of() -> None:
    replay, plan = surplus(), ScriptedPlan()
    play(replay, [1, 2])
    assert [group.task_id for group in replay.offer(plan)] == [0, 0]
    assert (plan.replayed, plan.informative, plan.accepted.tolist()) == (2, [True, True], [2])
    assert plan.generated.tolist() == plan.filtered.tolist() == [0]


@pytest.mark.parametrize("name", ["max_age", "max_uses"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_bound_that_keeps_nothing_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got {value}"):
        ReplayBuffer(**{name: value})


# Groups that were trained on before


def test_a_group_that_was_trained_on_stays_at_hand_until_it_is_old_or_was_used_often_enough() -> None:
    replay = ReplayBuffer(max_age=3, max_uses=2)
    play(replay, [1, 2, 3], selected=[0, 1])
    assert play(replay, [4], selected=[0]) == [1, 2, 3]  # the second use of the first
    assert play(replay, []) == [2, 3, 4]
    assert play(replay, []) == [2, 3, 4]  # for the third time
    assert play(replay, []) == [4]


def test_groups_that_were_trained_on_are_spares_and_the_others_are_not() -> None:
    replay = ReplayBuffer()
    play(replay, [1, 2, 3], selected=[1])
    plan = ScriptedPlan()
    replay.offer(plan)
    assert (plan.replayed, plan.accepted.tolist(), plan.spares) == (3, [2], [1])


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("num_spares", [0, 2, 4])
def test_no_more_than_a_share_of_a_batch_is_replayed_and_the_rest_is_generated(share: float, num_spares: int) -> None:
    replay, sampler = ReplayBuffer(), QuotaSampler(1, 4, max_generated=2, max_replayed=share)
    play(replay, [1, 2, 3, 4], selected=range(num_spares))
    plan = sampler.plan(np.ones(1))
    replay.offer(plan)
    stand_ins = min(4 - num_spares, int(4 * share))
    assert plan.deficits.tolist() == [4 - stand_ins]
    while proposal := plan.propose():
        plan.report(proposal, [False] * len(proposal))
    selected, _ = plan.select()
    assert len(selected) == int(4 * share), "nothing else is informative"
    assert all(i < plan.replayed for i in selected)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_to_replay_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="max_replayed must be at least 0 and at most 1, got"):
        QuotaSampler(1, 4, max_replayed=share)


def test_spares_fill_what_is_lacking_and_save_no_generation() -> None:
    """Two of four groups are informative; the batch before left three spares, the newest of which are taken."""
    replay, sampler = ReplayBuffer(), QuotaSampler(1, 4, max_generated=1)
    play(replay, [1, 2, 3], selected=[0, 1, 2])
    plan = sampler.plan(np.ones(1))
    groups = replay.offer(plan)
    assert plan.deficits.tolist() == [4]
    proposal = plan.propose()
    assert len(proposal) == 4
    plan.report(proposal, [True, False, True, False])
    assert plan.propose() == []  # the budget is spent
    selected, weights = plan.select()
    assert [*groups, *map(numbered, range(10, 14))][selected[-1]].problem.seed == 2
    assert selected == [3, 5, 2, 1]
    assert weights.tolist() == [1.0] * 4


@pytest.mark.parametrize("sampler_type", [RatioPreservingSampler, DynamicSampler, MultinomialSampler])
def test_other_samplers_train_on_no_group_twice(sampler_type: Callable[..., BatchSampler[Any]]) -> None:
    suite, sampler, replay = guess_suite(CHANCES), sampler_type(3, 8), ReplayBuffer()
    trained = [group.problem for _ in range(12) for group in sampled(suite, sampler, replay).groups]
    assert len(set(trained)) == len(trained)


@pytest.mark.parametrize(("max_age", "max_uses"), [(1, 2), (3, 3), (5, 2)])
def test_over_many_batches_no_group_is_used_too_often_or_too_late(max_age: int, max_uses: int) -> None:
    suite, sampler = guess_suite(CHANCES), QuotaSampler(3, 8, max_generated=1.5)
    replay, uses, first = ReplayBuffer(max_age=max_age, max_uses=max_uses), dict[Problem, int](), dict[Problem, int]()
    for number in range(40):
        record = RecordedRollOut()
        batch = sampled(suite, sampler, replay, record)
        first |= {group.problem: number for group in record.groups}
        for group in batch.groups:
            uses[group.problem] = uses.get(group.problem, 0) + 1
            assert number - first[group.problem] <= max_age
        assert len({group.problem for group in batch.groups}) == len(batch.groups)
    assert set(uses.values()) == set(range(1, max(uses.values()) + 1))
    assert 1 < max(uses.values()) <= max_uses


# Over many batches


@pytest.mark.parametrize("sampler_type", SAMPLERS)
@pytest.mark.parametrize("max_age", [1, 3])
def test_every_informative_group_is_trained_on_once_or_held_or_was_dropped_for_its_age(
    sampler_type: Callable[..., BatchSampler[Any]], max_age: int
) -> None:
    suite, sampler, replay = guess_suite(CHANCES), sampler_type(3, 8), surplus(max_age=max_age)
    made: dict[Problem, int] = {}
    used: dict[Problem, int] = {}
    for number in range(30):
        record = RecordedRollOut()
        batch = sampled(suite, sampler, replay, record)
        made |= {group.problem: number for group in record.groups if success_differs(group)}
        trained = [group.problem for group in batch.groups]
        assert len(set(trained)) == len(trained)
        assert not set(trained) & set(used)
        used |= dict.fromkeys(trained, number)
        unused = [problem for problem in made if problem not in used and number - made[problem] < max_age]
        assert [group.problem for group in held(replay)] == unused
    assert set(used) <= set(made)
    ages = [number - made[problem] for problem, number in used.items()]
    assert set(ages) == set(range(max(ages) + 1))
    assert 1 <= max(ages) <= max_age


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_batch_describes_what_was_generated_for_it_and_not_what_was_replayed(
    sampler_type: Callable[..., BatchSampler[Any]],
) -> None:
    suite, sampler, replay, replayed = guess_suite(CHANCES), sampler_type(3, 8), surplus(), 0
    for _ in range(12):
        record = RecordedRollOut()
        batch = sampled(suite, sampler, replay, record)
        assert batch.replayed == sum(group not in record.groups for group in batch.groups)
        replayed += batch.replayed
        assert batch.num_rollouts == 2 * len(record.groups)
        assert batch.round_accuracies.shape == (batch.rounds, 3)
        for k in range(3):
            of_task = [group for group in record.groups if group.task_id == k]
            assert (batch.generated[k], batch.accepted[k]) == (len(of_task), sum(map(success_differs, of_task)))
            expected = np.mean([group.rewards for group in of_task]) if of_task else np.nan
            np.testing.assert_allclose(batch.rewards[k], expected)
            np.testing.assert_allclose(batch.accuracies[k], expected)
            informative = np.mean([success_differs(group) for group in of_task]) if of_task else np.nan
            np.testing.assert_allclose(batch.mean_abs_advantages[k], informative)  # |A| = 1 where two rewards differ
    assert replayed > 0


@pytest.mark.parametrize("sampler_type", [QuotaSampler, DynamicSampler])
def test_a_batch_that_replayed_groups_fill_generates_nothing(sampler_type: Callable[..., BatchSampler[Any]]) -> None:
    replay, record = surplus(), RecordedRollOut()
    play(replay, range(6))
    suite, sampler = guess_suite([0.5]), sampler_type(1, 4)
    arguments: dict[str, Any] = {"group_size": 2, "roll_out": record, "replay": replay}
    batch = sample_batch(suite, BITS, sampler, np.ones(1), **arguments)
    assert record.groups == []
    assert [group.problem.seed for group in batch.groups] == [0, 1, 2, 3]
    assert (batch.rounds, batch.replayed, batch.num_rollouts, batch.round_accuracies.shape) == (0, 4, 0, (0, 1))
    assert np.isnan([*batch.rewards, *batch.accuracies, *batch.mean_abs_advantages]).all()
    assert [group.problem.seed for group in held(replay)] == [4, 5]


@pytest.mark.parametrize("sampler_type", [partial(QuotaSampler, confidence=0.9, max_generated=99), DynamicSampler])
def test_replay_saves_generation(sampler_type: Callable[..., BatchSampler[Any]]) -> None:
    """40 batches of 8 from one seed, with and without."""
    rollouts = []
    for replay in (surplus(), None):
        suite, sampler = guess_suite(CHANCES), sampler_type(3, 8)
        rollouts.append(sum(sampled(suite, sampler, replay).num_rollouts for _ in range(40)))
    assert rollouts[0] < 0.97 * rollouts[1]


def test_without_replay_no_group_of_a_batch_is_replayed() -> None:
    suite, sampler = guess_suite(CHANCES), RatioPreservingSampler(3, 8)
    assert [sampled(suite, sampler, None).replayed for _ in range(3)] == [0] * 3


# The file


def test_plain_data_comes_back_as_it_was(tmp_path: Path) -> None:
    extras = {
        "tokens": np.arange(6, dtype=np.int32).reshape(2, 3),
        "log_probs": np.array([-0.5, -np.inf]),
        "names": np.array(["a", "bc"]),
        "chosen": (1, 2.5, None, True, "text", b"bytes", [np.float32(0.5), np.int64(3)]),
        "sets": ({2, "a"}, frozenset([(1, 2)]), bytearray(b"x")),
        "problem": Problem(2, seed=5, options={"split": "train"}, index=7),
    }
    replay, restored = ReplayBuffer(), ReplayBuffer()
    plan = ScriptedPlan(2)
    plan.report(plan.propose(), [True, True])
    groups = [numbered(1, extras), numbered(2)]
    replay.keep(plan, groups, [])
    replay.save(tmp_path)
    restored.load(tmp_path)
    there, untouched = held(restored)
    assert (there.problem, untouched) == (groups[0].problem, groups[1])
    np.testing.assert_equal(there.rollouts[0].steps[0].extras, extras)
    assert there.rollouts[0].steps[0].extras["tokens"].dtype == np.int32


def test_conversations_come_back_with_their_messages(tmp_path: Path) -> None:
    asked = continued(ChatText("Hi. 1+1?", [Message("system", "Hi."), Message("user", "1+1?")]), "3", "No.")
    rollouts = tuple(Rollout((Step(asked, "2", reward),), reward, bool(reward)) for reward in (0.0, 1.0))
    replay, restored, plan = ReplayBuffer(), ReplayBuffer(), ScriptedPlan(1)
    plan.report(plan.propose(), [True])
    replay.keep(plan, [Group(Problem(0, seed=3), rollouts)], [])
    replay.save(tmp_path)
    restored.load(tmp_path)
    for rollout in held(restored)[0].rollouts:
        observation = rollout.steps[0].observation
        assert type(observation) is ChatText
        assert (observation, messages_of(observation)) == (asked, asked.messages)


@pytest.mark.parametrize(
    "messages", [[[1, "a"]], [["user"]], "ab", ["a", "b", "c"], None, [["user", {"bytes": "YQ=="}]]]
)
def test_a_conversation_of_anything_but_texts_is_refused(messages: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be plain data"):
        load({"chat": ["text", messages]}, tmp_path)


def test_extras_of_a_language_model_come_back_as_they_were(tmp_path: Path) -> None:
    completion = Completion((1, 2), (3, 4, 5), (-0.5, -math.inf, 0.0), "length", old_log_probs=(-1.0, -2.0, -3.0))
    assert restored_from(replay_of(numbered(1, completion)), tmp_path).groups == [numbered(1, completion)]


def test_invalid_rollouts_half_characters_and_actions_of_every_space_come_back(tmp_path: Path) -> None:
    steps = tuple(Step({"at": obs}, obs, 0.0) for obs in (2, np.int64(3), np.array([0.5, -1.0], np.float32), "\ud83d"))
    group = Group(Problem(0, 1), (Rollout(steps, math.nan, False, valid=False), Rollout(steps[:1], -0.0, True)))
    (there,) = restored_from(replay_of(group), tmp_path).groups
    assert repr(there.rollouts) == repr(group.rollouts)
    assert [type(step.action) for step in there.rollouts[0].steps] == [int, np.int64, np.ndarray, str]


def test_equal_groups_are_equal_bytes_after_they_were_read_as_well(tmp_path: Path) -> None:
    """Two texts, tuples or arrays that are equal may be one object or two: a resumed run has them otherwise."""
    tokens = tuple(range(50))
    one = [numbered(i, Completion(tokens, tokens, (0.5,) * 50)) for i in (1, 2)]
    other = [numbered(i, Completion(tuple(range(50)), tuple(range(50)), (0.5,) * 50)) for i in (1, 2)]
    written = [files_of(replay_of(*groups), tmp_path / str(i)) for i, groups in enumerate((one, other))]
    again = files_of(restored_from(replay_of(*one), tmp_path), tmp_path / "again")
    assert written[0] == written[1] == again
    assert len(again["replay.bin"]) < 3 * 8 * 50, "what is equal is kept once"


def test_nothing_held_is_saved_as_nothing(tmp_path: Path) -> None:
    restored = ReplayBuffer()
    play(restored, [1, 2])
    ReplayBuffer().save(tmp_path)
    restored.load(tmp_path)
    assert len(restored) == 0


@pytest.mark.parametrize("sampler_type", SAMPLERS)
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(
    sampler_type: Callable[..., BatchSampler[Any]], tmp_path: Path
) -> None:
    suite, sampler, replay = guess_suite(CHANCES), sampler_type(3, 8), ReplayBuffer(max_age=2)
    for _ in range(4):
        sampled(suite, sampler, replay)
    assert len(replay) > 0
    other_suite, other_sampler = guess_suite(CHANCES, seed=9), sampler_type(3, 8, seed=9)
    other_replay = ReplayBuffer(max_age=2)
    replay.save(tmp_path)
    other_replay.load(tmp_path)
    other_suite.load_state_dict(suite.state_dict())
    other_sampler.load_state_dict(sampler.state_dict())
    for _ in range(6):
        batch, other = sampled(suite, sampler, replay), sampled(other_suite, other_sampler, other_replay)
        assert (batch.groups, batch.replayed) == (other.groups, other.replayed)
        np.testing.assert_array_equal(batch.loss_weights, other.loss_weights)
    assert held(replay) == held(other_replay)


# A file is data


class Own:
    """A class that is not the package's."""


def replay_of(*groups: Group) -> ReplayBuffer:
    """A buffer that holds these."""
    replay, plan = ReplayBuffer(), ScriptedPlan(len(groups))
    plan.report(plan.propose(), [True] * len(groups))
    replay.keep(plan, groups, [])
    return replay


def restored_from(replay: ReplayBuffer, folder: Path) -> ReplayBuffer:
    replay.save(folder)
    restored = ReplayBuffer()
    restored.load(folder)
    return restored


def files_of(replay: ReplayBuffer, folder: Path) -> dict[str, bytes]:
    folder.mkdir()
    replay.save(folder)
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def load(value: Any, folder: Path, *, arrays: Any = (), data: bytes = b"") -> ReplayBuffer:
    """What a file with this structure is read as."""
    (folder / "replay.json").write_text(json.dumps({"arrays": arrays, "value": value}))
    (folder / "replay.bin").write_bytes(data)
    replay = ReplayBuffer()
    replay.load(folder)
    return replay


@pytest.mark.parametrize(
    "name", ["ReplayBuffer", "Path", "os.system", "Batch", "ChatText", "TaskSuite", "__init__", ""]
)
def test_names_of_anything_but_records_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"expected a record of \[.*'Group'.*\], got '{name}'$"):
        load({"tuple": [{"record": [name, {}]}]}, tmp_path)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ({"code": "1"}, "expected one of the kinds"),
        ({"tuple": [], "list": []}, "too many values"),
        ({"record": ["Problem", {"task_id": 0, "seed": 1, "__class__": 1}]}, "unexpected keyword argument"),
        ({"array": 1}, "expected one of 1 arrays, got number 1"),
        ({"array": -1}, "got number -1"),
        ({"dict": [[[], 1]]}, "unhashable"),
        ({"float": "0x"}, "could not convert"),
        ({"bytes": "§"}, "ASCII"),
        ([7], "expected a Held in each place"),
        (7, "expected a Held in each place"),
        ({"tuple": [{"record": ["_Held", {"group": 1}]}]}, "expected a Group in each place"),
    ],
)
def test_a_structure_that_is_none_of_ours_is_refused_by_the_file(value: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"replay.json: replayed groups must be plain data: .*{complaint}"):
        load(value, tmp_path, arrays=[["<i8", [1]]], data=bytes(8))


@pytest.mark.parametrize(
    ("kind", "shape", "complaint"),
    [
        ("<i8", [10**15], "expected 8000000000000000 bytes of arrays at least, got 8"),
        ("<i8", [-1], "bytes of arrays"),
        ("<i8", [], "expected 8 bytes of arrays|Held"),
        ("<i4", [1], "expected 4 bytes of arrays, got 8"),
        ("|O", [1], "got an array of object"),
        ("i4,i4", [1], "got an array of"),
        ("<U0", [10**15], "got an array of <U0"),
        ("os", [1], "not understood"),
        (7, [1], ""),
    ],
)
def test_arrays_take_no_more_memory_than_their_file(kind: Any, shape: Any, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"must be plain data: .*({complaint})"):
        load({"tuple": [1]}, tmp_path, arrays=[[kind, shape]], data=bytes(8))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"arrays": [], "value": NaN}', "[" * 10**5, '{"value": []}'])
def test_a_file_that_is_refused_leaves_what_was_held(text: str, tmp_path: Path) -> None:
    replay = replay_of(numbered(1), numbered(2))
    replay.save(tmp_path)
    (tmp_path / "replay.json").write_text(text)
    with pytest.raises(ValueError, match=r"replay\.json: replayed groups must be plain data"):
        replay.load(tmp_path)
    assert [group.problem.seed for group in held(replay)] == [1, 2]


@pytest.mark.parametrize(
    "extras",
    [Fraction(1, 3), Own(), Path("x"), os.system, {"deep": [(1, 2 + 3j)]}, lambda: 0, np.array([None]), Own],
)
def test_what_could_not_be_read_back_is_not_saved(extras: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="replayed groups must be plain data: expected numbers, text"):
        replay_of(numbered(1, extras)).save(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_value_within_itself_is_refused(tmp_path: Path) -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="must be plain data: expected data that ends"):
        replay_of(numbered(1, endless)).save(tmp_path)


@pytest.mark.parametrize("name", ["replay.pkl", "carry_over.pkl"])
def test_groups_that_an_earlier_version_kept_are_left_out_and_that_is_logged(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / name).write_bytes(pickle.dumps([1]))
    replay = replay_of(numbered(1))
    replay.load(tmp_path)
    assert len(replay) == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: groups for replay that an earlier version kept are not read: none is held"
    ]


def test_no_module_of_the_package_reads_or_writes_pickles() -> None:
    """By the syntax trees: no import of a module that does, no `torch.load` and `torch.save`, no `allow_pickle`."""
    root = Path(mtgrpo_env.__file__).parent
    modules = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    files = [file for part in (root, root / "agents", root / "envs") for file in part.resolve().rglob("*.py")]
    assert {"replay.py", "mtgrpo.py", "worker_pool.py"} <= {file.name for file in files}
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if file.name != "identities.py":  # which hashes what a pickle would hold, and keeps none
                assert not modules & {name.partition(".")[0] for name in names}, file
            if isinstance(node, ast.Call):
                called, arguments = ast.unparse(node.func), {keyword.arg for keyword in node.keywords}
                assert called not in ("torch.load", "torch.save"), f"{file}: {called}"
                assert not {"allow_pickle", "weights_only"} & arguments, f"{file}: {called}"
