"""Chosen tokens' log-probabilities and their gradient equal those of a plain softmax in float64, in little memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mtgrpo_env.agents.llm import log_probs
from mtgrpo_env.agents.llm.log_probs import chosen_log_probs

VOCABULARY = 50


class Allocations(TorchDispatchMode):
    """Remembers the bytes of everything that operations allocate, views not among it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_bytes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            known = {arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, torch.Tensor)}
            if result.untyped_storage().data_ptr() not in known:
                self.num_bytes.append(result.untyped_storage().nbytes())
        return result


def logits_and_tokens(*shape: int, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = 5 * torch.randn(*shape, VOCABULARY, generator=generator)
    return logits.to(dtype).requires_grad_(), torch.randint(VOCABULARY, shape, generator=generator)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("chunk", [1, 3 * VOCABULARY, 10**6])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_values_and_gradients_equal_a_plain_softmax_in_float64(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, chunk: int, temperature: float
) -> None:
    monkeypatch.setattr(log_probs, "_CHUNK", chunk)
    logits, tokens = logits_and_tokens(4, 5, dtype=dtype)
    weights = torch.linspace(-1, 1, 20).view(4, 5)
    values = chosen_log_probs(logits, tokens, temperature)
    (gradient,) = torch.autograd.grad((values * weights).sum(), logits)
    plain = logits.detach().double().requires_grad_()
    expected = torch.log_softmax(plain / temperature, dim=-1).gather(-1, tokens[..., None]).squeeze(-1)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), plain)
    assert values.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(values.double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient.double(), expected_gradient, atol=tolerance, rtol=tolerance)


def test_tokens_next_to_impossible_have_finite_values_and_gradients() -> None:
    logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    value = chosen_log_probs(logits, torch.tensor([1]), 1.0)
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == -2e4
    assert gradient.tolist() == [[-1.0, 1.0, 0.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_nothing_larger_than_a_chunk_is_made_but_the_gradient(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(log_probs, "_CHUNK", 100 * VOCABULARY)
    logits, tokens = logits_and_tokens(2000, dtype=dtype)
    whole, chunk = logits.numel() * logits.element_size(), 100 * VOCABULARY * 4
    with Allocations() as forward:
        values = chosen_log_probs(logits, tokens, 0.7)
    assert max(forward.num_bytes) == chunk
    with Allocations() as backward:
        values.sum().backward()
    *others, largest = sorted(backward.num_bytes)
    assert largest == whole
    assert max(others) == chunk
