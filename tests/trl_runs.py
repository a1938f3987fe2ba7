"""Small runs of TRL's trainer with task weights: a tiny model, and rows of three tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.integrations.trl.rounds import rows_of
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer

GROUP_SIZE, NUM_GROUPS = 4, 8
TASKS = ("even", "hopeless", "rare")


def reward(prompts: Sequence[str], completions: Sequence[str], task: Sequence[str], **columns: Any) -> list[float]:
    """Each task has a rule of its own, and each prompt says of which task it is."""
    assert [prompt.split()[0] for prompt in prompts] == list(task)
    return [reward_of(*pair) for pair in zip(task, completions, strict=True)]


def reward_of(task: str, completion: str) -> float:
    """Half of all completions to "even" are right, a few to "rare", none to "hopeless"."""
    is_even = sum(map(ord, completion)) % 2 == 0
    return float({"even": is_even, "rare": is_even and "a" in completion.lower(), "hopeless": False}[task])


def rows(tasks: Sequence[str] = TASKS, *, of_each: int = 20) -> Dataset:
    return Dataset.from_list([{"prompt": f"{t} {i} ", "task": t} for i in range(of_each) for t in tasks])


def make_model() -> PreTrainedModel:
    """Freshly drawn it would answer everything alike; large matrices make every token depend on what it sees."""
    config = TinyModelConfig(hidden_size=16, num_layers=2, num_heads=2, context=64)
    model = tiny_model(tiny_tokenizer(), config, seed=0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(16)
    return model


def config(folder: Path, **settings: Any) -> GRPOConfig:
    """Batches of eight groups of four, each in one optimiser step; settings of TRL's replace those here."""
    ours = {
        "max_steps": 3,
        "per_device_train_batch_size": NUM_GROUPS * GROUP_SIZE,
        "num_generations": GROUP_SIZE,
        "max_completion_length": 6,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "logging_steps": 1,
        "save_strategy": "no",
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "activation_checkpointing": False,
    }
    return GRPOConfig(output_dir=str(folder), **{**ours, **settings})


def make_trainer(
    folder: Path, *, data: Any = None, settings: Mapping[str, Any] | None = None, **options: Any
) -> MTGRPOTrainer:
    """A trainer on an equal model each time; `settings` are of TRL's config, `options` of the trainer."""
    return MTGRPOTrainer(
        make_model(),
        reward,
        config(folder, **(settings or {})),
        rows() if data is None else data,
        **{"processing_class": tiny_tokenizer(), **options},
    )


def tokenizer_with_template() -> Any:
    """Each message on a line, after the first letter of its role."""
    tokenizer = tiny_tokenizer()
    line = "{{ message['role'][0] }}:{{ message['content'] }}\n"
    opened = "{% if add_generation_prompt %}a:{% endif %}"
    tokenizer.chat_template = "{% for message in messages %}" + line + "{% endfor %}" + opened
    return tokenizer


def history_of(trainer: GRPOTrainer) -> list[dict[str, Any]]:
    """What was logged of each step, without what a clock decides."""
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [{name: value for name, value in entry.items() if name not in ("step_time", "epoch")} for entry in steps]


def minibatches_of(trainer: MTGRPOTrainer) -> list[dict[str, torch.Tensor]]:
    """Of the last generation batch, as TRL has shuffled and split it."""
    assert trainer._buffered_inputs is not None
    return trainer._buffered_inputs


def texts(ids: torch.Tensor, mask: torch.Tensor) -> list[str]:
    """(R, T) tokens as text, without the padding."""
    tokenizer = tiny_tokenizer()
    rows_of_ids = (row[kept > 0].tolist() for row, kept in zip(ids, mask, strict=True))
    return [str(tokenizer.decode(row, skip_special_tokens=True)) for row in rows_of_ids]


def have_equal_models(one: GRPOTrainer, other: GRPOTrainer) -> bool:
    """Whether all parameters are equal to the last bit."""
    assert one.model is not None
    assert other.model is not None
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


def assert_equal_curricula(one: MTGRPOTrainer, other: MTGRPOTrainer) -> None:
    """Equal states, and equal groups in the replay buffers, to the last bit."""
    states = [{**trainer.curriculum.state_dict(), "replay": None} for trainer in (one, other)]
    assert states[0] == states[1]
    np.testing.assert_equal(_replayed(one), _replayed(other))


def _replayed(trainer: MTGRPOTrainer) -> list[Any]:
    held = () if trainer.replay is None else trainer.replay.state_dict()["held"]
    return [(one.offers, one.uses, one.group.problem, rows_of([one.group])) for one in held]
