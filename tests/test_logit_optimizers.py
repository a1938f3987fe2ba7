from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtgrpo_env.logit_optimizers import Adam, AdamW, GradientDescent, LogitOptimizer

OPTIMIZERS: list[Callable[[], LogitOptimizer]] = [GradientDescent, Adam, AdamW]
VECTORS = st.lists(st.floats(-5, 5).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=3, max_size=3).map(np.array)


@pytest.mark.parametrize("make", OPTIMIZERS)
@given(logits=VECTORS, gradients=st.lists(VECTORS, min_size=1, max_size=5), names=st.permutations(range(3)))
@settings(max_examples=40, derandomize=True, deadline=None)
def test_relabelling_permutes_the_logits(
    make: Callable[[], LogitOptimizer], logits: np.ndarray, gradients: list[np.ndarray], names: list[int]
) -> None:
    one, other = make(), make()
    permuted = logits[names]
    for gradient in gradients:
        logits, permuted = one.step(logits, gradient), other.step(permuted, gradient[names])
    np.testing.assert_array_equal(logits[names], permuted)


@pytest.mark.parametrize("make", OPTIMIZERS)
@given(logits=VECTORS, gradient=VECTORS)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_a_first_step_without_decay_goes_against_the_gradient_and_leaves_its_input_alone(
    make: Callable[..., LogitOptimizer], logits: np.ndarray, gradient: np.ndarray
) -> None:
    given_logits = logits.copy()
    moved = make(l2=0.0).step(logits, gradient)
    np.testing.assert_array_equal(np.sign(logits - moved), np.sign(gradient))
    np.testing.assert_array_equal(logits, given_logits)


def test_gradient_descent_is_the_printed_line() -> None:
    moved = GradientDescent(0.1, l2=0.5).step(np.array([1.0, -2.0]), np.array([3.0, 0.0]))
    np.testing.assert_allclose(moved, [1 - 0.1 * (3 + 0.5), -2 - 0.1 * (-1.0)])


def test_adam_moves_at_one_speed_whatever_the_size_of_the_gradient() -> None:
    for size in (1e-4, 1.0, 1e4):
        optimizer, logits = Adam(0.1, l2=0.0), np.zeros(2)
        for _ in range(10):
            logits = optimizer.step(logits, np.array([size, -size]))
        np.testing.assert_allclose(logits, [-1.0, 1.0], rtol=1e-3)


def test_adam_by_hand() -> None:
    """Two steps with gradients 1 and 3, betas .9 and .99: bias-corrected moments by the textbook."""
    optimizer = Adam(0.1, l2=0.0, betas=(0.9, 0.99), eps=0.0)
    first = optimizer.step(np.zeros(1), np.ones(1))
    mean, square = (0.9 * 0.1 + 0.1 * 3) / (1 - 0.81), (0.99 * 0.01 + 0.01 * 9) / (1 - 0.9801)
    np.testing.assert_allclose(first, [-0.1])
    np.testing.assert_allclose(optimizer.step(first, np.array([3.0])), [-0.1 - 0.1 * mean / np.sqrt(square)])


def test_adam_is_by_default_that_of_the_released_code() -> None:
    """β = .025, a coupled decay of 1e-5 and ε = 1e-8: without a gradient the decay is all that is normalised."""
    np.testing.assert_allclose(Adam().step(np.ones(1), np.zeros(1)), 1 - 0.025 * 1e-5 / (1e-5 + 1e-8), rtol=1e-9)


def test_coupled_decay_enters_the_moments_and_decoupled_decay_the_logits() -> None:
    """Without a gradient Adam normalises the decay into a whole step; AdamW shrinks by lr * l2."""
    logits = np.array([2.0, -1.0])
    np.testing.assert_allclose(Adam(0.1, l2=0.01).step(logits, np.zeros(2)), [1.9, -0.9], atol=1e-6)
    np.testing.assert_allclose(AdamW(0.1, l2=0.01).step(logits, np.zeros(2)), logits * (1 - 0.1 * 0.01))


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("steps_before", [0, 5])
def test_a_restored_optimizer_goes_on_bit_for_bit(make: Callable[[], LogitOptimizer], steps_before: int) -> None:
    rng = np.random.default_rng(0)
    optimizer, logits = make(), np.array([0.3, -0.2, 0.1])
    for _ in range(steps_before):
        logits = optimizer.step(logits, rng.normal(size=3))
    restored = make()
    restored.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    same = logits
    for gradient in rng.normal(size=(5, 3)):
        logits, same = optimizer.step(logits, gradient), restored.step(same, gradient)
    np.testing.assert_array_equal(logits, same)
    assert restored.state_dict() == optimizer.state_dict()


@pytest.mark.parametrize(
    "odd",
    [
        {"steps": 1.5},
        {"steps": -1},
        {"mean": [float("nan")] * 3},
        {"square": [-1.0, 0.0, 0.0]},
        {"mean": [0.0]},
        {"mean": [None] * 3},
    ],
)
def test_a_state_that_no_optimizer_was_in_is_refused(odd: dict[str, object]) -> None:
    optimizer = Adam()
    optimizer.step(np.zeros(3), np.ones(3))
    with pytest.raises(ValueError, match="expected the steps and moments of Adam, got"):
        Adam().load_state_dict({**optimizer.state_dict(), **odd})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, "lr must be above 0"),
        ({"lr": -0.5}, "lr must be above 0"),
        ({"l2": -0.5}, "l2 must be"),
        ({"betas": (1.0, 0.9)}, "betas must be"),
        ({"betas": (0.9, 1.5)}, "betas must be"),
        ({"betas": (-0.5, 0.9)}, "betas must be"),
        ({"eps": -0.5}, "eps must be"),
    ],
)
def test_numbers_with_which_no_step_descends_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Adam(**options)
