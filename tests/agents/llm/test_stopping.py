"""A response ends where the model ended it: at any of its end tokens, or before a stop string."""

from __future__ import annotations

import copy
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AddedToken,
    AutoTokenizer,
    Gemma3Config,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.build import build_policy
from mtgrpo_env.agents.llm.context import run_prompts
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy, model_without_weights
from mtgrpo_env.agents.llm.stopping import (
    StopStrings,
    check_end_ids,
    check_open,
    check_stop,
    end_ids_in,
    end_ids_of,
    response_text,
    text_of,
)
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.agents.ranks import OneRank
from mtgrpo_env.envs.mtreason import reason_suite
from mtgrpo_env.envs.reward import verdict
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.paper_frame import NEXT_TURNS

END_OF_TURN = "<end_of_turn>"


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerBase:
    """With a second end token, as chat models have one for the end of a turn."""
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([AddedToken(END_OF_TURN, special=True)], special_tokens=True)
    return tokenizer


@pytest.fixture
def chat_model(chat_tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    size = TinyModelConfig(hidden_size=16, num_layers=1, num_heads=2)
    model = tiny_model(chat_tokenizer, size, seed=0)
    model.generation_config = GenerationConfig(eos_token_id=[id_of(chat_tokenizer), chat_tokenizer.eos_token_id])
    return model


def id_of(tokenizer: PreTrainedTokenizerBase) -> int:
    return tokenizer.get_vocab()[END_OF_TURN]


def without_end_token(tokenizer: PreTrainedTokenizerBase, folder: Path) -> PreTrainedTokenizerBase:
    tokenizer.save_pretrained(folder)
    endless = AutoTokenizer.from_pretrained(folder)
    endless.eos_token = None
    return endless


def test_the_end_tokens_of_all_configs_count_each_once_and_in_order(
    chat_model: PreTrainedModel, chat_tokenizer: PreTrainedTokenizerBase
) -> None:
    second, first = id_of(chat_tokenizer), chat_tokenizer.eos_token_id
    assert end_ids_of(chat_model, chat_tokenizer) == (second, first)
    chat_model.config.eos_token_id = 7
    chat_model.generation_config = GenerationConfig()
    assert end_ids_of(chat_model, chat_tokenizer) == (7, first)


def test_the_end_token_of_a_nested_text_config_counts(
    chat_model: PreTrainedModel, chat_tokenizer: PreTrainedTokenizerBase
) -> None:
    chat_model.config = Gemma3Config(text_config={"eos_token_id": [5, 6]})
    chat_model.generation_config = GenerationConfig()
    assert end_ids_of(chat_model, chat_tokenizer) == (5, 6, chat_tokenizer.eos_token_id)


def test_a_model_without_weights_has_the_end_tokens_of_its_folder(
    chat_model: PreTrainedModel, chat_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    chat_model.save_pretrained(tmp_path)
    assert id_of(chat_tokenizer) in end_ids_of(model_without_weights(tmp_path), chat_tokenizer)
    (tmp_path / "generation_config.json").unlink()
    assert end_ids_of(model_without_weights(tmp_path), chat_tokenizer) == (chat_tokenizer.eos_token_id,)


def test_every_end_token_ends_a_response_and_nothing_after_it_is_trained_on(
    chat_model: PreTrainedModel, chat_tokenizer: PreTrainedTokenizerBase
) -> None:
    policy = LanguageModelPolicy(chat_model, chat_tokenizer, decoding=Decoding(60), seed=0)
    texts, completions = policy.act(["1+1="] * 200, [0] * 200)
    for text, completion in zip(texts, completions, strict=True):
        assert not set(policy.end_ids) & set(completion.tokens[:-1])
        assert (completion.finish_reason == "stop") == (completion.tokens[-1] in policy.end_ids)
        assert text == text_of(chat_tokenizer, completion.tokens)
    assert {completion.tokens[-1] for completion in completions} >= set(policy.end_ids), "both must be drawn"


def test_an_end_token_in_the_generation_config_alone_is_enough(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    endless = without_end_token(tokenizer, tmp_path)
    model.config.eos_token_id = None
    model.generation_config = GenerationConfig(eos_token_id=9)
    assert LanguageModelPolicy(model, endless, decoding=Decoding(2)).end_ids == (9,)


def test_a_model_without_any_end_token_is_refused(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    endless = without_end_token(tokenizer, tmp_path)
    model.config.eos_token_id = None
    model.generation_config = GenerationConfig()
    with pytest.raises(ValueError, match="expected an end token, got none"):
        LanguageModelPolicy(model, endless, decoding=Decoding())


@pytest.mark.parametrize(
    ("written", "stop", "text"),
    [
        ("ab<eos>", (), "ab"),
        ("<eos>", (), ""),
        ("", ("a",), ""),
        ("4\nUser: 5+6?", ("User:",), "4\n"),
        ("4 User", ("User:",), "4 User"),
        *((f"4{turn} 5+6?", NEXT_TURNS, "4") for turn in ("\nUser:", "\nUser :", "\n User:")),
        ("4, User: 5+6?", NEXT_TURNS, "4, User: 5+6?"),
        ("one, two. three", (".", ","), "one"),
        ("abc", ("abc", "b"), ""),
        ("a<eos>", ("a",), ""),
    ],
)
def test_a_response_is_the_text_before_the_end_token_and_the_first_stop_string(
    tokenizer: PreTrainedTokenizerBase, written: str, stop: tuple[str, ...], text: str
) -> None:
    body, end, _ = written.partition("<eos>")
    ids = [*tokenizer(body)["input_ids"], *([tokenizer.eos_token_id] if end else [])]
    completion = Completion((3,), tuple(ids), (0.0,) * len(ids))
    assert response_text(tokenizer, completion, [1], stop) == text


def test_the_stop_strings_of_a_run_end_what_is_scored_and_what_is_trained_on(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    config = TrainConfig(model=str(tmp_path), tasks=("countdown-mini",), max_new_tokens=12, stop=("a", "b")).for_run()
    prompts = run_prompts(config, read_tasks(config.tasks))
    policy, _ = build_policy(config, str(tmp_path), prompts, ranks=OneRank(), probes=[])
    texts, completions = policy.act(["1+1="] * 100, [0] * 100)
    assert not any("a" in text or "b" in text for text in texts)
    for text, completion in zip(texts, completions, strict=True):
        assert text.startswith(text_of(tokenizer, completion.tokens[:-1])), "a stop string lies in the last token"
    assert any(set("ab") & set(text_of(tokenizer, completion.tokens)) for completion in completions)


def test_a_question_that_a_model_makes_up_behind_its_answer_is_not_scored(tokenizer: PreTrainedTokenizerBase) -> None:
    env: Any = reason_suite(["math-easy"]).envs(0, 1)[0].unwrapped
    prompt, _ = env.reset(seed=3)
    truth = {"task": "math-easy", **env.ground_truth(env.puzzle)}
    written = f" {env.oracle(env.puzzle)}\nUser: What is 5 + 6?\nAssistant: \\boxed{{11}}"
    ids = tuple(tokenizer(written)["input_ids"])
    completion = Completion((3,), ids, (0.0,) * len(ids))
    outcomes = [verdict(prompt, response_text(tokenizer, completion, [1], stop), truth) for stop in ((), ("User:",))]
    assert [outcome.outcome for outcome in outcomes] == ["correct", "correct"]


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
PIECES = [("▁",), ("a",), ("▁b",), ("b",), ("ab",), ("▁ba",), ("<s>",), ("<0x61>",)]
PIECES += [("<0xC3>", "<0xA9>"), ("<0xE7>", "<0x94>", "<0xA8>")]
LONG = [("b",)] * 20


@pytest.fixture(scope="module")
def sentencepiece() -> PreTrainedTokenizerBase:
    """In Llama's manner: blanks in front of words, that in front of a text dropped, bytes, special tokens."""
    names = ["<s>", "</s>", *BYTES, "▁", "a", "▁b", "b", "ab", "▁ba"]
    raw = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="</s>"))
    parts = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    raw.decoder = decoders.Sequence(parts)
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=40),
    stop=st.lists(st.text("ab é用", min_size=1, max_size=5), min_size=1, max_size=2),
)
@example(pieces=[*LONG, ("▁",), ("a",)], stop=[" a"]).via("a blank that the decoder strips where the text is cut")
@example(pieces=[*LONG, ("a",), *[("<s>",)] * 20, ("b",)], stop=["ab"]).via("special tokens in between")
@example(pieces=[*[PIECES[-1]] * 20, PIECES[-2], PIECES[-2]], stop=["éé"]).via("a cut through a character")
def test_a_stop_string_is_found_at_the_token_that_completes_it(
    sentencepiece: PreTrainedTokenizerBase, pieces: list[tuple[str, ...]], stop: list[str]
) -> None:
    """The last tokens of a row say what all of it would."""
    vocabulary = sentencepiece.get_vocab()
    ids = [vocabulary[name] for piece in pieces for name in piece]
    found = StopStrings(stop, lambda tail: text_of(sentencepiece, tail))
    holds = [any(s in text_of(sentencepiece, ids[:n]) for s in stop) for n in range(1, len(ids) + 1)]
    first = holds.index(True) if any(holds) else len(holds)
    assert [found.completed_by(0, token) for token in ids[: first + 1]] == holds[: first + 1]


def test_rows_are_read_apart(tokenizer: PreTrainedTokenizerBase) -> None:
    found = StopStrings(["ab"], lambda ids: text_of(tokenizer, ids))
    a, b = tokenizer("ab")["input_ids"]
    assert [found.completed_by(row, token) for row, token in [(0, a), (1, b), (1, a), (0, b)]] == [False] * 3 + [True]


def closing_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer that ends every text with its end token, as `add_eos_token` makes one."""
    vocabulary = {"<pad>": 0, "</s>": 1} | {character: i + 2 for i, character in enumerate(string.printable)}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.Split("", "isolated"), decoders.Fuse()
    raw.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="</s>", pad_token="<pad>")


def test_a_tokenizer_that_closes_its_prompts_is_refused_by_the_name_of_its_setting() -> None:
    tokenizer = closing_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config)
    policy = LanguageModelPolicy(model.eval(), tokenizer, decoding=Decoding(4))
    with pytest.raises(ValueError, match=r"last token is '</s>' \(id 1\).*set add_eos_token to false"):
        policy.act(["1+2="], [0])


@pytest.mark.parametrize(("ids", "is_open"), [((5, 1), False), ((1, 5), True), ((1,), False), ((), True)])
def test_only_the_last_token_closes_a_prompt(
    tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], is_open: bool
) -> None:
    if is_open:
        check_open(ids, [1], tokenizer)
    else:
        with pytest.raises(ValueError, match="open at its end"):
            check_open(ids, [1], tokenizer)


def test_a_stop_string_that_is_a_control_token_is_refused_since_texts_leave_it_out(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    policy = LanguageModelPolicy(model, tokenizer, decoding=Decoding(4, stop=("<eos>",)))
    with pytest.raises(ValueError, match=r"'<eos>' never comes. Name the token in the model's generation_config.json"):
        policy.act(["1+1="], [0])


def test_a_tokenizer_of_another_model_is_refused_by_its_tokens(model: PreTrainedModel) -> None:
    larger = tiny_tokenizer()
    larger.add_tokens(["~~"])
    with pytest.raises(ValueError, match=r"writes the token id \d+, the model has embeddings of \d+ tokens"):
        LanguageModelPolicy(model, larger, decoding=Decoding(4)).act(["1~~1="], [0])


@pytest.mark.parametrize("stop", ["<eos>b", "b<eos>"])
def test_a_stop_string_that_holds_a_control_token_never_comes_either(
    tokenizer: PreTrainedTokenizerBase, stop: str
) -> None:
    with pytest.raises(ValueError, match=f"'{stop}' never comes"):
        check_stop([stop], tokenizer)


@pytest.mark.parametrize("value", [[[1]], "x", 1.5, True])
def test_an_end_token_that_is_no_token_id_is_named(tokenizer: PreTrainedTokenizerBase, value: Any) -> None:
    config = GenerationConfig()
    config.eos_token_id = value
    with pytest.raises(ValueError, match=r"eos_token_id in .* must be a token id or a list of them, got"):
        end_ids_in([config], tokenizer)


def test_end_tokens_and_padding_are_tokens_that_the_model_has(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    other = copy.deepcopy(model)
    assert other.generation_config is not None
    other.generation_config.eos_token_id = [99_999, -1, 1]
    unpadded = copy.deepcopy(tokenizer)
    unpadded.pad_token = None
    policy = LanguageModelPolicy(other, unpadded, decoding=Decoding(4))
    assert 0 <= policy.pad_id < model.config.vocab_size
    with pytest.raises(ValueError, match=r"got none of the 100 that the model has embeddings of, but \[99999, -1\]"):
        check_end_ids((99_999, -1), 100)
