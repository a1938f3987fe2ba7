"""Do both sides compute the same? One batch of tokens through both losses, gradients compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedModel
from trl.trainer.grpo_trainer import GRPOTrainer  # pyright: ignore[reportMissingImports]

from mtgrpo_env.agents.llm.data import PackedGroups, pack
from mtgrpo_env.agents.llm.learner import LanguageModelLearner
from mtgrpo_env.agents.mtgrpo import MTGRPOAgent
from mtgrpo_env.types import Batch, Group, Rollout

_NOISE = 0.3  # standard deviation of what is added to the old log-probabilities, so that the clips bind


@dataclass(frozen=True, slots=True)
class Difference:
    """Of TRL's side from ours, on one batch."""

    our_loss: float
    their_loss: float
    gradient: float
    """Norm of the difference of the gradients, by the norm of ours."""

    def __str__(self) -> str:
        return (
            f"loss {self.our_loss:.7f} ours, {self.their_loss:.7f} TRL's; "
            f"gradients differ by {self.gradient:.1e} of their norm"
        )


class GradientOnly:
    """A train engine that leaves the gradient where it is and takes no step.

    Args:
        model: whose gradient it is.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.lr = 0.0

    def backward(self, loss: torch.Tensor, *, is_last: bool) -> None:
        loss.backward()

    def step(self) -> float:
        return float("nan")

    def weights(self) -> Iterator[tuple[str, torch.Tensor]]:
        return self.model.named_parameters()

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


def difference(agent: MTGRPOAgent, trainer: GRPOTrainer) -> Difference:
    """Give both the same parameters, tokens, old log-probabilities and advantages; `trainer` must have trained."""
    batch, learner = _off_policy(agent.curriculum.draw(agent.roll_out)), agent.learner
    assert isinstance(learner, LanguageModelLearner)
    ours, theirs = learner.policy.model, trainer.model
    assert isinstance(theirs, PreTrainedModel)
    theirs.load_state_dict(ours.state_dict())
    learner.engine = GradientOnly(ours)
    for model in (ours, theirs):
        model.zero_grad()
    our_loss = learner.update(batch)["loss"]
    packed = pack(batch.groups, batch.loss_weights, learner.policy.pad_id, learner.objective.advantages)
    their_loss = trainer.compute_loss(theirs, _their_inputs(packed))
    assert isinstance(their_loss, torch.Tensor)
    their_loss.backward()
    gradients = _gradient(ours), _gradient(theirs)
    error = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    return Difference(our_loss, their_loss.item(), error.item())


def _gradient(model: PreTrainedModel) -> torch.Tensor:
    """That of all parameters, end to end."""
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def _off_policy(batch: Batch) -> Batch:
    """The batch as if another policy had sampled it."""
    rng = np.random.default_rng(0)

    def disturbed(rollout: Rollout) -> Rollout:
        (step,) = rollout.steps
        noise = rng.normal(scale=_NOISE, size=len(step.extras.tokens))
        log_probs = tuple((np.array(step.extras.log_probs) + noise).tolist())
        return replace(rollout, steps=(replace(step, extras=replace(step.extras, log_probs=log_probs)),))

    groups = tuple(Group(g.problem, tuple(disturbed(r) for r in g.rollouts)) for g in batch.groups)
    return replace(batch, groups=groups)


def _their_inputs(packed: PackedGroups) -> dict[str, torch.Tensor]:
    """What `GRPOTrainer.compute_loss` is given after generation."""
    return {
        "prompt_ids": packed.prompts[packed.prompt_index],
        "prompt_mask": packed.prompt_mask[packed.prompt_index],
        "completion_ids": packed.tokens,
        "completion_mask": packed.mask.long(),
        "advantages": packed.advantages,
        "old_per_token_logps": packed.old_log_probs,
        "num_items_in_batch": packed.mask.sum(),
    }
