"""`MTGRPOTrainer`: TRL's `GRPOTrainer` whose batches hold tasks in the ratio of weights that move.

A `Curriculum` decides which rows come, how many are generated and what is trained on, as it does for our own agent.
TRL generates, scores, computes log-probabilities and the loss, takes the steps, logs and saves.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch.utils.data import DataLoader, Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl.models.utils import disable_gradient_checkpointing
from trl.trainer.grpo_trainer import GRPOTrainer

from mtgrpo_env.agents.integrations.trl.improvements import StepImprovements
from mtgrpo_env.agents.integrations.trl.rounds import (
    CorrectFrom,
    check_rewards,
    filled,
    first_reward_at_least,
    groups_of,
    has_log_probs,
    rows_of,
    stacked,
    step_scalars,
    tensors_of,
    with_log_probs,
)
from mtgrpo_env.agents.integrations.trl.row_suite import RowSuite, content_of_rows
from mtgrpo_env.agents.integrations.trl.settings import (
    batch_size_of,
    check_prompts,
    check_settings,
    steps_per_generation,
    task_of_each_row,
)
from mtgrpo_env.curriculum import Curriculum
from mtgrpo_env.files import atomic_folder
from mtgrpo_env.filters import every_group, rewards_differ
from mtgrpo_env.manifest import FORMAT, read_object, verify_claimed, write_manifest
from mtgrpo_env.plans import BatchSampler
from mtgrpo_env.problem_lists import SOLVED_FLOOR
from mtgrpo_env.replay import ReplayBuffer
from mtgrpo_env.reward_estimates import RewardEstimate
from mtgrpo_env.stateful import refuse_other_hyperparameters
from mtgrpo_env.task_weights import TaskWeights
from mtgrpo_env.types import Batch, Group, GroupFilter, Problem

STATE_FOLDER = "mtgrpo"
"""In each of TRL's checkpoints."""

_TRAINER_FILE = "trainer.json"


class MTGRPOTrainer(GRPOTrainer):
    """Multi-Task GRPO in TRL's trainer.

    Args:
        *trl_arguments: as of `GRPOTrainer`.
        task_column: of the training data, names the task of each row. Tasks are numbered alphabetically.
        sampler: draws batches of `generation_batch_size / num_generations` groups; by default quotas within a budget,
            filled from a replay buffer.
        task_weights: decides the ratio of tasks; by default no task far below the average accuracy.
        reward_estimate: J; for task weights that are given, by default the latest mean reward of each task.
        replay: keeps informative groups for the batches after their own; none by default with a sampler that is given.
        group_filter: which groups are informative; by default those whose rewards differ.
        solved_floor: the least share of the epochs in which a solved row is drawn; 1 draws all alike.
        is_correct: decides from the reward functions' values of a completion whether it counts as correct; by default
            whether the first of them is 1.
        **trl_options: as of `GRPOTrainer`.

    Attributes:
        suite: the rows by task.
        curriculum: draws the batches from it.
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
        reward_estimate: RewardEstimate | None = None,
        replay: ReplayBuffer | None = None,
        group_filter: GroupFilter = rewards_differ,
        solved_floor: float = SOLVED_FLOOR,
        is_correct: CorrectFrom | None = None,
        **trl_options: Any,
    ) -> None:
        super().__init__(*trl_arguments, **trl_options)
        check_settings(self)
        self.args.ignore_data_skip = True  # a resumed run finds its place by our state
        self._task_column = task_column
        self._rows: Any = self.train_dataset
        check_prompts(self._rows, self._tokenizer)
        self.suite = RowSuite(
            task_of_each_row(self._rows, task_column),
            shuffle=bool(self.shuffle_dataset),
            seed=self.args.seed,
            solved_floor=solved_floor,
        )
        self.curriculum = Curriculum(
            self.suite,
            batch_size=batch_size_of(self, sampler),
            sampler=sampler,
            task_weights=task_weights,
            reward_estimate=reward_estimate,
            replay=replay,
            group_filter=group_filter,
            seed=self.args.seed,
        )
        self.is_correct = is_correct or first_reward_at_least(1.0)
        self.batch: Batch | None = None
        self._generated: list[Group] = []
        self._rewards = torch.empty(0)
        self._log_probs = torch.empty(0)
        clips = {"clip_low": self.epsilon_low, "clip_high": self.epsilon_high}
        self._improvements = StepImprovements(self.suite.num_tasks, **clips)
        self.add_callback(_AfterOptimizerStep(self))

    @property
    def sampler(self) -> BatchSampler[Any]:
        """As given, or the default; likewise the other parts of the curriculum."""
        return self.curriculum.sampler

    @property
    def task_weights(self) -> TaskWeights:
        return self.curriculum.task_weights

    @property
    def reward_estimate(self) -> RewardEstimate:
        return self.curriculum.reward_estimate

    @property
    def replay(self) -> ReplayBuffer | None:
        return self.curriculum.replay

    def get_train_dataloader(self) -> DataLoader:
        """TRL's, which draws from a generator of its own, or a resumed run would be a draw ahead of the whole one."""
        loader: Any = super().get_train_dataloader()
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
        assert self.model is not None
        if not self.model.training:
            return super()._generate_and_score_completions(inputs)
        self._generated = []
        self.batch = self.curriculum.draw(self._roll_out)
        groups = filled(self.batch, self._generated, self.curriculum.batch_size, self.curriculum.group_filter)
        return tensors_of(self._with_log_probs(groups), self.batch.loss_weights, **self._layout)

    def _roll_out(self, problems: Sequence[Problem]) -> list[Group]:
        """A group for each problem; never more at once than TRL would generate."""
        groups: list[Group] = []
        assert self.num_generations is not None
        for start in range(0, len(problems), self.curriculum.batch_size):
            part = problems[start : start + self.curriculum.batch_size]
            inputs = [dict(self._rows[problem.seed]) for problem in part for _ in range(self.num_generations)]
            output = super()._generate_and_score_completions(inputs)
            scored = (self._rewards, self.reward_weights, self.is_correct)
            round_groups = groups_of(part, output, *scored, end_ids=self._end_ids)
            groups += self._with_log_probs(round_groups, self.curriculum.group_filter)
        self._generated += groups
        return groups

    def _with_log_probs(self, groups: Sequence[Group], wanted: GroupFilter = every_group) -> Sequence[Group]:
        """The same groups, the wanted ones with the log-probabilities that they were drawn with.

        TRL leaves these out where a batch is used for one optimiser step. But the model has moved on since a group
        was drawn that is replayed, and all rows of a batch have the same columns.
        """
        lacking = [group for group in groups if wanted(group) and not has_log_probs(group)]
        if self.replay is None or not lacking:
            return groups
        inputs = stacked(rows_of(lacking), **self._layout)
        known = dict(zip(map(id, lacking), with_log_probs(lacking, self._log_probs_of(inputs)), strict=True))
        return [known.get(id(group), group) for group in groups]

    @property
    def _end_ids(self) -> list[Any]:
        """After which TRL takes a completion to be finished."""
        return [*self.eos_token_ids, self._tokenizer.pad_token_id]

    @property
    def _layout(self) -> dict[str, Any]:
        return {"pad_token_id": self._tokenizer.pad_token_id, "device": self.accelerator.device}

    def _calculate_rewards(self, *arguments: Any, **options: Any) -> torch.Tensor:
        self._rewards = super()._calculate_rewards(*arguments, **options)  # (R, F)
        check_rewards(self._rewards, self.reward_weights, self.reward_func_names)
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
        if self._step % (steps_per_generation(self) * self.num_iterations) == 0:
            self._move_weights()

    def _move_weights(self) -> None:
        assert self.batch is not None, "a step is taken on a batch"
        improvements = self._improvements.take(self.batch)
        self.curriculum.update(self.batch, improvements)
        measured = {"improvements": improvements} if self.task_weights.uses_improvements else {}
        self._add_metrics({**self.curriculum.metrics(), **step_scalars(self.suite.names, self.batch, measured)})

    @torch.no_grad()
    def _log_probs_of(self, inputs: Mapping[str, Any]) -> torch.Tensor:
        """(R, T) of the model as it is now, as many rows at a time as in a micro-batch."""
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
        model: Any = self.model
        options: Any = self.args.gradient_checkpointing_kwargs
        with disable_gradient_checkpointing(model, options):
            return self._get_per_token_logps_and_entropies(
                model,
                ids,
                mask,
                logits_to_keep=inputs["completion_ids"].shape[1],
                batch_size=self.args.per_device_train_batch_size,
            )[0]

    def _add_metrics(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._metrics["train"][name].append(float(value))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        # First: a checkpoint that TRL has finished must have our state.
        folder = Path(self._get_output_dir(trial=trial)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_folder(folder / STATE_FOLDER) as unfinished:
            self.curriculum.save(unfinished)
            saved = json.dumps({"format": FORMAT, "hyperparameters": self._hyperparameters})
            (unfinished / _TRAINER_FILE).write_text(saved, encoding="utf-8")
            write_manifest(unfinished)
        super()._save_checkpoint(model, trial)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._load_state(Path(checkpoint) / STATE_FOLDER)

    def _load_state(self, folder: Path) -> None:
        """Continue from a checkpoint.

        Raises:
            FileNotFoundError: if another trainer saved it.
            ValueError: naming the file that is damaged, or every hyper-parameter that differs between the checkpoint
                and this trainer.
        """
        file = folder / _TRAINER_FILE
        if not file.is_file():
            raise FileNotFoundError(f"expected a checkpoint of MTGRPOTrainer, but {folder.parent} has no {folder.name}")
        saved = read_object(file)
        verify_claimed(folder, is_claimed="format" in saved)
        was, own = saved["hyperparameters"], self._hyperparameters
        own = own if "format" in saved else {name: own[name] for name in was}  # the first format had fewer
        refuse_other_hyperparameters(f"{folder.parent} is a checkpoint", was, own)
        self.curriculum.load(folder)

    @property
    def _hyperparameters(self) -> dict[str, Any]:
        """Those without which the groups of a replay buffer fit in no batch, or are of other rows.

        The curriculum has its own.
        """
        return {"num_generations": self.num_generations, "rows": self._content}

    @cached_property
    def _content(self) -> str:
        """Of the rows, in their order."""
        return content_of_rows(self.train_dataset)


class _AfterOptimizerStep(TrainerCallback):
    """Tells the trainer, before anything is logged or saved."""

    def __init__(self, trainer: MTGRPOTrainer) -> None:
        self._trainer = trainer

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer.after_optimizer_step()
