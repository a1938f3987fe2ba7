"""A rollout engine whose completions are kept in a file, prompt by prompt, as they are finished."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import accumulate
from typing import Any

import numpy as np

from mtgrpo_env.agents.kept_file import KeptFile, key_of
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine, Weights


class KeptEngine:
    """Generates what the file does not hold.

    What is drawn for a prompt depends on the model, the prompt, how many completions are wanted, the decoding and the
    prompt's seed. All of these make its key, so that what is reused is what would be drawn again.

    Args:
        engine: generates.
        file: keeps the completions of each prompt once it has them all.
        model: what the weights are, and whatever else decides what the engine makes of them.
        rows_at_once: completions asked of the engine at a time; what an interrupt may lose.
    """

    def __init__(self, engine: RolloutEngine, file: KeptFile, *, model: str, rows_at_once: int) -> None:
        self._engine, self._file, self._model, self._rows_at_once = engine, file, model, rows_at_once
        self.reused = 0
        """Completions that the file held."""

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        """See `RolloutEngine`."""
        first_rows = [0, *accumulate(counts)]
        keys = [
            key_of(self._model, prompt, count, asdict(decoding), seed if decoding.temperature > 0 else 0)
            for prompt, count, seed in zip(prompts, counts, seeds, strict=True)
        ]
        missing: list[int] = []
        for i, key in enumerate(keys):
            if (kept := self._file.get(key)) is None:
                missing.append(i)
                continue
            self.reused += counts[i]
            for j, record in enumerate(kept):
                yield first_rows[i] + j, _completion(prompts[i], record)
        for part in _parts(missing, counts, self._rows_at_once):
            rows = [(i, j) for i in part for j in range(counts[i])]
            drawn: dict[int, dict[int, Completion]] = {i: {} for i in part}
            of_part = [[values[i] for i in part] for values in (prompts, counts, seeds)]
            for row, completion in self._engine.generate(of_part[0], of_part[1], decoding, of_part[2]):
                i, j = rows[row]
                drawn[i][j] = completion
                if len(drawn[i]) == counts[i]:
                    self._file.put(keys[i], [_record(drawn[i][j]) for j in range(counts[i])])
                yield first_rows[i] + j, completion

    def load_weights(self, weights: Weights) -> None:
        """Refused: other weights would be another model.

        Raises:
            ValueError: always.
        """
        raise ValueError("an engine whose completions are kept generates with the weights that it has")

    def generating(self) -> AbstractContextManager[object]:
        return self._engine.generating()


def _parts(prompts: Sequence[int], counts: Sequence[int], most: int) -> Iterator[list[int]]:
    """Prompts in their order, with at most so many completions in a part, or one prompt."""
    part: list[int] = []
    rows = 0
    for i in prompts:
        if part and rows + counts[i] > most:
            yield part
            part, rows = [], 0
        part.append(i)
        rows += counts[i]
    if part:
        yield part


def _record(completion: Completion) -> dict[str, str]:
    return {
        "tokens": _packed(completion.tokens, np.int32),
        "log_probs": _packed(completion.log_probs, np.float64),
        "finish_reason": completion.finish_reason,
    }


def _completion(prompt: tuple[int, ...], record: Mapping[str, Any]) -> Completion:
    tokens, log_probs = _unpacked(record["tokens"], np.int32), _unpacked(record["log_probs"], np.float64)
    return Completion(prompt, tuple(tokens), tuple(log_probs), record["finish_reason"])


def _packed(values: Sequence[float], dtype: type) -> str:
    return base64.b64encode(zlib.compress(np.array(values, dtype=dtype).tobytes())).decode()


def _unpacked(text: str, dtype: type) -> list[Any]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), dtype=dtype).tolist()
