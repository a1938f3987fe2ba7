"""Control tokens, such as those that begin and end a turn: a text may spell one, and must not act as one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedTokenizerBase

from mtgrpo_env.chat import Message

TokenIds = tuple[int, ...]

_MARK = "\ufdd0"  # a code point that Unicode keeps free of characters
_MARKED = re.compile(f"{_MARK}([0-9]+){_MARK}")


class ControlTokens:
    """The control tokens of a tokenizer: its special ones, and others that its chat template writes.

    A mark stands in the place of each that a text spells while the text is put into a template, and is resolved into
    ordinary tokens when the result is tokenised.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        template = str(tokenizer.chat_template or "")
        special = {token.content for token in added if token.special} | set(tokenizer.all_special_tokens)
        written = {token.content for token in added if len(token.content.strip()) > 1 and token.content in template}
        self._spelled = [*sorted(filter(None, special | written), key=len, reverse=True), _MARK]
        self._of_others = _any_of(self._spelled)
        self._of_the_assistant = _any_of([text for text in self._spelled if text in special or text == _MARK])
        self._ids = frozenset(tokenizer.convert_tokens_to_ids(self._spelled[:-1]))  # pyright: ignore[reportArgumentType]

    def marked(self, message: Message) -> Message:
        """The message with a mark for each control token that it spells.

        A model's own message keeps those that are not special, such as "</think>", which templates look for.
        """
        pattern = self._of_the_assistant if message.role == "assistant" else self._of_others
        return message._replace(content=self._marked(message.content, pattern))

    def unforged(self, text: str) -> str:
        """A text whose control tokens are meant, without marks that it could forge."""
        return self._marked(text, re.compile(_MARK))

    def encode(self, texts: Sequence[str], *, add_special_tokens: bool = False) -> list[TokenIds]:
        """The token ids of marked texts.

        Args:
            texts: with marks.
            add_special_tokens: whether the tokenizer puts what it always does before and behind each.

        Raises:
            ValueError: if a character that a text spells is a control token by itself.
        """
        plain = [text for text in texts if _MARK not in text]
        found = iter(ids_of(self._tokenizer(plain, add_special_tokens=add_special_tokens)) if plain else [])
        before: TokenIds = tuple(self._tokenizer("")["input_ids"]) if add_special_tokens else ()
        return [(*before, *self._resolved(text)) if _MARK in text else next(found) for text in texts]

    def _marked(self, text: str, pattern: re.Pattern[str]) -> str:
        return pattern.sub(lambda m: f"{_MARK}{self._spelled.index(m[0])}{_MARK}", self._spelling(text, pattern))

    def _spelling(self, text: str, pattern: re.Pattern[str]) -> str:
        """The text, as the tokenizer normalises it if it would spell a control token only then."""
        normalizer = self._tokenizer.backend_tokenizer.normalizer if self._tokenizer.is_fast else None  # pyright: ignore[reportAttributeAccessIssue]
        if normalizer is None or pattern.search(text):
            return text
        normal = str(normalizer.normalize_str(text))
        return normal if pattern.search(normal) else text

    def _resolved(self, text: str) -> TokenIds:
        ids: list[int] = []
        for i, piece in enumerate(_MARKED.split(text)):  # texts and the numbers of marks, in turn
            if i % 2:
                ids += self._split(self._spelled[int(piece)])
            else:
                ids += self._tokenizer(piece, add_special_tokens=False)["input_ids"]
        return tuple(ids)

    def _split(self, spelled: str) -> list[int]:
        """Ordinary tokens of a text that spells a control token."""
        ids: list[int] = self._tokenizer(spelled, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        if not self._ids.intersection(ids):
            return ids
        if len(spelled) == 1:
            raise ValueError(f"a prompt cannot be written: its character {spelled!r} is a control token of the model")
        return self._split(spelled[:1]) + self._split(spelled[1:])


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)))


def ids_of(encoded: Any) -> list[TokenIds]:
    """The token ids of the texts that a tokenizer has encoded."""
    return [tuple(ids) for ids in encoded["input_ids"]]
