"""The engine's tokens follow the model's distribution, and its log-probabilities are those the learner computes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import GenerationConfig, PreTrainedModel, TopKLogitsWarper, TopPLogitsWarper

from mtgrpo_env.agents.llm.data import Completion, pack
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.prefix import completion_log_probs
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine, draw
from mtgrpo_env.types import Group, Problem, Rollout, Step

PAD, EOS = 0, 1
PROMPTS = [(10, 20, 30), (40,), (50, 60, 70, 80, 5, 6)]
COUNTS = [3, 5, 2]


def letters(ids: Sequence[int]) -> str:
    """A text in which each token is one character."""
    return "".join(map(chr, ids))


def generate(
    model: PreTrainedModel,
    decoding: Decoding,
    *,
    prompts: Sequence[tuple[int, ...]] = PROMPTS,
    counts: Sequence[int] = COUNTS,
    end_ids: Sequence[int] = (EOS,),
    rows_at_once: int = 1024,
    seed: int = 0,
) -> list[Completion]:
    engine = TransformersEngine(model, pad_id=PAD, end_ids=end_ids, decode=letters, rows_at_once=rows_at_once)
    seeds = [100 * seed + i for i in range(len(prompts))]
    rows = list(engine.generate(prompts, counts, decoding, seeds))
    assert [row for row, _ in rows] == list(range(sum(counts)))
    return [completion for _, completion in rows]


def likely_token(model: PreTrainedModel) -> int:
    """What an end token must be for many completions, but not all, to end early."""
    completions = generate(model, Decoding(8), counts=[30, 30, 30])
    return int(np.bincount([token for c in completions for token in c.tokens]).argmax())


@pytest.mark.parametrize("stratified", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_the_learner_computes(model: PreTrainedModel, temperature: float, stratified: bool) -> None:
    decoding = Decoding(8, temperature, stratified=stratified)
    completions = generate(model, decoding, end_ids=[likely_token(model)], counts=[40, 40, 40])
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
    engine = TransformersEngine(model, pad_id=PAD, end_ids=[EOS], rows_at_once=rows_at_once)
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
    completions = generate(model, Decoding(6), counts=[10, 10, 10], end_ids=[eos], rows_at_once=rows_at_once)
    for completion in completions:
        assert len(completion.tokens) == len(completion.log_probs)
        assert eos not in completion.tokens[:-1]
        assert completion.tokens[-1] == eos or len(completion.tokens) == 6
        assert completion.finish_reason == ("stop" if completion.tokens[-1] == eos else "length")
    ended = sum(completion.tokens[-1] == eos for completion in completions)
    assert 0 < ended < len(completions), "both ways to end are needed"


def test_one_new_token_is_one_token(model: PreTrainedModel) -> None:
    assert {len(completion.tokens) for completion in generate(model, Decoding(1))} == {1}


def test_temperature_zero_is_greedy_decoding_as_transformers_does_it(model: PreTrainedModel) -> None:
    eos = likely_token(model)
    ours = generate(model, Decoding(10, 0.0), counts=[1, 1, 1], end_ids=[eos])
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
    completions = generate(model, Decoding(2, temperature), counts=[50, 4000, 50], end_ids=[eos])[50:4050]
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


def test_each_end_token_ends_completions(model: PreTrainedModel) -> None:
    counts = np.bincount([t for c in generate(model, Decoding(8), counts=[30] * 3) for t in c.tokens])
    end_ids = counts.argsort()[-3:].tolist()
    completions = generate(model, Decoding(8), counts=[30] * 3, end_ids=end_ids)
    assert {c.tokens[-1] for c in completions if c.finish_reason == "stop"} == set(end_ids)
    assert not {token for c in completions for token in c.tokens[:-1]} & set(end_ids)


@pytest.mark.parametrize("rows_at_once", [3, 1024])
def test_a_stop_string_ends_a_completion_with_the_token_that_completes_it(
    model: PreTrainedModel, rows_at_once: int
) -> None:
    """Stop strings change nothing but the length."""
    endless = generate(model, Decoding(12), counts=[20] * 3, end_ids=())
    texts = [letters(c.tokens) for c in endless]
    stop = (texts[0][3:5], texts[30][6:9], texts[55][-1])
    stopped = generate(model, Decoding(12, stop=stop), counts=[20] * 3, end_ids=(), rows_at_once=rows_at_once)
    for whole, text, completion in zip(endless, texts, stopped, strict=True):
        ends = [at + len(string) for string in stop if (at := text.find(string)) >= 0]
        kept = min(ends, default=len(text))
        assert completion.tokens == whole.tokens[:kept]
        assert completion.log_probs == pytest.approx(whole.log_probs[:kept], abs=1e-5)
        assert completion.finish_reason == ("stop" if ends else "length")
    assert {c.finish_reason for c in stopped} == {"stop", "length"}


def test_stop_strings_without_a_way_to_text_are_refused(model: PreTrainedModel) -> None:
    engine = TransformersEngine(model, pad_id=PAD, end_ids=[EOS])
    with pytest.raises(ValueError, match=r"an engine with `decode`, got \('a',\)"):
        list(engine.generate(PROMPTS, COUNTS, Decoding(2, stop=("a",)), [0, 1, 2]))


@pytest.mark.parametrize(
    "decoding",
    [Decoding(1, 0.7, top_k=3), Decoding(1, top_p=0.6), Decoding(1, 1.3, 0.8, 5), Decoding(1, top_k=1), Decoding(1)],
)
def test_tokens_are_drawn_from_the_restricted_distribution_and_have_its_log_probabilities(decoding: Decoding) -> None:
    """Chances that fill the unit interval evenly give every token its share of them, to within one."""
    logits = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 12)).astype(np.float32)) * 2
    num_draws = 5000
    chances = (torch.arange(num_draws) + 0.5) / num_draws
    tokens, log_probs, _ = draw(logits.expand(num_draws, -1), decoding, chances)
    warped = logits / decoding.temperature
    ids = torch.LongTensor([[0]])
    if decoding.top_k:
        warped = TopKLogitsWarper(decoding.top_k)(ids, warped)
    if decoding.top_p < 1:
        warped = TopPLogitsWarper(decoding.top_p)(ids, warped)
    expected = torch.log_softmax(warped, dim=-1)[0]
    torch.testing.assert_close(log_probs, expected[tokens])
    shares = torch.bincount(tokens, minlength=12) / num_draws
    torch.testing.assert_close(shares, expected.exp(), atol=1.5 / num_draws, rtol=0)


def test_the_likeliest_token_is_taken_whatever_top_p_and_top_k_say(model: PreTrainedModel) -> None:
    greedy = Decoding(8, 0.0)
    assert generate(model, replace(greedy, top_p=0.3, top_k=2)) == generate(model, greedy)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("top_k", [0, 3])
def test_logits_that_are_not_finite_are_an_error_that_names_the_prompt(
    model: PreTrainedModel, temperature: float, value: float, top_k: int
) -> None:
    with torch.no_grad():
        model.get_input_embeddings().weight[PROMPTS[1][0]] = value  # pyright: ignore[reportIndexIssue]
    decoding = Decoding(4, temperature, top_p=0.9 if top_k else 1.0, top_k=top_k)
    with pytest.raises(FloatingPointError, match=r"not finite after prompt 1 \(counted from 0\) and 0 new.*float16"):
        generate(model, decoding, rows_at_once=4)
