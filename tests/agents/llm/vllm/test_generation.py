"""Two ways to vLLM, one contract: drawn from the model's distribution, named by the seed, given out when finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine, RolloutEngineError
from mtgrpo_env.agents.llm.rollout_vllm import VLLMRolloutEngine
from mtgrpo_env.agents.llm.rollout_vllm_server import VLLMServerEngine
from mtgrpo_env.agents.llm.stopping import text_of

PROMPTS = [(5, 6, 7), (9, 10, 11, 12, 13), tuple(range(5, 75))]  # the last fills blocks of the prefix cache
SEEDS = [3, 4, 5]

MakeSized = Callable[..., PreTrainedModel]
PlainLogProbs = Callable[[PreTrainedModel, Completion, float], torch.Tensor]


def completions(
    engine: RolloutEngine,
    prompts: Sequence[tuple[int, ...]] = PROMPTS,
    counts: Sequence[int] = (4, 2, 3),
    decoding: Decoding | None = None,
    seeds: Sequence[int] = SEEDS,
) -> list[Completion]:
    """In the order of their rows, each of which must be there once."""
    generated = list(engine.generate(prompts, counts, decoding or Decoding(12), seeds))
    assert sorted(row for row, _ in generated) == list(range(sum(counts)))
    return [completion for _, completion in sorted(generated, key=lambda pair: pair[0])]


def test_rows_number_the_completions_prompt_after_prompt(engine: RolloutEngine) -> None:
    prompts = [completion.prompt for completion in completions(engine)]
    assert prompts == [PROMPTS[0]] * 4 + [PROMPTS[1]] * 2 + [PROMPTS[2]] * 3


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_of_the_distribution_drawn_from(
    engine: RolloutEngine, make_sized: MakeSized, plain_log_probs: PlainLogProbs, temperature: float
) -> None:
    model = make_sized()
    for completion in completions(engine, decoding=Decoding(12, temperature)):
        with torch.no_grad():
            expected = plain_log_probs(model, completion, temperature)
        assert completion.log_probs == pytest.approx(expected.tolist(), abs=1e-4)


def test_what_a_prompt_draws_depends_on_its_seed_and_not_on_its_neighbours(engine: RolloutEngine) -> None:
    alone = completions(engine, PROMPTS[2:], [3], seeds=SEEDS[2:])
    beside = completions(engine, [(8, 8), PROMPTS[2], (7,)], [5, 3, 2], seeds=[0, SEEDS[2], 1])[5:8]
    assert [c.tokens for c in alone] == [c.tokens for c in beside]
    other_seed = completions(engine, PROMPTS[2:], [3], seeds=[99])
    assert not {c.tokens for c in alone} & {c.tokens for c in other_seed}


def test_completions_of_a_prompt_and_prompts_of_neighbouring_seeds_share_no_random_numbers(
    engine: RolloutEngine,
) -> None:
    """Equal prompts under seeds 0 and 1 would share all draws but one if seeds were only counted on."""
    drawn = completions(engine, [PROMPTS[0], (5, 6, 7)], [4, 4], seeds=[0, 1])
    assert len({c.tokens for c in drawn}) == 8


def test_a_completion_ends_with_the_end_of_text_or_at_the_most_tokens(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase
) -> None:
    eos = tokenizer.eos_token_id
    drawn = completions(engine, counts=[30, 30, 30])
    ended = [c.tokens[-1] == eos for c in drawn]
    assert any(ended)
    for completion, has_ended in zip(drawn, ended, strict=True):
        assert len(completion.tokens) == len(completion.log_probs)
        assert eos not in completion.tokens[:-1]
        assert has_ended or len(completion.tokens) == 12
        assert completion.finish_reason == ("stop" if has_ended else "length")


def test_a_stop_string_ends_a_completion_with_the_token_that_completes_it(
    engine: RolloutEngine, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Stop strings change nothing but the length."""
    whole = completions(engine, counts=[20, 20, 20])
    texts = [[text_of(tokenizer, c.tokens[:n]) for n in range(1, len(c.tokens) + 1)] for c in whole]
    stop = (texts[0][-1][-2:], texts[30][-1][:2])
    stopped = completions(engine, counts=[20, 20, 20], decoding=Decoding(12, stop=stop))
    for before, of_length, after in zip(whole, texts, stopped, strict=True):
        found = [n for n, text in enumerate(of_length, start=1) if any(string in text for string in stop)]
        assert after.tokens == before.tokens[: found[0] if found else None]
        assert after.finish_reason == ("stop" if found else before.finish_reason)
    assert [c.tokens for c in stopped] != [c.tokens for c in whole]


def test_log_probs_are_those_of_the_distribution_after_top_k_and_top_p(engine: RolloutEngine) -> None:
    likeliest = completions(engine, decoding=Decoding(12, top_k=1))
    assert [c.tokens for c in likeliest] == [c.tokens for c in completions(engine, decoding=Decoding(12, 0.0))]
    for completion in likeliest:
        assert completion.log_probs == pytest.approx([0.0] * len(completion.tokens), abs=1e-4)
    assert [c.tokens for c in completions(engine, decoding=Decoding(12, top_p=1e-6))] == [c.tokens for c in likeliest]


def test_temperature_zero_is_greedy_decoding_as_transformers_does_it(
    engine: RolloutEngine, make_sized: MakeSized, tokenizer: PreTrainedTokenizerBase
) -> None:
    model, eos = make_sized(), tokenizer.eos_token_id
    config = GenerationConfig(do_sample=False, max_new_tokens=12, pad_token_id=0, eos_token_id=eos)
    for completion in completions(engine, decoding=Decoding(12, 0.0)):
        prompt = torch.tensor([completion.prompt])
        theirs = model.generate(prompt, attention_mask=torch.ones_like(prompt), generation_config=config)  # pyright: ignore[reportCallIssue]
        assert completion.tokens == tuple(theirs[0, prompt.shape[1] :].tolist())


def test_a_server_and_this_process_draw_the_same(
    colocated: VLLMRolloutEngine, served: VLLMServerEngine, make_sized: MakeSized
) -> None:
    for engine in (colocated, served):
        engine.load_weights(make_sized().named_parameters())
    here, there = completions(colocated), completions(served)
    assert [c.tokens for c in here] == [c.tokens for c in there]
    for ours, theirs in zip(here, there, strict=True):
        assert ours.log_probs == pytest.approx(theirs.log_probs, abs=1e-4)


def test_a_completion_is_given_out_while_others_are_still_drawn(colocated: VLLMRolloutEngine) -> None:
    running = colocated.generate(PROMPTS, [20, 20, 20], Decoding(200), SEEDS)
    next(running)
    with pytest.raises(RolloutEngineError, match="cannot generate while it generates"):
        colocated.generate(PROMPTS, [1, 1, 1], Decoding(2), SEEDS)
    running.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_generation_that_was_abandoned_leaves_nothing_behind(engine: RolloutEngine) -> None:
    before = completions(engine)
    running = engine.generate(PROMPTS, [20, 20, 20], Decoding(500), SEEDS)
    next(running)
    running.close()  # pyright: ignore[reportAttributeAccessIssue]
    assert [c.tokens for c in completions(engine)] == [c.tokens for c in before]


def test_nothing_wanted_is_nothing_generated(engine: RolloutEngine) -> None:
    assert completions(engine, [], [], seeds=[]) == []
    assert [c.prompt for c in completions(engine, counts=[0, 1, 0])] == [PROMPTS[1]]


def test_more_prompts_than_vllm_reads_at_once_are_answered_like_a_few(engine: RolloutEngine) -> None:
    """Fifty of 60 tokens are more than the 2048 of one step: none may be read in two parts, see `serving.options`."""
    prompts = [tuple((7 * i + j) % 80 + 5 for j in range(60)) for i in range(50)]
    drawn = completions(engine, prompts, [2] * 50, Decoding(6), range(50))
    few = completions(engine, prompts[31:36], [2] * 5, Decoding(6), range(31, 36))
    assert [c.tokens for c in drawn[62:72]] == [c.tokens for c in few]
