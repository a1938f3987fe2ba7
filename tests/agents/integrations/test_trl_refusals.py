"""What TRL's trainer with task weights refuses: settings, checkpoints, versions."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from trl_runs import NUM_GROUPS, TASKS, make_trainer, rows, tokenizer_with_template

from mtgrpo_env.agents.integrations.trl import check_version
from mtgrpo_env.filters import success_differs
from mtgrpo_env.manifest import DamagedError
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.task_weights import DisparityWeights, UniformWeights


def chats(*more: dict[str, str]) -> Dataset:
    messages = [{"role": "user", "content": "Which?"}, *more]
    return Dataset.from_list([{"prompt": messages, "task": task} for task in TASKS * NUM_GROUPS])


@pytest.mark.parametrize(
    ("settings", "options", "message"),
    [
        ({"scale_rewards": "batch"}, {}, "expected scale_rewards to be 'group' or 'none', got 'batch'"),
        ({"multi_objective_aggregation": "normalize_then_sum"}, {}, "got 'normalize_then_sum'"),
        ({"gradient_accumulation_steps": 2, "steps_per_generation": 1}, {}, "multiple of gradient_acc.*, 2, got 1"),
        ({"temperature": 0.0}, {}, "expected temperature to be above 0, got 0.0"),
        ({"num_generations": 1}, {}, "at least 2 generations per prompt"),  # TRL's own
        ({"pad_to_multiple_of": 8}, {}, "expected pad_to_multiple_of to be None, got 8"),
        ({}, {"task_column": "kind"}, r"expected a column 'kind' .* got \['prompt', 'task'\]"),
        ({}, {"data": Dataset.from_list([{"prompt": "a", "task": None}] * 8)}, "got None in row 0"),
        ({}, {"data": rows().to_iterable_dataset()}, "expected a datasets.Dataset.* got IterableDataset"),
        ({}, {"data": rows(of_each=2)}, "expected a row for each of the 8 groups, got 6 rows"),
        ({}, {"data": chats()}, "expected a tokenizer with a chat template, as the prompts are chat messages, got"),
        (
            {},
            {"data": chats({"role": "assistant", "content": "It is"}), "processing_class": tokenizer_with_template()},
            "expected prompts that end with what a user says, got a begun answer in row 0",
        ),
        ({}, {"sampler": QuotaSampler(3, 4)}, r"32 / 4 = 8 groups, got one of 4"),
        ({}, {"sampler": QuotaSampler(2, NUM_GROUPS)}, r"3 tasks.*the sampler expects 2"),
        ({}, {"task_weights": UniformWeights(4)}, "the task_weights expects 4"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, settings: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, settings=settings, **options)


def test_a_checkpoint_of_another_trainer_or_of_other_hyperparameters_is_refused(tmp_path: Path) -> None:
    saving = {"max_steps": 1, "save_strategy": "steps", "save_steps": 1}
    make_trainer(tmp_path, settings=saving).train()
    checkpoint = tmp_path / "checkpoint-1"
    others: list[tuple[str, dict[str, Any]]] = [
        (r"task_weights\.type was 'DisparityWeights', is 'UniformWeights'", {"task_weights": UniformWeights(3)}),
        (r"task_weights\.tolerance was 0\.0, is 0\.1", {"task_weights": DisparityWeights(3, tolerance=0.1)}),
        (r"sampler\.max_generated was 2\.0, is 3\.0.*replay", {"sampler": QuotaSampler(3, NUM_GROUPS)}),
        (r"group_filter was 'rewards_differ', is 'success_differs'", {"group_filter": success_differs}),
        (r"num_generations was 4, is 2", {"settings": {"num_generations": 2, "per_device_train_batch_size": 16}}),
        (r"rows was '60 rows \(digest \w+\)', is '63 rows \(digest \w+\)'", {"data": rows(of_each=21)}),
        (r"rows was '60 rows \(digest \w+\)', is '60 rows", {"data": rows().map(reworded)}),
    ]
    for message, options in others:
        settings = {"max_steps": 2, **options.pop("settings", {})}
        with pytest.raises(ValueError, match=message):
            make_trainer(tmp_path, settings=settings, **options).train(resume_from_checkpoint=str(checkpoint))
    file = checkpoint / "mtgrpo" / "replay.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DamagedError, match=rf"{re.escape(str(file))}: expected \d+ bytes, found \d+"):
        make_trainer(tmp_path, settings={"max_steps": 2}).train(resume_from_checkpoint=str(checkpoint))
    shutil.rmtree(checkpoint / "mtgrpo")
    with pytest.raises(FileNotFoundError, match="checkpoint-1 has no mtgrpo"):
        make_trainer(tmp_path, settings={"max_steps": 2}).train(resume_from_checkpoint=str(checkpoint))


def reworded(row: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": f"{row['prompt']}?"}


@pytest.mark.parametrize("found", ["1.15.2", "1.17.0", "2.16.0"])
def test_other_versions_of_trl_are_named(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mtgrpo_env.agents.integrations.trl.version", lambda package: found)
    with pytest.raises(ImportError, match=rf"needs trl >=1\.16,<1\.17, found {found}"):
        check_version()


def test_where_trl_is_missing_the_command_that_installs_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr("mtgrpo_env.agents.integrations.trl.version", missing)
    with pytest.raises(ImportError, match=r"found none: pip install '\.\[trl\]' in the checkout"):
        check_version()
