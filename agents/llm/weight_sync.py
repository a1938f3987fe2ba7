"""Does the engine generate with the parameters that are trained? A few log-probabilities tell.

A copy of the weights can go wrong without a sound: an output head that stays behind, a layer that was not
matched by name, half a push. Every such fault moves the engine's log-probabilities away from the trainer's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding, RolloutEngine

LogProbsOf = Callable[[Sequence[Completion]], Sequence[Sequence[float]]]
"""The log-probability of every token of every completion, as the trainer has it."""


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
