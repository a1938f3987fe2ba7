"""`MTGRPOTrainer`: TRL's `GRPOTrainer` whose batches hold tasks in the ratio of weights that move.

Rows, ratios and weights are decided by the core: `sample_batch` follows a sampler's plan as it does for our own agent.
TRL generates, scores, computes log-probabilities and the loss, takes the steps, logs and saves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from mtgrpo_env.agents.signals import LatestReward, RecentAccuracy, RewardEstimate
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl.trainer.grpo_trainer import GRPOTrainer

from mtgrpo_env.agents.integrations.trl.improvements import StepImprovements
from mtgrpo_env.agents.integrations.trl.rounds import (
    CorrectFrom,
    filled,
    first_reward_at_least,
    groups_of,
    step_metrics,
    tensors_of,
)
from mtgrpo_env.agents.integrations.trl.row_suite import RowSuite
from mtgrpo_env.agents.integrations.trl.settings import check_settings, task_of_each_row
from mtgrpo_env.files import atomic_file
from mtgrpo_env.filters import lenient
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.rollout import sample_batch
from mtgrpo_env.suite import TaskSuite
from mtgrpo_env.task_weights import DisparityWeights, TaskWeights
from mtgrpo_env.types import Batch, Group, GroupFilter, Problem, TaskStats

STATE_FILE = "mtgrpo.json"


class MTGRPOTrainer(GRPOTrainer):
    """Multi-Task GRPO in TRL's trainer.

    Args:
        *trl_arguments: as of `GRPOTrainer`.
        task_column: of the training data, names the task of each row. Tasks are numbered alphabetically.
        sampler: draws batches of `generation_batch_size / num_generations` groups; by default quotas.
        task_weights: decides the ratio of tasks; by default no task far below the average accuracy.
        group_filter: which groups are informative; by default those whose rewards differ.
        reward_estimate: J; for task weights that are given, by default the latest mean reward of each task.
        is_correct: decides from the reward functions' values of a completion whether it counts as correct.
        **trl_options: as of `GRPOTrainer`.

    Attributes:
        suite: the rows by task.
        sampler: as given, or the default.
        task_weights: as given, or the default.
        reward_estimate: as given, or the default.
        batch: the one in training; None before the first.

    Raises:
        ValueError: if TRL is set up in a way that does not go with this, or the parts differ in the number of tasks
            or in the size of a batch.
    """

    def __init__(
        self,
        *trl_arguments: Any,
        task_column: str = "task",
        sampler: BatchSampler[Any] | None = None,
        task_weights: TaskWeights | None = None,
        group_filter: GroupFilter = lenient,
        reward_estimate: RewardEstimate | None = None,
        is_correct: CorrectFrom | None = None,
        **trl_options: Any,
    ) -> None:
        super().__init__(*trl_arguments, **trl_options)
        check_settings(self)
        self.args.ignore_data_skip = True  # a resumed run finds its place by our state
        self._task_column = task_column
        rows = task_of_each_row(self.train_dataset, task_column)
        self.suite = RowSuite(rows, shuffle=self.shuffle_dataset, seed=self.args.seed)
        num_tasks, batch_size = self.suite.num_tasks, self.args.generation_batch_size // self.num_generations
        if task_weights is None:
            task_weights = DisparityWeights(num_tasks)
            reward_estimate = reward_estimate or RecentAccuracy(num_tasks)
        self.sampler = sampler or QuotaSampler(num_tasks, batch_size, seed=self.args.seed)
        self.task_weights = task_weights
        self.reward_estimate = reward_estimate or LatestReward(num_tasks)
        self._check_parts(batch_size)
        self.group_filter = group_filter
        self.is_correct = is_correct or first_reward_at_least(1.0)
        self.batch: Batch | None = None
        self._rows = self.train_dataset
        self._generated: list[Group] = []
        self._rewards = torch.empty(0)
        self._log_probs = torch.empty(0)
        clips = {"clip_low": self.epsilon_low, "clip_high": self.epsilon_high}
        self._improvements = StepImprovements(num_tasks, **clips)
        self.add_callback(_AfterOptimizerStep(self))

    def get_train_dataloader(self) -> DataLoader:
        """TRL's, which draws from a generator of its own, or a resumed run would be a draw ahead of the whole one."""
        loader = super().get_train_dataloader()
        loader.base_dataloader.generator = torch.Generator().manual_seed(self.args.seed)
        return loader

    def _get_train_sampler(self, dataset: Dataset | None = None) -> Sampler:
        # The loader reads a batch ahead, before the weights have moved. So what it reads only counts steps; the
        # rows are drawn by `suite`, by the newest weights, when they are generated for.
        self._rows = self.train_dataset if dataset is None else dataset
        return super()._get_train_sampler(dataset)

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if self._task_column not in self._signature_columns:
            self._signature_columns.append(self._task_column)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        z = self.task_weights.probabilities
        self._generated = []
        self.batch = sample_batch(
            self.suite,
            self,  # pyright: ignore[reportArgumentType]  # nobody acts: `_roll_out` has TRL generate
            self.sampler,
            z,
            group_size=self.num_generations,
            group_filter=self.group_filter,
            roll_out=self._roll_out,
        )
        groups = filled(self.batch, self._generated, self.sampler.batch_size, self.group_filter)
        self._add_metrics(step_metrics(self.suite.names, self.batch, z, self.group_filter))
        return tensors_of(groups, self.batch.weights.tolist(), pad_token_id=self._tokenizer.pad_token_id)

    def _roll_out(
        self,
        suite: TaskSuite,
        policy: Any,
        problems: Sequence[Problem],
        group_size: int,
        *,
        deterministic: bool = False,
    ) -> list[Group]:
        """See `RollOut`; never more at once than TRL would generate."""
        groups: list[Group] = []
        for start in range(0, len(problems), self.sampler.batch_size):
            part = problems[start : start + self.sampler.batch_size]
            inputs = [dict(self._rows[problem.seed]) for problem in part for _ in range(group_size)]
            output = super()._generate_and_score_completions(inputs)
            groups += groups_of(part, output, self._rewards, self.reward_weights, self.is_correct)
        self._generated += groups
        return groups

    def _calculate_rewards(self, *arguments: Any, **options: Any) -> torch.Tensor:
        self._rewards = super()._calculate_rewards(*arguments, **options)  # (R, F)
        return self._rewards

    def _get_per_token_logps_and_entropies(self, *arguments: Any, **options: Any) -> Any:
        values = super()._get_per_token_logps_and_entropies(*arguments, **options)
        self._log_probs = values[0].detach()
        return values

    def _compute_loss(self, model: Any, inputs: Mapping[str, Any]) -> torch.Tensor:
        if "loss_weights" not in inputs:  # an evaluation
            return super()._compute_loss(model, inputs)
        weighted = {**inputs, "advantages": inputs["advantages"] * inputs["loss_weights"]}
        loss = super()._compute_loss(model, weighted)
        if self.task_weights.uses_improvements:
            self._improvements.pass_made(inputs, self._log_probs)
        return loss

    def after_optimizer_step(self) -> None:
        """Measure what the step improved, if the weights look at it; move them when the batch is used up."""
        if self.task_weights.uses_improvements:
            self._improvements.step_taken(self._log_probs_of)
        if self._step % (self.args.steps_per_generation * self.num_iterations) == 0:
            self._move_weights()

    def _move_weights(self) -> None:
        assert self.batch is not None, "a step is taken on a batch"
        improvements = self._improvements.take(self.batch)
        rewards = self.reward_estimate.observe(self.batch)
        self.task_weights.update(TaskStats(rewards, improvements, self.batch.mean_abs_advantages))
        if self.task_weights.uses_improvements:
            self._add_metrics({f"improvement/{n}": i for n, i in zip(self.suite.names, improvements, strict=True)})

    def _log_probs_of(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """(R, T) of the model as it is now."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        return self._get_per_token_logps_and_entropies(self.model, ids, mask, inputs["completion_ids"].shape[1])[0]

    def _add_metrics(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._metrics["train"][name].append(float(value))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # First: a checkpoint that TRL has finished must have our state.
        folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_file(folder / STATE_FILE) as file:
            file.write_text(json.dumps(self._state_dict(), indent=1))
        super()._save_checkpoint(model, trial)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._load_state(Path(checkpoint) / STATE_FILE)

    def _state_dict(self) -> dict[str, Any]:
        parts = [self.sampler, self.task_weights, self.reward_estimate]
        return {
            "parts": {
                "types": [type(part).__name__ for part in parts],
                "batch_size": self.sampler.batch_size,
                "group_size": self.num_generations,
            },
            "suite": self.suite.state_dict(),
            "sampler": self.sampler.state_dict(),
            "task_weights": self.task_weights.state_dict(),
            "reward_estimate": self.reward_estimate.state_dict(),
        }

    def _load_state(self, file: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            FileNotFoundError: if another trainer saved it.
            ValueError: naming what differs between the checkpoint and this trainer.
        """
        if not file.is_file():
            raise FileNotFoundError(f"expected a checkpoint of MTGRPOTrainer, but {file.parent} has no {file.name}")
        state, own = json.loads(file.read_text()), self._state_dict()
        if state["parts"] != own["parts"]:
            raise ValueError(f"the checkpoint is of {state['parts']}, this trainer is of {own['parts']}")
        self.suite.load_state_dict(state["suite"])
        self.sampler.load_state_dict(state["sampler"])
        self.task_weights.load_state_dict(state["task_weights"])
        self.reward_estimate.load_state_dict(state["reward_estimate"])

    def _check_parts(self, batch_size: int) -> None:
        for name, part in (("sampler", self.sampler), ("task_weights", self.task_weights)):
            if part.num_tasks != self.suite.num_tasks:
                tasks = f"{self.suite.num_tasks} tasks, {list(self.suite.names)}"
                raise ValueError(f"the data has {tasks}, the {name} expects {part.num_tasks}")
        if self.sampler.batch_size != batch_size:
            sizes = f"{self.args.generation_batch_size} / {self.num_generations}"
            raise ValueError(
                f"expected a sampler of batches of generation_batch_size / num_generations = {sizes} = {batch_size} "
                f"groups, got one of {self.sampler.batch_size}"
            )


class _AfterOptimizerStep(TrainerCallback):
    """Tells the trainer, before anything is logged or saved."""

    def __init__(self, trainer: MTGRPOTrainer) -> None:
        self._trainer = trainer

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer.after_optimizer_step()
