"""Completions that are kept: reused where nothing that decides them has changed, whole prompts or none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtgrpo_env.agents.kept_file import KeptFile
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.kept_engine import KeptEngine

PROMPTS = [(1, 2), (3,), (4, 5, 6)]
COUNTS = [2, 1, 2]
SEEDS = [10, 11, 12]
DECODING = Decoding(max_new_tokens=4)


class ScriptedEngine:
    """Draws tokens by the prompt's seed, and breaks after so many completions."""

    def __init__(self, *, last: int = 99) -> None:
        self.asked: list[tuple[int, ...]] = []
        self._left = last

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        self.asked += prompts
        row = 0
        for prompt, count, seed in zip(prompts, counts, seeds, strict=True):
            rng = np.random.default_rng(seed)
            for _ in range(count):
                if not self._left:
                    raise KeyboardInterrupt
                self._left -= 1
                tokens = tuple(rng.integers(100, size=decoding.max_new_tokens).tolist())
                yield row, Completion(prompt, tokens, tuple(rng.random(len(tokens)).tolist()), "length")
                row += 1

    def load_weights(self, weights: Any) -> None:
        raise NotImplementedError

    def generating(self) -> nullcontext[None]:
        return nullcontext()


def engine(inner: ScriptedEngine, folder: Path, model: str = "m", rows_at_once: int = 2) -> KeptEngine:
    return KeptEngine(inner, KeptFile(folder / "kept.sqlite"), model=model, rows_at_once=rows_at_once)


def drawn(kept: KeptEngine, decoding: Decoding = DECODING, **other: Any) -> dict[int, Completion]:
    arguments = {"prompts": PROMPTS, "counts": COUNTS, "seeds": SEEDS, **other}
    return dict(kept.generate(arguments["prompts"], arguments["counts"], decoding, arguments["seeds"]))


def test_an_interrupted_round_goes_on_and_comes_to_what_it_would_have(tmp_path: Path) -> None:
    whole = dict(ScriptedEngine().generate(PROMPTS, COUNTS, DECODING, SEEDS))
    with pytest.raises(KeyboardInterrupt):
        drawn(engine(ScriptedEngine(last=4), tmp_path))  # the last prompt has one of two
    inner = ScriptedEngine()
    resumed = engine(inner, tmp_path)
    assert drawn(resumed) == whole
    assert (inner.asked, resumed.reused) == ([PROMPTS[2]], 3)
    again = ScriptedEngine()
    assert drawn(engine(again, tmp_path)) == whole
    assert again.asked == []


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"decoding": Decoding(max_new_tokens=5)},
        {"decoding": Decoding(max_new_tokens=4, top_p=0.9)},
        {"counts": [3, 2, 3]},
        {"seeds": [20, 21, 22]},
        {"prompts": [(9, 2), (9,), (9, 5, 6)]},
    ],
)
def test_whatever_decides_the_completions_is_part_of_their_key(change: dict[str, Any], tmp_path: Path) -> None:
    drawn(engine(ScriptedEngine(), tmp_path))
    inner = ScriptedEngine()
    kept = engine(inner, tmp_path, model=change.pop("model", "m"))
    drawn(kept, **change)
    assert kept.reused == 0
    assert len(inner.asked) == 3


def test_the_likeliest_tokens_do_not_depend_on_the_seed(tmp_path: Path) -> None:
    greedy = Decoding(max_new_tokens=4, temperature=0.0)
    drawn(engine(ScriptedEngine(), tmp_path), greedy)
    kept = engine(ScriptedEngine(), tmp_path)
    drawn(kept, greedy, seeds=[1, 2, 3])
    assert kept.reused == 5


def test_prompts_are_asked_a_few_at_a_time_but_never_torn_apart(tmp_path: Path) -> None:
    rounds: list[list[tuple[int, ...]]] = []

    class Watched(ScriptedEngine):
        def generate(
            self, prompts: Any, counts: Any, decoding: Decoding, seeds: Any
        ) -> Iterator[tuple[int, Completion]]:
            rounds.append(list(prompts))
            return super().generate(prompts, counts, decoding, seeds)

    drawn(engine(Watched(), tmp_path, rows_at_once=1))
    assert rounds == [[prompt] for prompt in PROMPTS]


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="generates with the weights that it has"):
        engine(ScriptedEngine(), tmp_path).load_weights([])
