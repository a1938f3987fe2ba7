"""Which settings of TRL's trainer go with task weights; the others are refused before anything is generated."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from mtgrpo_env.plans import BatchSampler


def config_of(trainer: GRPOTrainer) -> GRPOConfig:
    """How TRL is set up, once its trainer has filled in what was left open."""
    assert isinstance(trainer.args, GRPOConfig)
    return trainer.args


def steps_per_generation(trainer: GRPOTrainer) -> int:
    """Micro-batches of a generation batch."""
    steps = config_of(trainer).steps_per_generation
    assert steps is not None
    return steps


def check_settings(trainer: GRPOTrainer) -> None:
    """Make sure that batches can be put together from rounds.

    Raises:
        ValueError: naming the setting, what it should be and what it is.
    """
    args = config_of(trainer)
    if args.world_size > 1:
        raise ValueError(f"expected one process, got {args.world_size}: plans are not shared between processes here")
    if not args.temperature > 0:  # groups of one rollout TRL refuses by itself
        raise ValueError(f"expected temperature to be above 0, got {args.temperature}: all rollouts would be the same")
    if not isinstance(trainer.train_dataset, Dataset):
        given = type(trainer.train_dataset).__name__
        raise ValueError(f"expected a datasets.Dataset, from which rows of any task can be drawn, got {given}")
    if args.scale_rewards not in ("group", "none"):
        expected = "expected scale_rewards to be 'group' or 'none'"
        raise ValueError(f"{expected}, got {args.scale_rewards!r}: a round is no batch to scale by")
    if args.multi_objective_aggregation != "sum_then_normalize":
        expected = "expected multi_objective_aggregation to be 'sum_then_normalize'"
        raise ValueError(f"{expected}, got {args.multi_objective_aggregation!r}: a round is no batch to normalize by")
    if steps_per_generation(trainer) % args.gradient_accumulation_steps:
        raise ValueError(
            f"expected steps_per_generation to be a multiple of gradient_accumulation_steps, "
            f"{args.gradient_accumulation_steps}, got {args.steps_per_generation}: weights move between optimiser steps"
        )
    if args.pad_to_multiple_of is not None:
        raise ValueError(f"expected pad_to_multiple_of to be None, got {args.pad_to_multiple_of}")
    num_groups = batch_size_of(trainer)
    if len(trainer.train_dataset) < num_groups:
        raise ValueError(f"expected a row for each of the {num_groups} groups, got {len(trainer.train_dataset)} rows")
    images = {"image", "images"}.intersection(trainer.train_dataset.column_names)
    if images:
        raise ValueError(f"expected rows of text, got the columns {sorted(images)}")


def check_prompts(dataset: Dataset, tokenizer: PreTrainedTokenizerBase) -> None:
    """Make sure that prompts which are chats can be written for the model.

    Raises:
        ValueError: if the tokenizer has no chat template, or a chat ends with an answer that is to be gone on with.
    """
    prompts = dataset["prompt"]
    if not len(prompts) or isinstance(prompts[0], str):
        return
    if not tokenizer.chat_template:
        name = tokenizer.name_or_path or type(tokenizer).__name__
        raise ValueError(f"expected a tokenizer with a chat template, as the prompts are chat messages, got {name!r}")
    for i, messages in enumerate(prompts):
        if messages[-1]["role"] == "assistant":
            raise ValueError(
                f"expected prompts that end with what a user says, got a begun answer in row {i}: TRL opens another"
            )


def task_of_each_row(dataset: Dataset, column: str) -> list[str]:
    """The column that names the tasks.

    Raises:
        ValueError: if there is none, or a row has no name in it.
    """
    if column not in dataset.column_names:
        raise ValueError(f"expected a column {column!r} that names the task of each row, got {dataset.column_names}")
    names = list(dataset[column])
    for i, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(f"expected the name of a task in column {column!r}, got {name!r} in row {i}")
    return names


def batch_size_of(trainer: GRPOTrainer, sampler: BatchSampler[Any] | None = None) -> int:
    """B, in groups, as TRL is set up.

    Raises:
        ValueError: if the sampler that is given draws batches of another size.
    """
    args = config_of(trainer)
    assert args.generation_batch_size is not None
    assert args.num_generations is not None
    batch_size = args.generation_batch_size // args.num_generations
    if sampler is not None and sampler.batch_size != batch_size:
        sizes = f"{args.generation_batch_size} / {args.num_generations} = {batch_size}"
        raise ValueError(
            f"expected a sampler of batches of generation_batch_size / num_generations = {sizes} groups, "
            f"got one of {sampler.batch_size}"
        )
    return batch_size
