"""What a batch of several tasks adds to TRL's log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtgrpo_env.shares import prompt, totals
from mtgrpo_env.types import Batch, FloatArray, GroupFilter


def step_metrics(names: Sequence[str], batch: Batch, z: FloatArray, group_filter: GroupFilter) -> dict[str, float]:
    """Scalars by name, those of a task as "what/task"; NaN, which TRL leaves out, for a task that was not generated.

    `realised_share` is of the informative groups, as the loss weighs them: the others have no gradient.
    """
    informative = batch.part([i for i, group in enumerate(batch.groups) if group_filter(group)])
    trained = totals(informative, prompt)
    with np.errstate(invalid="ignore"):
        filter_rates = 1 - batch.accepted / batch.generated
    per_task = {
        "task_weight": z,
        "target_share": batch.targets / batch.targets.sum(),
        "realised_share": trained / (trained.sum() or 1),
        "reward": batch.rewards,
        "train_accuracy": batch.accuracies,
        "filter_rate": filter_rates,
    }
    known = batch.accuracies[~np.isnan(batch.accuracies)]
    return {
        **{f"{word}/{name}": float(v) for word, of in per_task.items() for name, v in zip(names, of, strict=True)},
        "train_accuracy/worst_task": float(known.min()) if known.size else float("nan"),
        "rounds": float(batch.rounds),
        "generated_groups": float(batch.generated.sum()),
        "informative_groups": float(len(informative.groups)),
    }
