"""How a completion ends: end tokens, stop strings, and the text that stands before them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion

Decode = Callable[[Sequence[int]], str]
"""The text of token ids, special tokens left out."""

_BROKEN = "\ufffd"  # the decoder's sign for bytes that are no character
_MARGIN = 4  # tokens: the rest of a character that the cut goes through, and one whose blank the decoder strips


def end_ids_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Every token that ends a completion: of the generation config, of the model's config, of the tokenizer.

    A chat model has several, such as the end of a turn and that of the text.
    """
    return end_ids_in((model.generation_config, model.config, model.config.get_text_config()), tokenizer)


def end_ids_in(configs: Sequence[Any], tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """`end_ids_of` of configs alone.

    Raises:
        ValueError: if what a config names is no token id.
    """
    named = [*(config.to_dict().get("eos_token_id") for config in configs), tokenizer.eos_token_id]
    ids = (token for value in named for token in (value if isinstance(value, list | tuple) else [value]))
    return tuple(dict.fromkeys(_token_id(token) for token in ids if token is not None))


def _token_id(value: Any) -> int:
    if type(value) is not int:
        where = "config.json, generation_config.json or the tokenizer"
        raise ValueError(f"eos_token_id in {where} must be a token id or a list of them, got {value!r:.80}")
    return value


def check_end_ids(end_ids: Sequence[int], num_tokens: int) -> None:
    """Refuse a model whose completions could not end.

    Args:
        end_ids: of its configs and its tokenizer; some may be ids that it does not have.
        num_tokens: that it has embeddings of.

    Raises:
        ValueError: if it has none of them.
    """
    if not any(0 <= token < num_tokens for token in end_ids):
        unknown = f" of the {num_tokens:,} that the model has embeddings of, but {list(end_ids)}" if end_ids else ""
        raise ValueError(
            f"expected an end token, got none{unknown}: without an eos_token of the tokenizer or an eos_token_id of "
            "the generation config a completion never ends"
        )


def check_open(ids: Sequence[int], end_ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a prompt that is closed at its end: the model would begin another text instead of responding.

    Raises:
        ValueError: naming the token and the setting.
    """
    if ids and ids[-1] in end_ids:
        token = tokenizer.convert_ids_to_tokens(ids[-1])
        raise ValueError(
            f"expected a prompt that is open at its end, got one whose last token is {token!r} (id {ids[-1]}), which "
            "ends a text or a turn. A tokenizer with add_eos_token puts it there: set add_eos_token to false in "
            "tokenizer_config.json and take the token out of the template of tokenizer.json's post_processor. A chat "
            "template must begin the assistant's turn (add_generation_prompt)"
        )


def check_stop(stop: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a stop string that no text can hold.

    Raises:
        ValueError: if it holds a control token, which texts leave out.
    """
    for string in stop:
        ids = tokenizer(string, add_special_tokens=False)["input_ids"]
        if control := [token for token in ids if token in tokenizer.all_special_ids]:
            raise ValueError(
                f"stop strings are looked for in the text of a response, which leaves control tokens out: {string!r} "
                f'never comes. Name the token in the model\'s generation_config.json: "eos_token_id": {control}'
            )


def text_of(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of token ids, special tokens left out."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=True))


def response_text(
    tokenizer: PreTrainedTokenizerBase, completion: Completion, end_ids: Sequence[int], stop: Sequence[str] = ()
) -> str:
    """The text of a completion up to its end token, or to the first stop string in it."""
    tokens = completion.tokens
    has_end = bool(tokens) and tokens[-1] in end_ids
    text = text_of(tokenizer, tokens[:-1] if has_end else tokens)
    return text[: min((at for at in map(text.find, stop) if at >= 0), default=len(text))]


class StopStrings:
    """Finds stop strings in rows that grow by one token at a time, from the last few tokens of each.

    Args:
        stop: strings, none of them empty.
        decode: the text of token ids.

    >>> letters = StopStrings(("cd",), lambda ids: "".join(map(chr, ids)))
    >>> [letters.completed_by(0, token) for token in b"abcd"]
    [False, False, False, True]
    """

    def __init__(self, stop: Sequence[str], decode: Decode) -> None:
        self._stop = tuple(stop)
        self._decode = decode
        self._most = max(len(string.encode()) for string in stop) + _MARGIN  # each token adds a byte at least
        self._tails: dict[int, tuple[int, ...]] = {}
        self._is_seen: dict[int, bool] = {}

    def completed_by(self, row: int, token: int) -> bool:
        """Whether the row, with this token as its next, holds a stop string."""
        if token not in self._is_seen:  # twice, since decoders strip a blank in front
            self._is_seen[token] = self._decode([token, token]) != ""
        if not self._is_seen[token]:  # a special token adds nothing to the text
            return False
        tail = self._tails[row] = (*self._tails.get(row, ()), token)[-self._most :]
        for start in range(_MARGIN):
            text = self._decode(tail[start:])
            if any(string in text for string in self._stop):
                return True
            if not text.startswith(_BROKEN):  # else the bytes of a character that is cut may spoil those behind it
                return False
        return False
