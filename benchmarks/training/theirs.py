"""TRL's `GRPOTrainer` on the same task, set to do nothing that our side does not do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datasets import Dataset  # pyright: ignore[reportMissingImports]
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.grpo_config import GRPOConfig  # pyright: ignore[reportMissingImports]
from trl.trainer.grpo_trainer import GRPOTrainer  # pyright: ignore[reportMissingImports]

from training import setting
from training.setting import Size

SETTINGS: Mapping[str, Any] = {
    # the same step: one micro-batch, one update, no divergence, sequence mean
    "per_device_train_batch_size": setting.ROWS,
    "gradient_accumulation_steps": 1,
    "num_generations": setting.GROUP_SIZE,
    "max_completion_length": setting.NEW_TOKENS,
    "num_iterations": 1,
    "beta": 0.0,
    "loss_type": "grpo",
    "epsilon": setting.CLIP_LOW,
    "epsilon_high": setting.CLIP_HIGH,
    "temperature": 1.0,
    # the same optimiser: AdamW without decay at a constant learning rate
    "learning_rate": setting.LEARNING_RATE,
    "lr_scheduler_type": "constant",
    "weight_decay": 0.0,
    "max_grad_norm": setting.MAX_GRAD_NORM,
    # nothing else: float32, no recomputation, no logging, saving, reporting or progress bar
    "use_cpu": True,
    "bf16": False,
    "gradient_checkpointing": False,
    "logging_strategy": "no",
    "save_strategy": "no",
    "report_to": [],
    "disable_tqdm": True,
    "dataloader_num_workers": 0,
    "dataloader_pin_memory": False,
}


def trainer(size: Size, *, steps: int, callbacks: Sequence[TrainerCallback], folder: str) -> GRPOTrainer:
    """A trainer whose `train` takes `steps` steps."""
    tokenizer, model = setting.tokenizer_and_model(size)
    prompts = [setting.DigitsEnv().reset(seed=seed)[0] for seed in range(steps * setting.NUM_PROMPTS)]
    return GRPOTrainer(
        model=model,
        reward_funcs=_reward,
        args=GRPOConfig(output_dir=folder, max_steps=steps, **SETTINGS),
        train_dataset=Dataset.from_dict({"prompt": prompts}),
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )


class BetweenSteps(TrainerCallback):
    """Hands over after each step, so that another side can take its turn.

    Args:
        resumed: called when the trainer goes on, its next batch not yet loaded.
        paused: called when a step is complete.
    """

    def __init__(self, resumed: Callable[[], None], paused: Callable[[], None]) -> None:
        self._resumed, self._paused = resumed, paused

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._resumed()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._paused()
        self._resumed()


def _reward(completions: Sequence[str], **columns: Any) -> list[float | None]:
    return [setting.share_of_digits(completion) for completion in completions]
