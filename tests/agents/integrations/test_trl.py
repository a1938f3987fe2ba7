"""TRL's trainer with task weights, really trained on rows of three tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl.trainer.grpo_trainer import GRPOTrainer
from trl_runs import (
    GROUP_SIZE,
    NUM_GROUPS,
    TASKS,
    assert_equal_curricula,
    config,
    have_equal_models,
    history_of,
    make_model,
    make_trainer,
    minibatches_of,
    reward,
    reward_of,
    rows,
    texts,
)

from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer, first_reward_at_least
from mtgrpo_env.agents.llm.tiny import tiny_tokenizer
from mtgrpo_env.agents.neural.losses import clipped_surrogate
from mtgrpo_env.filters import success_differs
from mtgrpo_env.quota_sampler import QuotaSampler
from mtgrpo_env.samplers import DynamicSampler, MultinomialSampler, RatioPreservingSampler
from mtgrpo_env.task_weights import ImprovementAwareWeights, UniformWeights
from mtgrpo_env.types import FloatArray

TWO_TASKS = ("even", "rare")


class UnequalWeights(UniformWeights):
    """For ever one to three."""

    @property
    def probabilities(self) -> FloatArray:
        return np.array([0.25, 0.75])


def test_rare_groups_are_generated_until_the_batch_holds_tasks_in_the_ratio_of_the_weights(tmp_path: Path) -> None:
    trainer = make_trainer(
        tmp_path,
        data=rows(TWO_TASKS),
        settings={"max_steps": 4},
        sampler=RatioPreservingSampler(2, NUM_GROUPS),
        task_weights=UnequalWeights(2),
    )
    trainer.train()
    for step in history_of(trainer):
        assert step["filter_rate/rare"] > step["filter_rate/even"] + 0.2
        assert step["kept_groups"] == NUM_GROUPS
        assert step["prompt_share/rare"] == step["target_share/rare"]


def test_quotas_weigh_what_is_lacking(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, data=rows(TWO_TASKS), task_weights=UnequalWeights(2))
    trainer.train()
    lacking = [step for step in history_of(trainer) if step["kept_groups"] < NUM_GROUPS]
    of_both = [step["prompt_share/rare"] for step in lacking if step["prompt_share/rare"]]
    assert of_both
    assert of_both == pytest.approx([0.75] * len(of_both), abs=0.2)


def test_without_refilling_the_rare_task_has_next_to_no_share(tmp_path: Path) -> None:
    sampler = MultinomialSampler(2, NUM_GROUPS)
    trainer = make_trainer(tmp_path, data=rows(TWO_TASKS), sampler=sampler, task_weights=UnequalWeights(2))
    trainer.train()
    assert np.mean([step["advantage_share/rare"] for step in history_of(trainer)]) < 0.6


@pytest.mark.parametrize("group_filter", [None, success_differs])
def test_every_minibatch_knows_the_tasks_of_its_rows(tmp_path: Path, group_filter: Any) -> None:
    options = {} if group_filter is None else {"group_filter": group_filter}
    settings = {"max_steps": 2, "per_device_train_batch_size": 8, "steps_per_generation": 4}
    trainer = make_trainer(tmp_path, settings=settings, **options)
    trainer.train()
    parts = minibatches_of(trainer)
    assert len(parts) == 4
    groups: dict[str, list[tuple[float, float]]] = {}
    for part in parts:
        prompts = texts(part["prompt_ids"], part["prompt_mask"])
        completions = texts(part["completion_ids"], part["completion_mask"])
        names = [TASKS[k] for k in part["task_ids"]]
        assert [text.split()[0] for text in prompts] == names
        for text, name, completion, advantage in zip(prompts, names, completions, part["advantages"], strict=True):
            groups.setdefault(text, []).append((reward_of(name, completion), float(advantage)))
    assert any(len({reward for reward, _ in group}) > 1 for group in groups.values())
    for group in groups.values():
        rewards, advantages = torch.tensor(group).T
        assert torch.allclose(advantages, (rewards - rewards.mean()) / (rewards.std() + 1e-4), atol=1e-5)


def test_what_kept_groups_lack_is_filled_with_groups_of_no_weight(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, settings={"max_steps": 1})
    trainer.train()
    (batch,) = minibatches_of(trainer)
    (step,) = history_of(trainer)
    assert len(batch["loss_weights"]) == NUM_GROUPS * GROUP_SIZE
    assert step["kept_groups"] < NUM_GROUPS
    assert int((batch["loss_weights"] > 0).sum()) == step["kept_groups"] * GROUP_SIZE
    assert not batch["advantages"][batch["loss_weights"] == 0].any()
    assert not (batch["loss_weights"][batch["task_ids"] == TASKS.index("hopeless")]).any()
    assert trainer.batch is not None
    by_groups, by_tokens = (np.zeros(len(TASKS)) for _ in range(2))
    np.add.at(by_groups, batch["task_ids"], batch["loss_weights"])
    np.add.at(by_tokens, batch["task_ids"], batch["loss_weights"] * batch["completion_mask"].sum(1))
    for word, amounts in (("prompt_share", by_groups), ("token_share", by_tokens)):
        assert [step[f"{word}/{name}"] for name in TASKS] == pytest.approx(amounts / amounts.sum())


def test_replayed_groups_bring_the_log_probabilities_that_they_were_drawn_with(tmp_path: Path) -> None:
    models: list[dict[str, torch.Tensor]] = []

    class Copies(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            models.append({name: tensor.clone() for name, tensor in model.state_dict().items()})

    trainer = make_trainer(tmp_path, settings={"max_steps": 4}, callbacks=[Copies()])
    trainer.train()
    (batch,) = minibatches_of(trainer)
    assert trainer.batch is not None
    assert trainer.batch.replayed
    known = torch.stack([_log_probs(model, batch) for model in models])  # (steps, R, T)
    errors = ((known - batch["old_per_token_logps"]) * batch["completion_mask"]).abs().amax(dim=2)
    assert float(errors.amin(dim=0).max()) < 1e-4
    drawn_at = errors.argmin(dim=0)
    assert int((drawn_at < len(models) - 1).sum()) == trainer.batch.replayed * GROUP_SIZE
    assert history_of(trainer)[-1]["replayed"] == trainer.batch.replayed


def test_without_a_replay_buffer_no_log_probabilities_are_computed_that_trl_leaves_out(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, settings={"max_steps": 1}, sampler=QuotaSampler(3, NUM_GROUPS))
    trainer.train()
    (batch,) = minibatches_of(trainer)
    assert trainer.replay is None
    assert "old_per_token_logps" not in batch


class _SameDraws(TrainerCallback):
    """Both sides begin each step with the same generator: TRL's loader draws from it and ours does not."""

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        torch.manual_seed(100 + state.global_step)


@pytest.mark.parametrize("settings", [{}, {"num_iterations": 2}, {"loss_type": "grpo", "beta": 0.0}])
def test_uniform_weights_and_multinomial_batches_are_trls_own_grpo_to_the_bit(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    drawn: list[str] = []

    def watched(prompts: list[str], **columns: Any) -> list[float]:
        drawn.extend(prompts[::GROUP_SIZE])
        return reward(prompts, **columns)

    sides = [MTGRPOTrainer, GRPOTrainer]
    options = [{"sampler": MultinomialSampler(3, NUM_GROUPS), "task_weights": UniformWeights(3)}, {}]
    data, trainers = rows(), list[GRPOTrainer]()
    for side, option in zip(sides, options, strict=True):
        args = config(tmp_path, **settings, shuffle_dataset=side is MTGRPOTrainer)
        trainer = side(
            make_model(), watched, args, data, processing_class=tiny_tokenizer(), callbacks=[_SameDraws()], **option
        )
        trainer.train()
        trainers.append(trainer)
        data = Dataset.from_list([{"prompt": text, "task": text.split()[0]} for text in drawn])
    ours, theirs = map(history_of, trainers)
    assert any(step["loss"] for step in theirs)
    assert [{name: step[name] for name in of_trl} for step, of_trl in zip(ours, theirs, strict=True)] == theirs
    assert have_equal_models(*trainers)


PARTS = {
    "default": lambda: {},
    "paper": lambda: {
        "sampler": RatioPreservingSampler(3, NUM_GROUPS, max_resamples=1),
        "task_weights": ImprovementAwareWeights(3),
    },
    "dapo": lambda: {"sampler": DynamicSampler(3, NUM_GROUPS), "task_weights": UniformWeights(3)},
}


@pytest.mark.parametrize(("parts", "at"), [("default", 2), ("default", 3), ("paper", 3), ("dapo", 5)])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path: Path, parts: str, at: int) -> None:
    """An epoch has three steps: runs are cut within one and at its end, and go on into the next."""
    saving = {"max_steps": 7, "save_strategy": "steps", "save_steps": at}
    data = rows(of_each=9)
    whole = make_trainer(tmp_path, data=data, settings=saving, **PARTS[parts]())
    whole.train()
    resumed = make_trainer(tmp_path, data=data, settings=saving, **PARTS[parts]())
    resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{at}"))
    assert history_of(resumed) == history_of(whole)
    assert_equal_curricula(resumed, whole)
    assert have_equal_models(resumed, whole)
    if parts == "default":
        assert any(step["replayed"] for step in history_of(whole)[at:])


def test_improvements_are_what_the_step_gained_on_each_task(tmp_path: Path) -> None:
    told: list[FloatArray] = []

    class Told(ImprovementAwareWeights):
        def update(self, stats: Any) -> None:
            told.append(stats.improvements)
            super().update(stats)

    settings = {"max_steps": 1, "per_device_train_batch_size": 8, "gradient_accumulation_steps": 4}
    trainer = make_trainer(tmp_path, settings=settings, task_weights=Told(3))
    trainer.train()
    expected = np.zeros(3)
    assert trainer.model is not None
    for part in minibatches_of(trainer):
        after, before = (_log_probs(model.state_dict(), part) for model in (trainer.model, make_model()))
        values = clipped_surrogate(torch.exp(after - before), part["advantages"], clip_low=0.2, clip_high=0.2)
        means = (values * part["completion_mask"]).sum(1) / part["completion_mask"].sum(1) - part["advantages"]
        np.add.at(expected, part["task_ids"].numpy(), (means * (part["loss_weights"] > 0)).detach().numpy())
    assert trainer.batch is not None
    expected /= np.maximum(trainer.batch.kept * GROUP_SIZE, 1)
    assert expected.any()
    assert told[0] == pytest.approx(expected, abs=1e-5)
    assert history_of(trainer)[0]["improvement/even"] == pytest.approx(expected[0], abs=1e-5)


@torch.no_grad()
def _log_probs(parameters: Any, part: dict[str, torch.Tensor]) -> torch.Tensor:
    """(R, T) by the plain model: TRL's trainer has put another head on its own."""
    plain = make_model()
    plain.load_state_dict(parameters)
    ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
    mask = torch.cat([part["prompt_mask"], part["completion_mask"]], dim=1)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    logits = plain(ids, attention_mask=mask, position_ids=positions).logits[
        :, -part["completion_ids"].shape[1] - 1 : -1
    ]
    return logits.log_softmax(-1).gather(-1, part["completion_ids"][..., None]).squeeze(-1)


def test_improvements_are_not_measured_for_weights_that_do_not_look_at_them(tmp_path: Path) -> None:
    trainer = make_trainer(tmp_path, settings={"max_steps": 1})
    trainer._improvements.step_taken = None  # pyright: ignore[reportAttributeAccessIssue]  # calling it is an error
    trainer.train()
    assert "improvement/even" not in history_of(trainer)[0]


def test_weights_move_once_for_each_generation_batch(tmp_path: Path) -> None:
    settings = {"max_steps": 6, "per_device_train_batch_size": 16, "steps_per_generation": 2}
    trainer = make_trainer(tmp_path, settings=settings)
    trainer.train()
    weights = [step["task_weight/hopeless"] for step in history_of(trainer) if "task_weight/hopeless" in step]
    assert len(weights) == 3
    assert len(set(weights)) == 3


def test_an_evaluation_is_trls_own_and_leaves_the_plan_alone(tmp_path: Path) -> None:
    settings = {"per_device_eval_batch_size": 8}
    trainer = make_trainer(tmp_path, settings=settings, eval_dataset=rows(of_each=4))
    before = trainer.curriculum.state_dict()
    metrics = trainer.evaluate()
    assert "eval_reward" in metrics
    assert trainer.curriculum.state_dict() == before


def test_only_columns_that_are_asked_for_are_read_and_the_task_is_among_them(tmp_path: Path) -> None:
    settings = {"max_steps": 1, "remove_unused_columns": True}
    data = rows().add_column("junk", ["x"] * 60)  # pyright: ignore[reportCallIssue]
    make_trainer(tmp_path, data=data, settings=settings).train()


def test_what_counts_as_correct_is_the_first_reward_unless_told_otherwise(tmp_path: Path) -> None:
    assert first_reward_at_least(0.9)([float(np.float32(0.9)), 0.0])
    assert not first_reward_at_least(1.0)([0.99, 1.0])
    trainer = make_trainer(tmp_path, settings={"max_steps": 1}, is_correct=lambda rewards: True)
    trainer.train()
    assert history_of(trainer)[0]["train_accuracy/worst_task"] == 1.0


def test_completions_that_no_reward_function_judges_are_left_out(tmp_path: Path) -> None:
    def silent(completions: list[str], **columns: Any) -> list[float | None]:
        return [None if i % GROUP_SIZE == 0 else float(i % 2) for i in range(len(completions))]

    trainer = MTGRPOTrainer(
        make_model(), silent, config(tmp_path, max_steps=1), rows(), processing_class=tiny_tokenizer()
    )
    trainer.train()
    assert trainer.batch is not None
    assert trainer.batch.accuracies == pytest.approx([2 / 3] * 3)
    assert all(group.valid.tolist() == [False, True, True, True] for group in trainer.batch.groups)


def test_an_infinite_reward_ends_a_run_by_the_name_of_its_function(tmp_path: Path) -> None:
    def boundless(completions: list[str], **columns: Any) -> list[float]:
        return [float("inf")] * len(completions)

    settings = config(tmp_path, max_steps=1)
    trainer = MTGRPOTrainer(make_model(), boundless, settings, rows(), processing_class=tiny_tokenizer())
    with pytest.raises(ValueError, match="got inf from the reward function 'boundless'"):
        trainer.train()


def test_groups_that_trl_masks_as_truncated_are_not_informative_and_train_nothing(tmp_path: Path) -> None:
    ends = (tiny_tokenizer().eos_token_id, tiny_tokenizer().pad_token_id)  # TRL takes padding at the end for one, too
    never = {"suppress_tokens": list(ends)}  # every completion is cut off
    settings = {"mask_truncated_completions": True, "generation_kwargs": never}
    trainer = make_trainer(tmp_path, data=rows(TWO_TASKS), settings=settings)
    trainer.train()
    for step in history_of(trainer):
        assert step["completions/clipped_ratio"] == step["truncated_share"] == 1
        assert step["generated_groups"] > 0
        assert step["informative_groups"] == step["kept_groups"] == step["grad_norm"] == 0
