from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.recent_shares import RecentShares
from mtgrpo_env.types import FloatArray

Seen = list[tuple[list[int], list[float]]]
OBSERVATIONS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 1, 3, 50, 10_000]), min_size=3, max_size=3),
        st.lists(st.sampled_from([0.0, 0.2, 1.0]), min_size=3, max_size=3),
    ),
    max_size=6,
)


def having_seen(seen: Seen, *, memory: float = 20.0, prior_trials: float = 2.0) -> RecentShares:
    """Shares of three tasks after these trials, of which that share were hits."""
    shares = RecentShares(3, memory=memory, prior_trials=prior_trials)
    for trials, hit in seen:
        shares.observe(trials, np.multiply(trials, hit))
    return shares


def after_one_task(num_tasks: int, trials: int, hits: FloatArray) -> FloatArray:
    """Estimates of tasks that were each tried this often, once."""
    shares = RecentShares(num_tasks, memory=48.0, prior_trials=2.0)
    shares.observe(np.full(num_tasks, trials), hits)
    return shares.estimates


@given(OBSERVATIONS, st.sampled_from([0.5, 20.0, 1e6]))
@settings(max_examples=150, derandomize=True, deadline=None)
def test_estimates_are_never_certain(seen: Seen, memory: float) -> None:
    estimates = having_seen(seen, memory=memory).estimates
    assert estimates.shape == (3,)
    assert ((estimates > 0) & (estimates < 1)).all()


@given(OBSERVATIONS, st.permutations(range(3)))
@settings(max_examples=80, derandomize=True, deadline=None)
def test_relabelling_tasks_permutes_the_estimates(seen: Seen, names: list[int]) -> None:
    renamed = [([trials[k] for k in names], [hit[k] for k in names]) for trials, hit in seen]
    np.testing.assert_allclose(having_seen(seen).estimates[names], having_seen(renamed).estimates, rtol=1e-12)


def test_a_task_never_seen_has_the_share_of_all_together() -> None:
    shares = having_seen([([6, 3, 0], [1.0, 0.0, 0.0])])
    assert shares.estimates[2] == pytest.approx((6 + 0.5) / (9 + 1))
    assert shares.estimates[1] < shares.estimates[2] < shares.estimates[0]


def test_with_nothing_seen_every_share_is_a_half() -> None:
    np.testing.assert_array_equal(having_seen([]).estimates, [0.5] * 3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_first_estimates_have_no_bias(share: float) -> None:
    """Four trials of each of 5000 tasks: standard error below .003, tolerance .01; a start at 0 or 1 were far off."""
    hits = np.random.default_rng(0).binomial(4, share, 5000).astype(np.float64)
    assert after_one_task(5000, 4, hits).mean() == pytest.approx(share, abs=0.01)


def test_an_estimate_is_drawn_towards_the_share_of_all_by_as_many_trials_as_the_prior_has() -> None:
    """Shares of 1 and 0 after 8 trials each: (8 + 2 * 8.5/17) / (8 + 2) and (0 + 2 * 8.5/17) / (8 + 2)."""
    np.testing.assert_allclose(after_one_task(2, 8, np.array([8.0, 0.0])), [0.9, 0.1])


def test_what_was_seen_counts_a_fraction_of_e_once_a_memory_of_trials_has_passed() -> None:
    """One task: 10 hits of 10, then 20 misses at a memory of 20; hits 10/e, trials 10/e + 20."""
    shares = RecentShares(1, memory=20.0, prior_trials=1e-9)
    shares.observe([10], [10])
    shares.observe([20], [0])
    np.testing.assert_allclose(shares.estimates, (10 / np.e) / (10 / np.e + 20), rtol=1e-6)


def test_a_task_forgets_by_its_own_trials_and_not_by_those_of_others() -> None:
    """A negligible prior leaves no way for the others to show in the estimate at all."""
    shares = RecentShares(2, memory=5.0, prior_trials=1e-9)
    shares.observe([4, 4], [1, 3])
    before = shares.estimates
    for _ in range(50):
        shares.observe([10, 0], [9, 0])
    np.testing.assert_allclose(shares.estimates, [0.9, 0.75], rtol=1e-6)
    np.testing.assert_allclose(before, [0.25, 0.75], rtol=1e-6)


def test_an_estimate_follows_a_task_that_changes() -> None:
    shares = having_seen([([1000, 0, 0], [1.0, 0.0, 0.0]), *[([10, 0, 0], [0.0, 0.0, 0.0])] * 30])
    assert shares.estimates[0] < 0.05


def test_counts_without_a_sign_are_counts() -> None:
    shares, signed = RecentShares(2, memory=20.0, prior_trials=2.0), RecentShares(2, memory=20.0, prior_trials=2.0)
    for _ in range(2):
        shares.observe(np.array([6, 3], dtype=np.uint8), np.array([2, 3], dtype=np.uint8))
        signed.observe([6, 3], [2, 3])
    np.testing.assert_array_equal(shares.estimates, signed.estimates)


def test_hits_may_be_parts_of_a_trial() -> None:
    shares = RecentShares(1, memory=20.0, prior_trials=1e-9)
    shares.observe([4], [0.6])
    np.testing.assert_allclose(shares.estimates, [0.15], rtol=1e-6)


# State and misuse


def test_restored_shares_go_on_bit_for_bit() -> None:
    shares, restored = having_seen([([6, 3, 0], [0.5, 0.0, 0.0]), ([1, 0, 2], [1.0, 0.0, 0.5])]), having_seen([])
    restored.load_state_dict(json.loads(json.dumps(shares.state_dict())))
    np.testing.assert_array_equal(restored.estimates, shares.estimates)
    for either in (shares, restored):
        either.observe([3, 1, 4], [1, 1, 2])
    np.testing.assert_array_equal(restored.estimates, shares.estimates)
    assert restored.state_dict() == shares.state_dict()


def test_a_saved_state_does_not_change_with_what_is_seen_later() -> None:
    shares = having_seen([([6, 3, 0], [0.5, 0.0, 0.0])])
    saved = shares.state_dict()
    before = json.dumps(saved)
    shares.observe([1, 1, 1], [1, 1, 1])
    assert json.dumps(saved) == before


def test_what_is_forgotten_is_as_never_seen() -> None:
    shares = having_seen([([6, 3, 0], [0.5, 0.0, 0.0])])
    shares.forget()
    assert shares.state_dict() == having_seen([]).state_dict()


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
@pytest.mark.parametrize("name", ["memory", "prior_trials"])
def test_settings_that_are_not_positive_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be above 0, got {value}"):
        RecentShares(2, **{"memory": 1.0, "prior_trials": 1.0, name: value})
