"""Secrets of the scheme "Basic" are hidden, and English after the word is not."""

from __future__ import annotations

import base64
from itertools import product
from string import ascii_letters

import pytest

from mtgrpo_env.redaction import redacted

_LETTERS = ascii_letters.encode()


@pytest.mark.parametrize("text", ["only basic arithmetic operations", "Basic Concepts.", "a basic first-order idea"])
def test_english_after_the_word_basic_is_shown(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("pair", ["me:pw", "user:password", "a:b" * 9])
def test_encoded_credentials_are_hidden_with_and_without_their_header(pair: str) -> None:
    token = base64.b64encode(pair.encode()).decode()
    for scheme in ("Basic", "basic"):
        assert redacted(f"{scheme} {token}") == f"{scheme} ***"
        assert token not in redacted(f"Authorization: {scheme} {token}")


def test_credentials_that_look_like_a_word_are_hidden_behind_their_header_or_if_they_are_a_pair() -> None:
    assert redacted("Authorization: Basic secretword") == "Authorization: Basic ***"
    encoded = (base64.b64encode(b"%c:%c%c%c%c" % (user, *rest)).decode() for user, *rest in product(_LETTERS, repeat=5))
    word = next(token for token in encoded if token.isalpha() and token.islower())
    assert redacted(f"basic {word}") == "basic ***"
