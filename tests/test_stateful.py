"""Parts with hyper-parameters and a state: they can be read, saved, restored and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.reward_estimates import AverageAccuracy, LatestReward, RecentAccuracy
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.samplers_released import DelayedSampler, ReleasedDynamicSampler, ReleasedRatioPreservingSampler
from mtgrpo_env.stateful import Stateful, plain, refuse_other_hyperparameters, refuse_unnamed_attributes
from mtgrpo_env.task_weights import DisparityWeights, ImprovementAwareWeights, UniformWeights
from mtgrpo_env.task_weights_baselines import RegularizedWeights, SelfEvolvingWeights, SequentialWeights
from mtgrpo_env.task_weights_floored import GapWeights, ProgressWeights, VarianceWeights
from mtgrpo_env.task_weights_literature import DUMPWeights, GDROWeights

PARTS: list[Callable[[], Stateful]] = [
    partial(QuotaSampler, 2, 4),
    partial(MultinomialSampler, 2, 4),
    partial(DynamicSampler, 2, 4),
    partial(RatioPreservingSampler, 2, 4),
    partial(ReleasedDynamicSampler, 2, 4),
    partial(ReleasedRatioPreservingSampler, 2, 4),
    lambda: DelayedSampler(MultinomialSampler(2, 4), QuotaSampler(2, 4), first_step=2),
    partial(UniformWeights, 2),
    partial(DisparityWeights, 2),
    partial(ImprovementAwareWeights, 2),
    partial(RegularizedWeights, 2),
    partial(SelfEvolvingWeights, 2),
    partial(DUMPWeights, 2),
    partial(GDROWeights, 2),
    partial(GapWeights, 2),
    partial(VarianceWeights, 2),
    partial(ProgressWeights, 2),
    partial(SequentialWeights, [[1], [0]], num_steps=4),
    partial(LatestReward, 2),
    partial(AverageAccuracy, 2),
    partial(RecentAccuracy, 2),
    GradientDescent,
    Adam,
    AdamW,
]


class Part(Stateful):
    """One attribute of every kind."""

    hyperparameter_names = ("size", "rule")
    state_names = ("rng", "count", "label", "maybe", "table", "numbers", "shares")

    def __init__(self, size: int = 2, rule: Callable[..., Any] = len) -> None:
        self.size, self.rule = size, rule
        self.rng = np.random.default_rng(0)
        self.count, self.label, self.maybe = 0, "a", None
        self.table: dict[str, list[int]] = {}
        self.numbers = np.zeros((size, 2))
        self.shares = RecentShares(size, memory=4.0, prior_trials=1.0)

    def draw(self) -> list[float]:
        """Moves everything."""
        self.count += 1
        self.label += "b"
        self.table.setdefault("draws", []).append(self.count)
        self.numbers = self.numbers + self.rng.random((self.size, 2))
        self.shares.observe(np.ones(self.size), self.rng.random(self.size))
        return [*self.numbers.ravel(), *self.shares.estimates, self.rng.random()]


# Save, draw, restore


@given(st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=20, derandomize=True, deadline=None)
def test_a_restored_part_draws_what_the_saved_one_draws_next(before: int, elsewhere: int) -> None:
    saved, restored = Part(), Part()
    for _ in range(before):
        saved.draw()
    for _ in range(elsewhere):
        restored.draw()
    state = json.loads(json.dumps(saved.state_dict()))
    expected = [saved.draw() for _ in range(3)]
    restored.load_state_dict(state)
    assert restored.state_dict() == state
    assert [restored.draw() for _ in range(3)] == expected
    assert (restored.count, restored.label, restored.table) == (saved.count, saved.label, saved.table)


def test_a_state_shares_nothing_with_the_part_it_was_taken_from_or_given_to() -> None:
    part, other = Part(), Part()
    part.draw()
    state = part.state_dict()
    before = json.dumps(state)
    other.load_state_dict(state)
    part.draw()
    other.draw()
    assert json.dumps(state) == before
    array = np.ones((2, 2))
    other.load_state_dict({**state, "numbers": array})
    other.numbers += 1
    assert array.tolist() == [[1, 1], [1, 1]]


def test_what_may_be_nothing_is_restored_whatever_it_was() -> None:
    part, other = Part(), Part()
    other.load_state_dict({**part.state_dict(), "maybe": [1, 2]})
    assert other.maybe == [1, 2]


@pytest.mark.parametrize("make", PARTS)
def test_every_part_of_the_package_names_all_it_holds_and_its_state_is_plain_data(make: Callable[[], Stateful]) -> None:
    part, other = make(), make()
    refuse_unnamed_attributes(part)
    state = json.loads(json.dumps(part.state_dict()))
    other.load_state_dict(state)
    assert other.state_dict() == part.state_dict()
    assert json.loads(json.dumps(part.hyperparameters))["type"] == type(part).__name__


# What a state must be


def test_a_state_that_lacks_something_is_refused_by_name() -> None:
    state = Part().state_dict()
    del state["count"], state["numbers"]
    with pytest.raises(ValueError, match=r"expected a state of Part with \['count', 'numbers'\], got \['label',"):
        Part().load_state_dict(state)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("numbers", [[0.0, 1.0]], r"Part.numbers as finite numbers of shape \(2, 2\), got \[\[0.0, 1.0\]\]"),
        ("numbers", [[0.0, 1.0], [2.0]], r"Part.numbers as finite numbers of shape \(2, 2\)"),
        ("numbers", [[0.0, 1.0], [2.0, float("nan")]], r"Part.numbers as finite numbers"),
        ("numbers", [[0.0, 1.0], [2.0, float("inf")]], r"Part.numbers as finite numbers"),
        ("numbers", "many", r"Part.numbers as finite numbers of shape \(2, 2\), got 'many'"),
        ("numbers", None, r"Part.numbers as finite numbers"),
        ("shares", {"trials": [1.0], "hits": [1.0]}, r"RecentShares.trials as finite numbers of shape \(2,\)"),
        ("count", "many", r"expected Part.count as int, got 'many'"),
        ("count", None, r"expected Part.count as int, got None"),
        ("count", True, r"expected Part.count as int, got True"),
        ("count", float("nan"), r"expected Part.count as int, got nan"),
        ("count", float("-inf"), r"expected Part.count as int, got -inf"),
        ("count", 2**63, r"expected Part.count as int, got 9223372036854775808"),
        ("numbers", [["0", "1"], ["2", "3"]], r"Part.numbers as finite numbers"),
        ("numbers", [[False, True], [True, True]], r"Part.numbers as finite numbers"),
        ("shares", 7, r"expected a state of RecentShares, got 7"),
        ("table", 3, r"expected Part.table as dict, got 3"),
    ],
)
def test_a_state_of_another_kind_or_shape_is_refused_and_changes_nothing_of_the_part(
    name: str, value: Any, message: str
) -> None:
    part = Part()
    part.draw()
    before = part.state_dict()
    with pytest.raises(ValueError, match=message):
        part.load_state_dict({**Part().state_dict(), "rng": before["rng"], name: value})
    after = part.state_dict()
    assert {key: after[key] for key in after if key != "shares"} == {
        key: before[key] for key in before if key != "shares"
    }


# What a person reads


def test_a_part_is_shown_as_the_call_that_makes_it() -> None:
    assert repr(Part(3, np.mean)) == "Part(size=3, rule=mean)"
    assert repr(UniformWeights(4)) == "UniformWeights(num_tasks=4)"
    assert repr(ImprovementAwareWeights(2, optimizer=GradientDescent(0.1))) == (
        "ImprovementAwareWeights(num_tasks=2, reward_coef=0.2, improvement_clip=0.1, "
        "optimizer=GradientDescent(lr=0.1, l2=0.0))"
    )


@pytest.mark.parametrize("make", PARTS)
def test_what_is_shown_of_a_part_holds_no_address(make: Callable[[], Stateful]) -> None:
    assert repr(make()).startswith(f"{type(make()).__name__}(")
    assert " at 0x" not in repr(make())


def test_a_callable_without_a_name_is_shown_by_its_type() -> None:
    class Rule:
        def __call__(self) -> None: ...

    assert repr(Part(2, Rule())) == "Part(size=2, rule=Rule)"
    assert Part(2, Rule()).hyperparameters == {"type": "Part", "size": 2, "rule": "Rule"}


@dataclass(frozen=True)
class Budget:
    rounds: int = 3
    factors: tuple[float, ...] = (1.0, 2.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (len, "len"),
        (Budget, "Budget"),
        (Budget(), {"rounds": 3, "factors": [1.0, 2.0]}),
        (np.array([1, 2]), [1, 2]),
        (np.float32(0.5), 0.5),
        ((1, (len, None)), [1, ["len", None]]),
        ({1: Budget(4)}, {"1": {"rounds": 4, "factors": [1.0, 2.0]}}),
        (GradientDescent(0.1), {"type": "GradientDescent", "lr": 0.1, "l2": 0.0}),
        (partial(round, 2.5, ndigits=1), {"function": "round", "args": [2.5], "ndigits": 1}),
    ],
)
def test_hyperparameters_are_plain_data(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert json.loads(json.dumps(plain(value))) == expected


# Other hyper-parameters


def test_equal_hyperparameters_pass_also_after_a_file() -> None:
    own = DelayedSampler(MultinomialSampler(2, 4), QuotaSampler(2, 4), first_step=2).hyperparameters
    refuse_other_hyperparameters("it is", json.loads(json.dumps(own)), own)
    infinite = QuotaSampler(2, 4, max_generated=float("inf")).hyperparameters
    refuse_other_hyperparameters("it is", json.loads(json.dumps(infinite)), infinite)


def test_every_difference_is_named_with_both_values() -> None:
    saved = ImprovementAwareWeights(2, reward_coef=0.3, optimizer=Adam(0.1)).hyperparameters
    own = ImprovementAwareWeights(2, optimizer=GradientDescent(0.1)).hyperparameters
    with pytest.raises(ValueError, match=r"^it is of other hyper-parameters: ") as error:
        refuse_other_hyperparameters("it is", {"rule": saved}, {"rule": own})
    for difference in (
        "rule.reward_coef was 0.3, is 0.2",
        "rule.optimizer.type was 'Adam', is 'GradientDescent'",
        "rule.optimizer.eps was 1e-08, is 'nothing'",
    ):
        assert difference in str(error.value)
    assert "num_tasks" not in str(error.value)


# What a class forgot to name


class Forgetful(DisparityWeights):
    """Holds what it does not name."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(2)
        vars(self).update(attributes)


@pytest.mark.parametrize(
    "attributes",
    [
        {"counts": np.zeros(2)},
        {"_counts": np.zeros(2)},
        {"speed": 0.1},
        {"seen": 3},
        {"last": np.float64(1.0)},
        {"is_warm": False},
        {"seen": []},
        {"counts": {}},
        {"_rng": np.random.default_rng(0)},
        {"optimizer": Adam()},
    ],
)
def test_what_a_class_does_not_name_is_refused_by_name(attributes: dict[str, Any]) -> None:
    (name,) = attributes
    with pytest.raises(ValueError, match=rf"Forgetful holds \['{name}'\]: expected every attribute in its hyperp"):
        refuse_unnamed_attributes(Forgetful(**attributes))


@pytest.mark.parametrize("attributes", [{"_half": 0.5}, {"log": print}, {"_notes": []}, {"name": "x"}])
def test_what_is_no_number_or_follows_from_the_rest_need_not_be_named(attributes: dict[str, Any]) -> None:
    refuse_unnamed_attributes(Forgetful(**attributes))


def test_parts_of_a_part_are_looked_into_as_well() -> None:
    class Momentum(GradientDescent):
        def __init__(self) -> None:
            super().__init__()
            self.velocity = np.zeros(2)

    with pytest.raises(ValueError, match=r"Momentum holds \['velocity'\]"):
        refuse_unnamed_attributes(ImprovementAwareWeights(2, optimizer=Momentum()))


class Learned(Stateful):
    """Holds one thing of any kind."""

    state_names = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held


@pytest.mark.parametrize(
    ("first", "later"),
    [(0, 0.75), (0.5, 2), (np.zeros(2, dtype=np.int64), np.array([0.5, 1.5])), ([], [1, 2]), ({}, {"a": 1.5})],
)
def test_what_grew_into_another_kind_of_number_comes_back_as_it_was(first: Any, later: Any) -> None:
    fresh = Learned(first)
    fresh.load_state_dict(json.loads(json.dumps(Learned(later).state_dict())))
    np.testing.assert_equal(fresh.held, later)


@pytest.mark.parametrize("held", [{1: 2}, {1, 2}, [np.zeros(2)], np.array([np.nan]), float("inf")])
def test_what_a_file_would_not_give_back_is_refused_when_it_is_saved(held: Any) -> None:
    with pytest.raises(TypeError, match=r"Learned\.held"):
        Learned(held).state_dict()


def test_a_part_with_a_state_is_none_of_the_fixed_numbers() -> None:
    class Wrapped(DisparityWeights):
        hyperparameter_names = (*DisparityWeights.hyperparameter_names, "optimizer")

        def __init__(self) -> None:
            super().__init__(2)
            self.optimizer = Learned(0)

    with pytest.raises(ValueError, match=r"Wrapped\.optimizer has a state: expected it in state_names"):
        refuse_unnamed_attributes(Wrapped())
