"""The engine's tokens follow the model's distribution, and its log-probabilities are those the learner computes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, pack
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.prefix import completion_log_probs
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.types import Group, Problem, Rollout, Step

PAD, EOS = 0, 1
PROMPTS = [(10, 20, 30), (40,), (50, 60, 70, 80, 5, 6)]
COUNTS = [3, 5, 2]


def generate(
    model: PreTrainedModel,
    decoding: Decoding,
    *,
    prompts: Sequence[tuple[int, ...]] = PROMPTS,
    counts: Sequence[int] = COUNTS,
    eos: int = EOS,
    rows_at_once: int = 1024,
    seed: int = 0,
) -> list[Completion]:
    engine = TransformersEngine(model, pad_id=PAD, eos_id=eos, rows_at_once=rows_at_once)
    seeds = [100 * seed + i for i in range(len(prompts))]
    rows = list(engine.generate(prompts, counts, decoding, seeds))
    assert [row for row, _ in rows] == list(range(sum(counts)))
    return [completion for _, completion in rows]


def likely_token(model: PreTrainedModel) -> int:
    """What an `eos_id` must be for many completions, but not all, to end early."""
    completions = generate(model, Decoding(8), counts=[30, 30, 30])
    return int(np.bincount([token for c in completions for token in c.tokens]).argmax())


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_the_learner_computes(model: PreTrainedModel, temperature: float) -> None:
    completions = generate(model, Decoding(8, temperature), eos=likely_token(model), counts=[8, 8, 8])
    assert len({len(c.tokens) for c in completions}) > 2, "completions of several lengths are needed"
    rollouts = tuple(Rollout((Step("", "", 0.0, extras=c),), 0.0, False) for c in completions)
    packed = pack([Group(Problem(0, seed=0), rollouts)], np.ones(1), PAD)
    with torch.no_grad():
        expected = completion_log_probs(model, packed, temperature)
    torch.testing.assert_close(packed.old_log_probs, expected * packed.mask, atol=1e-5, rtol=1e-5)


def test_the_same_seeds_give_the_same_completions_and_others_give_others(model: PreTrainedModel) -> None:
    first, again, other = (generate(model, Decoding(8), seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert len({c.tokens for c in first[:3]}) == 3, "a prompt's completions differ"


@pytest.mark.parametrize("rows_at_once", [1, 3, 1024])
def test_what_a_prompt_gets_depends_on_its_seed_and_not_on_what_stands_beside_it(
    model: PreTrainedModel, rows_at_once: int
) -> None:
    engine = TransformersEngine(model, pad_id=PAD, eos_id=EOS, rows_at_once=rows_at_once)
    together = [c.tokens for _, c in engine.generate(PROMPTS, COUNTS, Decoding(8), [1, 2, 3])]
    alone = [c.tokens for i in (2, 0) for _, c in engine.generate([PROMPTS[i]], [COUNTS[i]], Decoding(8), [i + 1])]
    assert alone == [*together[8:], *together[:3]]


def test_torchs_global_generator_is_neither_read_nor_moved(model: PreTrainedModel) -> None:
    before = torch.random.get_rng_state()
    first = generate(model, Decoding(8))
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        assert generate(model, Decoding(8)) == first


@pytest.mark.parametrize("rows_at_once", [1, 3, 4, 1024])
@pytest.mark.parametrize("counts", [[3, 5, 2], [0, 7, 0], [1, 0, 9], [0, 0, 0]])
def test_every_prompt_gets_its_count_in_order_however_many_rows_run_at_once(
    model: PreTrainedModel, counts: Sequence[int], rows_at_once: int
) -> None:
    completions = generate(model, Decoding(2), counts=counts, rows_at_once=rows_at_once)
    expected = [prompt for prompt, count in zip(PROMPTS, counts, strict=True) for _ in range(count)]
    assert [completion.prompt for completion in completions] == expected


@pytest.mark.parametrize("rows_at_once", [1, 3, 1024])
def test_completions_end_at_the_end_token_or_at_the_limit_and_nowhere_else(
    model: PreTrainedModel, rows_at_once: int
) -> None:
    eos = likely_token(model)
    completions = generate(model, Decoding(6), counts=[10, 10, 10], eos=eos, rows_at_once=rows_at_once)
    for completion in completions:
        assert len(completion.tokens) == len(completion.log_probs)
        assert eos not in completion.tokens[:-1]
        assert completion.tokens[-1] == eos or len(completion.tokens) == 6
    ended = sum(completion.tokens[-1] == eos for completion in completions)
    assert 0 < ended < len(completions), "both ways to end are needed"


def test_one_new_token_is_one_token(model: PreTrainedModel) -> None:
    assert {len(completion.tokens) for completion in generate(model, Decoding(1))} == {1}


def test_temperature_zero_is_greedy_decoding_as_transformers_does_it(model: PreTrainedModel) -> None:
    eos = likely_token(model)
    ours = generate(model, Decoding(10, 0.0), counts=[1, 1, 1], eos=eos)
    config = GenerationConfig(do_sample=False, max_new_tokens=10, pad_token_id=PAD, eos_token_id=eos)
    for completion in ours:
        prompt = torch.tensor([completion.prompt])
        mask = torch.ones_like(prompt)
        theirs = model.generate(prompt, attention_mask=mask, generation_config=config)  # pyright: ignore[reportCallIssue]
        assert completion.tokens == tuple(theirs[0, prompt.shape[1] :].tolist())


@pytest.mark.parametrize("rows_at_once", [1, 2, 1024])
def test_temperature_zero_gives_one_answer_to_a_prompt_whoever_stands_beside_it(
    model: PreTrainedModel, rows_at_once: int
) -> None:
    completions = generate(model, Decoding(8, 0.0), rows_at_once=rows_at_once)
    assert {c.prompt: c.tokens for c in generate(model, Decoding(8, 0.0), counts=[1, 1, 1])} == {
        c.prompt: c.tokens for c in completions
    }
    assert len({(c.prompt, c.tokens) for c in completions}) == len(PROMPTS)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_first_and_second_tokens_are_drawn_with_the_models_probabilities(
    model: PreTrainedModel, temperature: float
) -> None:
    """4000 draws on a fixed seed; every frequency within 4.5 standard deviations of its probability."""
    eos = likely_token(model)  # so that rows leave the batch between the two draws
    completions = generate(model, Decoding(2, temperature), counts=[50, 4000, 50], eos=eos)[50:4050]
    prompt = PROMPTS[1]
    _assert_drawn_from(model, prompt, [c.tokens[0] for c in completions], temperature)
    first = int(np.bincount([c.tokens[0] for c in completions if c.tokens[0] != eos]).argmax())
    seconds = [c.tokens[1] for c in completions if c.tokens[0] == first]
    assert len(seconds) > 200
    _assert_drawn_from(model, (*prompt, first), seconds, temperature)


def _assert_drawn_from(
    model: PreTrainedModel, prefix: tuple[int, ...], tokens: Sequence[int], temperature: float
) -> None:
    with torch.no_grad():
        logits = model(torch.tensor([prefix])).logits[0, -1].double() / temperature
    probabilities = torch.softmax(logits, dim=-1).numpy()
    counts = np.bincount(tokens, minlength=len(probabilities))
    deviation = np.sqrt(len(tokens) * probabilities * (1 - probabilities))
    assert (np.abs(counts - len(tokens) * probabilities) < 4.5 * deviation + 1).all()
    assert probabilities.max() > 2 / len(probabilities), "a uniform distribution would prove little"
