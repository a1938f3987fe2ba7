"""Computing a shared prompt once changes neither log-probabilities nor gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, PackedGroups, left_padded, pack
from mtgrpo_env.agents.llm.prefix import (
    checkpoint_activations,
    completion_log_probs,
    full_sequence_log_probs,
    prefill,
)
from mtgrpo_env.types import Group, Problem, Rollout, Step

PlainLogProbs = Callable[[PreTrainedModel, Completion, float], torch.Tensor]
RandomCompletions = Callable[[Sequence[int], Sequence[int], Sequence[int]], list[Completion]]

SHAPES = [
    pytest.param((7,), (0, 0, 0), (5, 1, 3), id="one-prompt-for-all"),
    pytest.param((9, 1, 4), (2, 0, 0, 1, 2), (3, 6, 1, 4, 2), id="unequal-lengths-out-of-order"),
    pytest.param((3, 8), (0, 1), (1, 1), id="one-token-completions"),
    pytest.param((5,), (0,), (6,), id="one-row"),
]


def packed_of(completions: Sequence[Completion]) -> PackedGroups:
    rollouts = tuple(Rollout((Step("", "", 0.0, extras=c),), 0.0, False) for c in completions)
    return pack([Group(Problem(0, seed=0), rollouts)], np.ones(1), 0)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize(("prompt_lengths", "which", "lengths"), SHAPES)
def test_log_probs_with_shared_prompts_equal_a_plain_forward_pass_of_each_row(
    model: PreTrainedModel,
    random_completions: RandomCompletions,
    plain_log_probs: PlainLogProbs,
    prompt_lengths: Sequence[int],
    which: Sequence[int],
    lengths: Sequence[int],
    temperature: float,
) -> None:
    completions = random_completions(prompt_lengths, which, lengths)
    with torch.no_grad():
        ours = completion_log_probs(model, packed_of(completions), temperature)
        for row, completion in zip(ours, completions, strict=True):
            plain = plain_log_probs(model, completion, temperature)
            torch.testing.assert_close(row[: len(plain)].double(), plain, atol=1e-5, rtol=1e-5)


def test_log_probs_do_not_depend_on_how_attention_is_computed(
    model: PreTrainedModel, random_completions: RandomCompletions, plain_log_probs: PlainLogProbs
) -> None:
    """A row of padding attends to nothing, which is where implementations differ."""
    completions = random_completions((9, 1), (0, 1), (3, 2))
    model.set_attn_implementation("eager")
    with torch.no_grad():
        ours = completion_log_probs(model, packed_of(completions), 1.0)
        for row, completion in zip(ours, completions, strict=True):
            plain = plain_log_probs(model, completion, 1.0)
            torch.testing.assert_close(row[: len(plain)].double(), plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("prompt_lengths", "which", "lengths"), SHAPES)
def test_gradients_of_all_parameters_equal_those_of_the_plain_computation(
    model: PreTrainedModel,
    random_completions: RandomCompletions,
    plain_log_probs: PlainLogProbs,
    prompt_lengths: Sequence[int],
    which: Sequence[int],
    lengths: Sequence[int],
) -> None:
    completions = random_completions(prompt_lengths, which, lengths)
    coefficients = torch.linspace(-1, 1, len(completions)) + 0.1
    packed = packed_of(completions)
    ours = (completion_log_probs(model, packed, 1.0) * packed.mask).sum(dim=1)
    gradients = torch.autograd.grad(ours @ coefficients, list(model.parameters()))
    plain = torch.stack([plain_log_probs(model, completion, 1.0).sum() for completion in completions]).float()
    expected = torch.autograd.grad(plain @ coefficients, list(model.parameters()))
    for (name, _), ours_, plain_ in zip(model.named_parameters(), gradients, expected, strict=True):
        assert plain_.abs().max() > 0, name
        error = (ours_ - plain_).abs().max() / plain_.abs().max()
        assert error < 1e-4, name


def test_a_prefix_ends_where_each_prompt_ends_and_rows_can_be_repeated(
    model: PreTrainedModel, random_completions: RandomCompletions
) -> None:
    prompts = [completion.prompt for completion in random_completions((6, 2), (0, 1), (1, 1))]
    ids, mask = (torch.as_tensor(array) for array in left_padded(prompts, pad_id=0))
    with torch.no_grad():
        prefix = prefill(model, ids, mask)
        assert prefix.lengths.tolist() == [6, 2]
        expected = torch.stack([model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts])
        torch.testing.assert_close(prefix.next_logits, expected, atol=1e-5, rtol=1e-5)
        chosen = prefix.select(torch.tensor([1, 0, 1]))
    assert chosen.lengths.tolist() == [2, 6, 2]
    assert torch.equal(chosen.next_logits, prefix.next_logits[[1, 0, 1]])
    assert chosen.cache.get_seq_length() == 6


def test_padding_tokens_have_no_influence(model: PreTrainedModel, random_completions: RandomCompletions) -> None:
    packed = packed_of(random_completions((6, 2), (0, 1, 1), (2, 4, 1)))
    prompts, tokens = packed.prompts.clone(), packed.tokens.clone()
    prompts[packed.prompt_mask == 0] = 50
    tokens[packed.mask == 0] = 60
    other = replace(packed, prompts=prompts, tokens=tokens)
    with torch.no_grad():
        ours, theirs = (completion_log_probs(model, one, 1.0)[packed.mask == 1] for one in (packed, other))
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("checkpointed", [False, True])
@pytest.mark.parametrize(("prompt_lengths", "which", "lengths"), SHAPES)
def test_full_sequences_give_the_same_log_probs_and_gradients_with_and_without_checkpointing(
    model: PreTrainedModel,
    random_completions: RandomCompletions,
    prompt_lengths: Sequence[int],
    which: Sequence[int],
    lengths: Sequence[int],
    checkpointed: bool,
) -> None:
    packed = packed_of(random_completions(prompt_lengths, which, lengths))
    values, gradients = [], []
    for compute in (completion_log_probs, full_sequence_log_probs):
        if checkpointed and compute is full_sequence_log_probs:
            checkpoint_activations(model)
        log_probs = compute(model, packed, 0.7) * packed.mask
        coefficients = torch.linspace(-1, 1, len(log_probs)) + 0.1
        values.append(log_probs.detach())
        gradients.append(torch.autograd.grad(log_probs.sum(dim=1) @ coefficients, list(model.parameters())))
    torch.testing.assert_close(*values, atol=1e-5, rtol=1e-5)
    for (name, _), ours, theirs in zip(model.named_parameters(), *gradients, strict=True):
        assert (ours - theirs).abs().max() / theirs.abs().max() < 1e-4, name


def test_checkpointing_computes_layers_again_and_leaves_the_model_ready_to_generate(
    model: PreTrainedModel, random_completions: RandomCompletions
) -> None:
    checkpoint_activations(model)
    runs: list[int] = []
    model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: runs.append(1))
    full_sequence_log_probs(model, packed_of(random_completions((5,), (0,), (6,))), 1.0).sum().backward()
    assert len(runs) == 2
    assert not any(module.training for module in model.modules())
    assert prefill(model, torch.ones(1, 4).long(), torch.ones(1, 4).long()).cache.get_seq_length() == 4


def test_what_prompts_begin_with_in_common_is_computed_once_and_changes_nothing(
    model: PreTrainedModel, random_completions: RandomCompletions, plain_log_probs: PlainLogProbs
) -> None:
    """Two tasks whose prompts share 9 and 7 tokens, and a prompt that shares none."""
    generator = np.random.default_rng(0)
    beginnings = [tuple(generator.integers(4, 90, size).tolist()) for size in (9, 7, 0)]
    own = random_completions((2, 1, 4, 3, 5, 6), (0, 1, 2, 3, 4, 5, 2), (3, 1, 4, 2, 3, 5, 1))
    tasks = (0, 0, 0, 1, 1, 2, 0)
    completions = [replace(c, prompt=beginnings[task] + c.prompt) for c, task in zip(own, tasks, strict=True)]
    packed = packed_of(completions)
    widths: list[int] = []
    watch = model.get_input_embeddings().register_forward_hook(lambda _, inputs, __: widths.append(inputs[0].numel()))
    ours = completion_log_probs(model, packed, 0.7)
    watch.remove()
    assert sum(widths[:2]) < packed.prompts.numel()
    plain = torch.cat([plain_log_probs(model, completion, 0.7) for completion in completions])
    torch.testing.assert_close(ours[packed.mask == 1].double(), plain.double(), atol=1e-5, rtol=1e-5)
    coefficients = torch.linspace(-1, 1, len(plain)).double()
    gradients = torch.autograd.grad(ours[packed.mask == 1].double() @ coefficients, list(model.parameters()))
    expected = torch.autograd.grad(plain.double() @ coefficients, list(model.parameters()))
    for (name, _), own_, plain_ in zip(model.named_parameters(), gradients, expected, strict=True):
        assert (own_ - plain_).abs().max() < 1e-5 * max(1.0, float(plain_.abs().max())), name
