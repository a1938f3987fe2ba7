"""A language model as a policy: equal prompts are one computation, folders are ordinary checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, Weights
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy

MakePolicy = Callable[..., LanguageModelPolicy]


class NumberingEngine:
    """Answers each prompt by the prompt itself and how many answers to it came before; the last row is done first."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.calls: list[tuple[list[str], list[int], Decoding]] = []

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        texts = [str(self.tokenizer.decode(list(prompt))) for prompt in prompts]
        self.calls.append((texts, list(counts), decoding))
        self.seeds = dict(zip(texts, seeds, strict=True))
        completions = [
            Completion(prompt, tuple(self.tokenizer(f"{text}#{number}")["input_ids"]), ())
            for prompt, text, count in zip(prompts, texts, counts, strict=True)
            for number in range(count)
        ]
        yield from reversed(list(enumerate(completions)))

    def load_weights(self, weights: Weights) -> None:
        self.loaded = dict(weights)

    def generating(self) -> AbstractContextManager[object]:
        return nullcontext()


@pytest.fixture
def engine(tokenizer: PreTrainedTokenizerBase) -> NumberingEngine:
    return NumberingEngine(tokenizer)


@pytest.fixture
def scripted(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, engine: NumberingEngine
) -> LanguageModelPolicy:
    return LanguageModelPolicy(model, tokenizer, decoding=Decoding(6, 0.7), engine=engine)


def test_the_engine_sees_each_distinct_prompt_once_with_its_count(
    scripted: LanguageModelPolicy, engine: NumberingEngine
) -> None:
    scripted.act(["b", "a", "b", "c", "b", "a"], [0] * 6)
    assert engine.calls == [(["b", "a", "c"], [3, 2, 1], Decoding(6, 0.7))]


def test_every_answer_lands_at_the_observation_it_answers(scripted: LanguageModelPolicy) -> None:
    texts, completions = scripted.act(["b", "a", "b", "c", "b", "a"], [0] * 6)
    assert texts == ["b#0", "a#0", "b#1", "c#0", "b#2", "a#1"]
    tokenizer = scripted.tokenizer
    assert [tokenizer.decode(list(c.prompt)) for c in completions] == ["b", "a", "b", "c", "b", "a"]
    assert [tokenizer.decode(list(c.tokens)) for c in completions] == texts


def test_answers_are_handed_over_in_the_order_in_which_they_are_generated(scripted: LanguageModelPolicy) -> None:
    streamed = list(scripted.stream(["b", "a", "b"], [0] * 3))
    assert [(i, text) for i, text, _ in streamed] == [(1, "a#0"), (2, "b#1"), (0, "b#0")]


def test_a_prompts_seed_depends_on_the_generator_and_the_prompt_not_on_its_neighbours(
    scripted: LanguageModelPolicy, engine: NumberingEngine
) -> None:
    scripted.reseeded(3).act(["a", "b", "c", "a"], [0] * 4)
    together = engine.seeds
    scripted.reseeded(3).act(["c"], [0])
    assert engine.seeds == {"c": together["c"]}
    assert len(set(together.values())) == 3
    scripted.reseeded(4).act(["c"], [0])
    assert engine.seeds != {"c": together["c"]}
    policy = scripted.reseeded(3)
    for _ in range(2):
        policy.act(["c"], [0])
    assert engine.seeds != {"c": together["c"]}, "another call draws anew"


def test_publishing_hands_the_engine_the_parameters_as_they_are_now(
    scripted: LanguageModelPolicy, engine: NumberingEngine
) -> None:
    with torch.no_grad():
        next(scripted.model.parameters()).add_(1.0)
    scripted.publish()
    assert engine.loaded.keys() == scripted.model.state_dict().keys()
    assert all(torch.equal(engine.loaded[name], tensor) for name, tensor in scripted.model.state_dict().items())


def test_a_deterministic_action_is_decoded_at_temperature_zero(
    scripted: LanguageModelPolicy, engine: NumberingEngine
) -> None:
    scripted.decoding = Decoding(6, 0.7, stop=("z",))
    scripted.act(["a"], [0], deterministic=True)
    assert engine.calls[0][2] == Decoding(6, 0.0, stop=("z",))


def test_the_end_token_ends_a_response_and_is_no_part_of_its_text(policy: LanguageModelPolicy) -> None:
    texts, completions = policy.act(["x"] * 200, [0] * 200)
    ended = [(t, c) for t, c in zip(texts, completions, strict=True) if c.tokens[-1] in policy.end_ids]
    assert ended
    assert all("<eos>" not in text and len(text) < len(c.tokens) for text, c in ended)


def test_a_response_is_cut_before_a_stop_string_and_its_tokens_are_kept(scripted: LanguageModelPolicy) -> None:
    scripted.decoding = Decoding(6, stop=("#1",))
    texts, completions = scripted.act(["a", "a"], [0, 0])
    assert texts == ["a#0", "a"]
    assert scripted.tokenizer.decode(list(completions[1].tokens)) == "a#1"


def test_the_seed_names_the_responses(make_policy: MakePolicy) -> None:
    first, again, other = (make_policy(seed=seed).act(["a", "b"], [0, 0])[0] for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_reseeded_policy_draws_without_disturbing_the_original(make_policy: MakePolicy) -> None:
    policy, untouched = make_policy(), make_policy()
    other = policy.reseeded(7)
    assert other.act(["a"] * 4, [0] * 4)[0] == policy.reseeded(7).act(["a"] * 4, [0] * 4)[0]
    assert other.model is policy.model
    assert policy.act(["a"] * 4, [0] * 4)[0] == untouched.act(["a"] * 4, [0] * 4)[0]


def test_a_saved_folder_is_an_ordinary_checkpoint_of_equal_logits_and_tokens(
    policy: LanguageModelPolicy, tmp_path: Path
) -> None:
    policy.save(tmp_path)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    text = "Zd<c;a2;b3: \\boxed{b}\n"
    ids = tokenizer([text], return_tensors="pt")["input_ids"]
    assert ids.tolist() == policy.tokenizer([text])["input_ids"]
    assert ((tokenizer.eos_token_id,), tokenizer.pad_token_id) == (policy.end_ids, policy.pad_id)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, policy.model(ids).logits)


def test_a_loaded_policy_has_the_saved_parameters_and_goes_on_drawing_where_the_saved_one_stood(
    make_policy: MakePolicy, tmp_path: Path
) -> None:
    policy, other = make_policy(), make_policy(seed=5)
    policy.act(["a"], [0])
    policy.save(tmp_path)
    with torch.no_grad():
        for parameter in other.model.parameters():
            parameter.add_(0.1)
    other.load(tmp_path)
    for ours, theirs in zip(policy.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [policy.act(["b"] * 3, [0] * 3) for _ in range(2)] == [other.act(["b"] * 3, [0] * 3) for _ in range(2)]


def test_loading_keeps_the_tensors_that_the_optimizer_holds(policy: LanguageModelPolicy, tmp_path: Path) -> None:
    before = [parameter.data_ptr() for parameter in policy.model.parameters()]
    policy.save(tmp_path)
    policy.load(tmp_path)
    assert [parameter.data_ptr() for parameter in policy.model.parameters()] == before


def test_from_pretrained_gives_the_policy_that_was_saved(policy: LanguageModelPolicy, tmp_path: Path) -> None:
    policy.save(tmp_path)
    loaded = LanguageModelPolicy.from_pretrained(tmp_path, decoding=policy.decoding)
    assert loaded.act(["abc", "d"], [0, 0]) == policy.act(["abc", "d"], [0, 0])
    assert not loaded.model.training


@pytest.mark.parametrize("source", ["nothere", "./not/here", "/not/here", "not/here/either"])
def test_a_missing_model_folder_is_said_to_be_missing(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"expected a model folder or a hub id.*{source}"):
        LanguageModelPolicy.from_pretrained(source, decoding=Decoding())


def test_a_prompt_may_fill_the_context_but_for_the_response_and_not_more(policy: LanguageModelPolicy) -> None:
    assert [policy.room(policy.prompts.encode(["a" * length], [0])[0]) for length in (58, 59, 63, 64)] == [6, 5, 1, 0]


def test_a_prompt_that_leaves_no_room_or_has_no_token_is_answered_with_nothing(policy: LanguageModelPolicy) -> None:
    texts, completions = policy.act(["a", "", "b" * 64], [0, 0, 0])
    assert texts[1:] == ["", ""]
    assert [bool(completion.tokens) for completion in completions] == [True, False, False]
    assert [completion.is_truncated for completion in completions[1:]] == [True, True]


def test_characters_the_tokenizer_does_not_know_crash_nothing(policy: LanguageModelPolicy) -> None:
    texts, completions = policy.act(["naïve → 思考 🙂", "a\x00b\ttab"], [0, 0])
    assert len(texts) == len(completions) == 2


def test_a_tokenizer_without_a_padding_token_pads_with_the_end_token(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    tokenizer.save_pretrained(tmp_path)
    unpadded = AutoTokenizer.from_pretrained(tmp_path)
    unpadded.pad_token = None
    policy = LanguageModelPolicy(model, unpadded, decoding=Decoding(4))
    assert policy.pad_id == policy.end_ids[0]
    assert len(policy.act(["ab", "c"], [0, 0])[0]) == 2


def test_a_reseeded_policy_keeps_what_a_subclass_adds_and_draws_as_evaluations_do(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    class Polite(LanguageModelPolicy):
        thanks = "none"

    policy = Polite(model, tokenizer, decoding=Decoding(6), evaluation_decoding=Decoding(6, 0.0))
    policy.thanks = "many"
    other = policy.reseeded(1)
    assert (type(other), other.thanks) == (Polite, "many")
    assert (policy.decoding.temperature, other.decoding.temperature) == (1.0, 0.0)
