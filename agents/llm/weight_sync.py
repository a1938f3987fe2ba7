"""Does the engine generate with the parameters that are trained? A few log-probabilities tell.

A copy of the weights can go wrong without a sound: an output head that stays behind, a layer that was not
matched by name, half a push. Every such fault moves the engine's log-probabilities away from the trainer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from transformers import PreTrainedModel

from mtgrpo_env.agents.llm.data import Completion, pack
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine, Weights
from mtgrpo_env.agents.llm.learner import LogProbs
from mtgrpo_env.agents.ranks import OneRank, Ranks, agreement
from mtgrpo_env.types import Group, Problem, Rollout, Step

LogProbsOf = Callable[[Sequence[Completion]], Sequence[Sequence[float]]]
"""The log-probability of every token of every completion, as the trainer has it."""


def trainer_log_probs(
    model: PreTrainedModel, completions: Sequence[Completion], *, temperature: float, pad_id: int, log_probs: LogProbs
) -> list[list[float]]:
    """The `LogProbsOf` of a model, once all but the completions is given; `log_probs` runs it over packed ones."""
    rollouts = tuple(Rollout((Step("", "", 0.0, extras=c),), 0.0, is_success=False) for c in completions)
    packed = pack([Group(Problem(0, seed=0), rollouts)], np.ones(1), pad_id).to(model.device)
    with torch.no_grad():
        values = log_probs(model, packed, temperature).tolist()
    return [of_row[: len(c.tokens)] for of_row, c in zip(values, completions, strict=True)]


class CheckedEngine:
    """An engine that is compared with the trainer whenever it has been given weights.

    Args:
        engine: generates.
        log_probs_of: the trainer's, at the temperature of `decoding`.
        probes: distinct prompts to compare on, the same on every rank.
        tolerance: see `check_agreement`.
        decoding: of the comparison.
        ranks: if one of them finds a difference, all stop.
    """

    def __init__(
        self,
        engine: RolloutEngine,
        log_probs_of: LogProbsOf,
        probes: Sequence[tuple[int, ...]],
        *,
        tolerance: float,
        decoding: Decoding,
        ranks: Ranks | None = None,
    ) -> None:
        self.engine = engine
        self.log_probs_of = log_probs_of
        self.probes = list(probes)
        self.tolerance = tolerance
        self.decoding = decoding
        self.ranks = ranks or OneRank()

    def generate(
        self, prompts: Sequence[tuple[int, ...]], counts: Sequence[int], decoding: Decoding, seeds: Sequence[int]
    ) -> Iterator[tuple[int, Completion]]:
        return self.engine.generate(prompts, counts, decoding, seeds)

    def load_weights(self, weights: Weights) -> None:
        """See `RolloutEngine`.

        Raises:
            WeightSyncError: if the engine generates with other weights now.
        """
        self.engine.load_weights(weights)
        with self.engine.generating(), agreement(self.ranks):
            check_agreement(
                self.engine, self.log_probs_of, self.probes, tolerance=self.tolerance, decoding=self.decoding
            )

    def generating(self) -> AbstractContextManager[object]:
        return self.engine.generating()


class WeightSyncError(RuntimeError):
    """The engine generates with other parameters than those that are trained."""


def check_agreement(
    engine: RolloutEngine,
    log_probs_of: LogProbsOf,
    prompts: Sequence[tuple[int, ...]],
    *,
    tolerance: float,
    decoding: Decoding | None = None,
    seed: int = 0,
) -> float:
    """Draw a completion of each prompt and compare what engine and trainer say of its tokens.

    A difference below the tolerance is not seen, so weights that stay behind by one small step are found
    only when the steps have added up.

    Args:
        engine: just given new weights.
        log_probs_of: the trainer's, at the temperature of `decoding`.
        prompts: distinct token ids; two or three are enough.
        tolerance: largest difference of log-probabilities that rounding explains; 1e-3 in float32, 0.3 in bfloat16.
        decoding: by default 8 tokens at temperature 1.
        seed: of the draws.

    Returns:
        The largest difference.

    Raises:
        WeightSyncError: if it is above the tolerance, or not a number.
    """
    if not prompts:
        raise ValueError("expected at least one prompt to compare on, got none")
    decoding = decoding or Decoding(max_new_tokens=8)
    seeds = [seed + i for i in range(len(prompts))]
    drawn = [completion for _, completion in engine.generate(prompts, [1] * len(prompts), decoding, seeds)]
    gaps = [_gap(c, theirs) for c, theirs in zip(drawn, log_probs_of(drawn), strict=True)]
    worst = max(range(len(gaps)), key=gaps.__getitem__)
    if gaps[worst] <= tolerance:
        return gaps[worst]
    raise WeightSyncError(
        f"the engine generates with other weights than those trained: on the prompt with token ids "
        f"{_shortened(drawn[worst].prompt)} its log-probabilities differ from the trainer's by up to "
        f"{gaps[worst]:.3g}, expected at most {tolerance:.3g}. Not every parameter arrived, or the engine reports "
        f"log-probabilities of another distribution (vLLM: logprobs_mode must be processed_logprobs)"
    )


def _gap(completion: Completion, trainers: Sequence[float]) -> float:
    differences = [abs(a - b) for a, b in zip(completion.log_probs, trainers, strict=True)]
    return max(math.inf if math.isnan(difference) else difference for difference in differences)


def _shortened(prompt: Sequence[int], most: int = 24) -> str:
    shown = ", ".join(map(str, prompt[:most]))
    return f"[{shown}]" if len(prompt) <= most else f"[{shown}, … {len(prompt) - most} more]"
