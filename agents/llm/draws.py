"""The uniform numbers that decide which tokens are drawn: one for each token, or one code for a whole completion.

Codes are arithmetic sampling. Divide the unit interval by the probabilities of all completions: a completion is drawn
by finding, token by token, the share in which its code lies. The N codes of a prompt, (π(i) + U) / N with a permutation
π and one uniform U, are each uniform, so each completion is a fair draw; and they lie evenly, so that completions of a
prompt differ more than independent ones do, and fewer groups are unanimous.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

_BITS = 32.0  # of surprise that a code may decide; it has 53, and the rest are for the next token


@dataclass(frozen=True, slots=True)
class Draws:
    """Of R completions of up to T tokens.

    Attributes:
        fresh: (R, T) in [0, 1).
        codes: (R,) in [0, 1); None where every token has a number of its own.
    """

    fresh: np.ndarray
    codes: np.ndarray | None = None

    @classmethod
    def of_prompt(cls, seed: int, count: int, max_new_tokens: int, *, stratified: bool) -> Self:
        """Those of the `count` completions of a prompt, which depend on its seed alone."""
        rng = np.random.default_rng(seed)
        if not stratified:
            return cls(rng.random((count, max_new_tokens), dtype=np.float32))
        codes = (rng.permutation(count) + rng.random()) / count
        return cls(rng.random((count, max_new_tokens)), np.minimum(codes, np.nextafter(1, 0)))

    @classmethod
    def concatenated(cls, parts: Sequence[Draws]) -> Self:
        """Those of several prompts."""
        codes = [part.codes for part in parts if part.codes is not None]
        return cls(np.concatenate([part.fresh for part in parts]), np.concatenate(codes) if codes else None)

    def rows(self, rows: slice) -> Draws:
        return Draws(self.fresh[rows], None if self.codes is None else self.codes[rows])


class Chances:
    """Which number decides the next token of each row; codes are used up token by token.

    Args:
        draws: of the R rows.
        device: of the model.
    """

    def __init__(self, draws: Draws, device: torch.device) -> None:
        self._fresh = torch.as_tensor(draws.fresh, device=device)
        self._codes = None if draws.codes is None else torch.tensor(draws.codes, device=device)
        self._bits = torch.zeros(len(draws.fresh), device=device)

    def of(self, rows: torch.Tensor, position: int) -> torch.Tensor:
        """(H,) in [0, 1) for the tokens of (H,) rows at a position."""
        return self._fresh[rows, position] if self._codes is None else self._codes[rows]

    def use(self, rows: torch.Tensor, position: int, rest: torch.Tensor, log_probs: torch.Tensor) -> None:
        """Go on from (H,) `rest`, the places of the chances within the tokens' shares, which are uniform again.

        A code that has decided too much to be exact is replaced by a fresh number.
        """
        if self._codes is None:
            return
        bits = self._bits[rows] - log_probs / math.log(2)
        is_used_up = bits > _BITS
        self._codes[rows] = torch.where(is_used_up, self._fresh[rows, position], rest)
        self._bits[rows] = torch.where(is_used_up, 0.0, bits)
