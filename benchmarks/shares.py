"""Do batches hold the tasks in the ratio of the weights, whatever is filtered? Samplers alone, no rollouts.

python benchmarks/shares.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtgrpo_env.samplers import BatchSampler, DynamicSampler, MultinomialSampler, RatioPreservingSampler

WEIGHTS = np.array([0.2, 0.5, 0.3])
FILTER_RATES = np.array([0.9, 0.1, 0.5])
BATCH_SIZE = 32
BATCHES = 300


def main() -> None:
    """Draw batches with each sampler and print what came out."""
    print(f"weights {WEIGHTS}, filter rates {FILTER_RATES}, {BATCHES} batches of {BATCH_SIZE}")
    print("| sampler | mean share with a gradient | mean distance from the weights | groups generated | rounds |")
    print("|---" * 5 + "|")
    for make in (RatioPreservingSampler, DynamicSampler, MultinomialSampler):
        shares, generated, rounds = _draw(make(3, BATCH_SIZE, seed=0))
        distance = 0.5 * np.abs(shares - WEIGHTS).sum(axis=1).mean()
        cells = [make.__name__, " / ".join(f"{share:.3f}" for share in shares.mean(axis=0)), f"{distance:.3f}"]
        print("| " + " | ".join([*cells, f"{generated:.0f}", f"{rounds:.2f}"]) + " |")


def _draw(sampler: BatchSampler[Any]) -> tuple[np.ndarray, float, float]:
    """(BATCHES, K) shares of the informative groups selected, and mean groups and rounds per batch."""
    rng = np.random.default_rng(1)
    shares, generated, rounds = [], 0, 0
    for _ in range(BATCHES):
        plan = sampler.plan(WEIGHTS)
        reported: list[tuple[int, bool]] = []
        while proposal := plan.propose():
            informative = (rng.random(len(proposal)) >= FILTER_RATES[proposal]).tolist()
            plan.report(proposal, informative)
            reported += zip(proposal, informative, strict=True)
        sampler.update(plan)
        chosen = [reported[i] for i in plan.select()[0]]
        counts = np.bincount([task_id for task_id, informative in chosen if informative], minlength=3)
        shares.append(counts / counts.sum())
        generated += int(plan.generated.sum())
        rounds += plan.rounds
    return np.array(shares), generated / BATCHES, rounds / BATCHES


if __name__ == "__main__":
    main()
