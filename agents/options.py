"""The options of a training run, in the groups that the command line and the file of a run show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from mtgrpo_env.agents.recipes import DEFAULT_METHOD
from mtgrpo_env.problem_lists import SOLVED_FLOOR
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.ranges import COLDEST, Count, CountOrNone, NonNegative, Positive, PositiveShare, Range, Seed, Share
from mtgrpo_env.row_options import RowOptions
from mtgrpo_env.truncation import TruncatedRollouts

ALL_LINEAR = "all-linear"
"""peft's word for all linear layers but the output head."""
GroupSize = Annotated[int, Range(2)]  # one rollout is its own mean: no advantage, no gradient
Decay = Annotated[float, Range(0, 1, below=True)]
Cap = Annotated[float, Range(1)]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What is trained on, for how long, and what is kept of it."""

    out: Path = Path("runs/main")
    """Folder of the run: checkpoints, history, TensorBoard events, figure."""
    tasks: tuple[str, ...] | None = None
    """Tasks or suites by name (mini, easy, "countdown-easy,arc-hard"), "package.module:Class",
    "reasoning-gym:chain_sum", or files, folders and hub data sets of rows (sums.jsonl, hf:openai/gsm8k), of which those
    that are not marked train are held out. By default mini for the tiny model, whose notation no other knows, and easy
    for others."""
    steps: CountOrNone = 60
    """Training steps; 0 evaluates the starting model, once. A run may be resumed for more, unless its method divides
    them (the sequential ones), or its learning rate falls over them."""
    seed: Seed = 0
    """Of everything."""
    eval_problems: Count | None = None
    """Held-out problems of each task; by default 300 for the tiny model and 100 for others."""
    eval_every: Count = 10
    """Steps between evaluations."""
    checkpoint_every: Count = 10
    """Steps between checkpoints."""
    keep_checkpoints: Count = 2
    """Newest checkpoints kept; the one whose worst task was best is kept beside them."""
    keep_optimizer: Count | None = None
    """Newest checkpoints that keep the optimiser's state, most of a checkpoint, without which a run cannot be resumed
    from it; an older one that is kept, such as the best, is then a model to play. By default all keep it."""
    report_to: tuple[Literal["tensorboard", "wandb", "trackio", "mlflow", "none"], ...] = ("tensorboard",)
    """Trackers that show the run while it goes on; a resumed run is continued there. One that fails is left out, with
    a warning."""
    accept_changes: tuple[Literal["rows", "model", "tasks", "package"], ...] = ()
    """What may have changed since the checkpoint that a run resumes from, by content: rows; the starting model; tasks,
    with their versions and the code of your own; or package, a checkpoint of a version that could record none of
    these. By default such a run is refused, with what changed. Not kept in the run's options."""


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How tasks are weighted and batches composed."""

    method: str = DEFAULT_METHOD
    """A recipe by name, or "package.module:function" for one of your own."""
    tolerance: Share | None = None
    """How far a task's accuracy may be below the average before it is given more of the batch; 0.05 are five points.
    This and the next three: by default the method's own, and refused by a method that has no such option."""
    reward_coef: NonNegative | None = None
    """Weight of the reward against the improvement (lambda), in the paper's task weights."""
    weight_lr: Positive | None = None
    """Learning rate of the paper's task weights (beta)."""
    weight_optimizer: Literal["adam", "adamw", "gradient-descent"] | None = None
    """Of the logits of those; with gradient-descent lambda decides how far they go."""
    max_replayed: Share | None = None
    """Largest share of batch_size that may be groups generated for earlier batches, of a method with a replay buffer,
    also where a batch has fewer groups; by default a quarter. They are old data where fresh would be needed: of a real
    model whose batches were mostly replayed, the policy collapsed."""
    filter: Literal["success", "reward"] | None = None
    """Which groups are informative: success for those with right and wrong responses, reward for those whose rewards
    differ, so that graded rewards and the form of an answer teach too; by default the method's own."""
    share_by: Literal["prompts", "tokens", "advantages"] = "prompts"
    """What a task's share of the loss is counted by; tokens go with the loss token-mean."""


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """Sizes of a batch."""

    batch_size: Count = 32
    """Groups in a batch (B)."""
    group_size: GroupSize = 8
    """Rollouts of a problem (N); at least 2, since an advantage is relative to the other rollouts."""
    min_group_size: GroupSize | None = None
    """Rollouts of a problem of a task whose recent accuracy makes four fifths of such groups informative: what is not
    spent on them may go into a larger batch. Rare and nearly solved tasks keep group_size, which it is by default."""
    truncated: TruncatedRollouts = "keep"
    """What is made of responses that were cut off at max_new_tokens: keep trains on them like on others, mask learns
    nothing from them, penalty takes up to 1 from the reward as a response uses up the last fifth of its tokens."""
    solved_floor: PositiveShare = SOLVED_FLOOR
    """Rows whose rollouts are all correct are drawn less and less often, down to this share of the epochs; 1 draws all
    alike."""


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """The model that is trained."""

    model: str | None = None
    """Starting model, a folder or a hub id; by default a tiny one, built and warm-started once."""
    start: Literal["unequal", "rare"] = "unequal"
    """How the tiny model is warm-started: some tasks much better than others (unequal), or one next to never (rare)."""
    lora_rank: CountOrNone = 0
    """Rank of adapters that are trained instead of the model; 0 trains the model."""
    lora_alpha: Count | None = None
    """What adapters add is scaled by this over their rank; by default twice the rank."""
    lora_targets: tuple[str, ...] = (ALL_LINEAR,)
    """Layers that have adapters, by how their names end (q_proj v_proj); all-linear for all linear ones but the output
    head."""
    save_merged: bool = False
    """Beside its adapters a checkpoint has the whole model, in the folder merged, for what reads no adapters."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """That the model computes in. With engine torch parameters stay float32 and bfloat16 is autocast, on devices that
    have it; with DeepSpeed they are bfloat16, and steps are taken on a float32 copy."""
    activation_checkpointing: bool = False
    """Compute activations twice instead of keeping them; every row then has its own copy of the prompt."""
    device: str = "auto"
    """Where the model runs; auto is the accelerator that torch finds, else the CPU."""


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """The loss, and the engine that trains; no engine changes what is computed, but for rounding."""

    lr: Positive | None = None
    """Learning rate of the model, the highest of its schedule; by default 4e-4 for the tiny one and 1e-6 for others."""
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Of the learning rate after the warm-up, over the steps of the run, which may then not change when it is
    resumed."""
    lr_floor: Share = 0.2
    """Learning rate of the last step of a linear or cosine schedule, as a share of the highest. With a fifth the last
    steps still count; a fall to it made twice the rate usable in our comparisons."""
    warmup_steps: CountOrNone = 0
    """Training steps over which the learning rate rises first."""
    weight_decay: NonNegative = 0.0
    """Of AdamW, decoupled, on everything that is trained."""
    adam_beta1: Decay = 0.9
    """How much of its past AdamW's mean gradient keeps in a step."""
    adam_beta2: Decay = 0.999
    """The same of the mean squared gradient."""
    max_grad_norm: Positive = 1.0
    """Gradients of a larger norm are scaled down to this."""
    minibatches: Count = 4
    """Optimiser steps for each batch; by default fewer if it has fewer groups."""
    passes: Count = 1
    """Times that a batch is trained on, divided into other minibatches each time; max_step_kl ends them early."""
    loss: Literal["sequence-mean", "token-mean", "group-mean", "dr-grpo", "gspo"] = "sequence-mean"
    """How tokens are averaged, or whose objective it is."""
    kl_coef: NonNegative = 0.0
    """Weight of the divergence from the starting model (beta); above 0 that model is kept in memory too."""
    max_step_kl: Positive | None = None
    """Divergence, in nats a token, of the policy from the one that sampled, beyond which the rest of a batch's
    minibatches is skipped: a step too far is the last on its batch. By default none is."""
    importance: Literal["none", "token", "sequence"] = "none"
    """Truncated importance sampling for the mismatch of the engines that generate and train, by ratios of tokens or
    of sequences. Costs a pass over every batch."""
    importance_cap: Cap = 2.0
    """Largest weight of that."""
    engine: Literal["torch", "deepspeed"] = "torch"
    """Trains: torch in this process alone, or deepspeed in as many as torchrun or its own launcher started."""
    zero_stage: Literal[0, 2, 3] = 2
    """What DeepSpeed partitions among GPUs: 0 nothing, 2 gradients and optimizer state, 3 parameters as well."""
    offload: Literal["none", "optimizer", "all"] = "none"
    """What DeepSpeed keeps in the host's memory: nothing, the optimizer (ZeRO 2 and 3) or all (ZeRO 3)."""
    tokens_per_forward: Count = 16_384
    """Tokens in one training pass, padding included; lower it when memory runs out, no result changes."""


@dataclass(frozen=True, kw_only=True)
class GenerationOptions:
    """How responses are generated."""

    max_new_tokens: Count | None = None
    """Longest response, in tokens; by default 16 for the tiny model and 512 for others."""
    temperature: Annotated[float, COLDEST] = 1.0
    """Of sampling in training; above 0, or all rollouts of a problem would be the same."""
    stratified: bool = False
    """In training, draw the rollouts of a problem by codes that lie evenly in [0, 1) instead of independent numbers
    (arithmetic sampling): each is still a fair draw, and fewer groups are unanimous. They are not independent, which
    bends the gradient of small groups: needs a group_size of 4 or more, and rollouts transformers."""
    stop: tuple[str, ...] = ()
    """Strings that end a response, which is scored as it stands before them, such as "User:" for a base model; what
    was drawn of them is trained on. A line break is $'\\n' in most shells."""
    eval_temperature: NonNegative | None = None
    """Of sampling in evaluation; 0 takes the likeliest token. By default as in training."""
    eval_top_p: PositiveShare = 1.0
    """In evaluation, draw among the likeliest tokens that have this probability together."""
    eval_top_k: CountOrNone = 0
    """In evaluation, draw among this many of the likeliest tokens; 0 for all."""
    rollouts: str = "transformers"
    """Generates: transformers, with the model that is trained; vllm, in this process; or URLs of vLLM servers,
    separated by commas."""
    vllm_memory: PositiveShare = 0.3
    """Share of the GPU's memory for vLLM in this process, its weights and its cache."""
    vllm_sleep: Literal[0, 1] = 0
    """While training, vLLM in this process keeps its memory (0), or moves its weights to the host (1)."""


GROUPS: Mapping[str, type[Any]] = {
    "run": RunOptions,
    "rows": RowOptions,
    "method": MethodOptions,
    "sampling": SamplingOptions,
    "model": ModelOptions,
    "optimizer": OptimizerOptions,
    "prompts": PromptOptions,
    "generation": GenerationOptions,
}
"""Groups of options, as the command line and the file of a run show them."""
OPTION_NAMES = [field.name for group in GROUPS.values() for field in fields(group)]
"""In the order in which the file of a run holds them."""
