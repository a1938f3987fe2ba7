"""AdamW with clipped gradients: what is accumulated is what is stepped on, and state survives a restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine


def linear() -> torch.nn.Linear:
    """Two weights of 1 and no bias: its gradient is whatever the input says."""
    module = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(module.weight)
    return module


def backward(engine: TorchTrainEngine, *gradient: float) -> None:
    """Accumulate exactly this gradient."""
    (weight,) = engine.module.parameters()
    engine.backward((weight * torch.tensor([gradient])).sum(), is_last=True)


def test_the_norm_returned_is_that_of_all_that_was_accumulated_before_clipping() -> None:
    engine = TorchTrainEngine(linear(), lr=0.1, max_grad_norm=1.0)
    backward(engine, 3.0, 0.0)
    backward(engine, 0.0, 4.0)
    assert engine.step() == pytest.approx(5.0)


def test_gradients_do_not_leak_into_the_next_step() -> None:
    engine = TorchTrainEngine(linear(), lr=0.1)
    for expected in (3.0, 2.0):
        backward(engine, expected, 0.0)
        assert engine.step() == pytest.approx(expected)


def test_a_gradient_is_scaled_down_to_the_largest_norm_and_never_up() -> None:
    """AdamW's first moment after one step is a tenth of the gradient it was given."""
    for gradient, stepped_on in ((8.0, 2.0), (0.5, 0.5)):
        engine = TorchTrainEngine(linear(), lr=0.1, max_grad_norm=2.0)
        backward(engine, gradient, 0.0)
        engine.step()
        (state,) = engine.optimizer.state_dict()["state"].values()
        assert state["exp_avg"][0, 0].item() == pytest.approx(stepped_on / 10, rel=1e-4)


def test_weight_decay_is_decoupled_from_the_gradient() -> None:
    engine = TorchTrainEngine(linear(), lr=0.1, weight_decay=0.5)
    backward(engine, 0.0, 0.0)
    engine.step()
    torch.testing.assert_close(engine.module.state_dict()["weight"], torch.full((1, 2), 0.95))


def test_steps_are_adamws_with_the_betas_decay_clip_and_rate_that_were_given() -> None:
    """By its authors' formulas, in float64."""
    betas, decay, clip, eps = (0.7, 0.9), 0.1, 0.5, 1e-8
    module = linear().double()
    engine = TorchTrainEngine(module, lr=1.0, betas=betas, weight_decay=decay, max_grad_norm=clip)
    weight, mean, square = np.ones(2), np.zeros(2), np.zeros(2)
    for t, (lr, gradient) in enumerate([(0.1, [3.0, 4.0]), (0.02, [0.1, -0.2]), (0.3, [-2.0, 0.0])], start=1):
        engine.lr = lr
        engine.backward((module.weight * torch.tensor([gradient], dtype=torch.float64)).sum(), is_last=True)
        norm = engine.step()
        assert norm == pytest.approx(np.linalg.norm(gradient))
        clipped = np.array(gradient) * min(1.0, clip / (norm + 1e-6))
        mean = betas[0] * mean + (1 - betas[0]) * clipped
        square = betas[1] * square + (1 - betas[1]) * clipped**2
        direction = (mean / (1 - betas[0] ** t)) / (np.sqrt(square / (1 - betas[1] ** t)) + eps)
        weight = weight * (1 - lr * decay) - lr * direction
        assert engine.lr == lr
        np.testing.assert_allclose(module.weight.detach().numpy()[0], weight, rtol=1e-12)


def test_a_step_is_one_fused_kernel() -> None:
    assert TorchTrainEngine(linear(), lr=0.1).optimizer.defaults["fused"]


def test_a_restored_engine_goes_on_as_the_saved_one_does(tmp_path: Path) -> None:
    first, second = (TorchTrainEngine(linear(), lr=0.1) for _ in range(2))
    backward(first, 0.3, -0.7)
    first.step()
    first.save(tmp_path)
    second.module.load_state_dict(first.module.state_dict())
    second.load(tmp_path)
    for engine in (first, second):
        backward(engine, -0.2, 0.1)
        engine.step()
    assert torch.equal(*(engine.module.state_dict()["weight"] for engine in (first, second)))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_gradient_that_is_not_finite_is_refused_by_name_and_forgotten(bad: float) -> None:
    engine = TorchTrainEngine(linear(), lr=0.1)
    backward(engine, bad, 1.0)
    with pytest.raises(FloatingPointError, match=r"gradient norm is (nan|inf): the step was not taken"):
        engine.step()
    assert torch.equal(engine.module.state_dict()["weight"], torch.ones(1, 2))
    assert not engine.optimizer.state_dict()["state"]
    backward(engine, 1.0, 0.0)
    assert engine.step() == pytest.approx(1.0)
