"""The embedded model: an ordinary checkpoint, a tokenizer that loses nothing, and imitation that learns."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.tiny import Demonstration, TinyModelConfig, imitate, tiny_model
from mtgrpo_env.envs.mtreason import reason_suite

SIZE = TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2, context=32)
CHARACTERS = [character for character in string.printable if character.isprintable() or character == "\n"]


@pytest.fixture(scope="module")
def loaded_tokenizer(tokenizer: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory) -> object:
    """The tokenizer as `AutoTokenizer` finds it beside a model."""
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny_model(tokenizer, SIZE, seed=0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoTokenizer.from_pretrained(folder)


def copying(rng: np.random.Generator, count: int) -> Sequence[Demonstration]:
    """Say the letter again."""
    letters = [str(letter) for letter in rng.choice(list("abcd"), size=count)]
    return [(f"{letter}:", letter) for letter in letters]


def parameters_of(model: PreTrainedModel) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_every_printable_ascii_character_is_one_token_of_its_own(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = [tokenizer(character)["input_ids"] for character in CHARACTERS]
    assert len(CHARACTERS) == 96
    assert {len(one) for one in ids} == {1}
    assert len({one[0] for one in ids}) == len(CHARACTERS)


def test_a_box_opens_with_one_token(tokenizer: PreTrainedTokenizerBase) -> None:
    assert len(tokenizer("\\boxed{")["input_ids"]) == 1
    assert len(tokenizer("x \\boxed{1+2}")["input_ids"]) == len("x ") + 1 + len("1+2}")
    assert len(tokenizer("\\boxed")["input_ids"]) == len("\\boxed")


@settings(max_examples=80, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([*CHARACTERS, "\\boxed{", "  ", "\n\n"]), max_size=30).map("".join))
def test_text_survives_the_round_trip(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert tokenizer.batch_decode([ids], skip_special_tokens=True) == [text]
    assert len(ids) == len(text) - 6 * text.count("\\boxed{")


@pytest.mark.parametrize("level", ["mini", "easy"])
def test_prompts_and_answers_of_every_task_survive_the_round_trip_in_the_saved_tokenizer_too(
    tokenizer: PreTrainedTokenizerBase, loaded_tokenizer: PreTrainedTokenizerBase, level: str
) -> None:
    suite = reason_suite(level=level)
    for problem in suite.held_out(5):
        env = suite.envs(problem.task_id, 1)[0].unwrapped
        prompt, _ = env.reset(seed=problem.seed, options=dict(problem.options))
        text = prompt + env.oracle(env.puzzle)  # pyright: ignore[reportAttributeAccessIssue]
        ids = tokenizer(text)["input_ids"]
        assert loaded_tokenizer(text)["input_ids"] == ids
        assert tokenizer.decode(ids) == loaded_tokenizer.decode(ids) == text


def test_the_saved_tokenizer_keeps_its_special_tokens(
    tokenizer: PreTrainedTokenizerBase, loaded_tokenizer: PreTrainedTokenizerBase
) -> None:
    names = ("eos_token_id", "pad_token_id", "unk_token_id", "padding_side")
    assert [getattr(loaded_tokenizer, name) for name in names] == [getattr(tokenizer, name) for name in names]
    assert tokenizer.eos_token_id != tokenizer.pad_token_id


@pytest.mark.parametrize("text", ["é", "→", "🙂", "\x00", "\t", "日本"])
def test_unknown_characters_are_tolerated(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    ids = tokenizer("a" + text + "b")["input_ids"]
    assert all(0 <= i < len(tokenizer) for i in ids)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "ab"


def test_a_tiny_model_is_saved_as_an_ordinary_checkpoint(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    model = tiny_model(tokenizer, SIZE, seed=0).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.config.model_type == "qwen2"
    assert loaded.config.max_position_embeddings == SIZE.context
    assert (loaded.config.eos_token_id, loaded.config.pad_token_id) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
    ids = torch.tensor([[5, 6, 7]])
    with torch.no_grad():
        assert torch.equal(loaded(ids).logits, model(ids).logits)
        assert loaded(ids).logits.shape[-1] == len(tokenizer)


def test_the_seed_names_the_model_and_the_global_generator_plays_no_part(tokenizer: PreTrainedTokenizerBase) -> None:
    before = torch.random.get_rng_state()
    first = tiny_model(tokenizer, SIZE, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(99)
        again = tiny_model(tokenizer, SIZE, seed=0)
    assert torch.equal(parameters_of(first), parameters_of(again))
    assert not torch.equal(parameters_of(first), parameters_of(tiny_model(tokenizer, SIZE, seed=1)))


def test_imitation_learns_to_copy(tokenizer: PreTrainedTokenizerBase) -> None:
    model, losses = tiny_model(tokenizer, SIZE, seed=0), []
    imitate(
        model, tokenizer, copying, num_steps=80, batch_size=16, lr=2e-2, progress=lambda _, loss: losses.append(loss)
    )
    assert losses[-1] < 0.1 < 2 < losses[0]
    assert not model.training
    policy = LanguageModelPolicy(model, tokenizer, decoding=Decoding(4))
    assert policy.act(["a:", "c:", "d:"], [0] * 3, deterministic=True)[0] == ["a", "c", "d"]


def test_imitation_is_named_by_its_seed(tokenizer: PreTrainedTokenizerBase) -> None:
    models = [tiny_model(tokenizer, SIZE, seed=0) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        imitate(model, tokenizer, copying, num_steps=3, batch_size=4, seed=seed)
    first, again, other = map(parameters_of, models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_progress_is_told_each_step_once(tokenizer: PreTrainedTokenizerBase) -> None:
    steps: list[int] = []
    model = tiny_model(tokenizer, SIZE, seed=0)
    imitate(model, tokenizer, copying, num_steps=5, batch_size=2, progress=lambda step, _: steps.append(step))
    assert steps == [1, 2, 3, 4, 5]


def test_the_loss_is_the_mean_over_all_response_tokens_and_the_prompt_is_not_learned(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    """Lengths differ widely, so that a mean of means would come out otherwise."""
    demonstrations = [("a" * n, "b" * (1 + 3 * n % 11)) for n in range(1, 8)]
    model = tiny_model(tokenizer, SIZE, seed=0)
    total, count = 0.0, 0
    with torch.no_grad():
        for prompt, response in demonstrations:
            ids = tokenizer(prompt + response)["input_ids"] + [tokenizer.eos_token_id]
            log_probs = torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), dim=-1)
            total -= sum(log_probs[i - 1, ids[i]].item() for i in range(len(prompt), len(ids)))
            count += len(ids) - len(prompt)
    losses: list[float] = []
    imitate(model, tokenizer, lambda *_: demonstrations, num_steps=1, progress=lambda _, loss: losses.append(loss))
    assert losses == [pytest.approx(total / count, rel=1e-4)]
