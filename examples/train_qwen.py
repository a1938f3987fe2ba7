"""The paper's two experiments with Qwen2.5-3B, on one GPU.

    python examples/train_qwen.py --dry-run                                 # prints the plan, builds no model
    python examples/train_qwen.py --experiment three --method mt-grpo-0.25  # 3 tasks, 32 prompts x 72 rollouts a step
    python examples/train_qwen.py --experiment nine --method mt-grpo-1.2     # 9 tasks, 256 prompts x 8 rollouts a step

The plan says how much memory it takes; with a shorter `--max-new-tokens` it fits 80 GB. The same command resumes a run.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from transformers import AutoConfig, Qwen2Config

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.context import longest_prompts
from mtgrpo_env.agents.llm.memory import ModelSize
from mtgrpo_env.agents.llm.plan import plan_for, print_plan
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.trainer import Trainer

QWEN = "Qwen/Qwen2.5-3B"
SIZES = {"vocab_size": 151_936, "hidden_size": 2048, "intermediate_size": 11_008, "num_hidden_layers": 36}
HEADS = {"num_attention_heads": 16, "num_key_value_heads": 2, "tie_word_embeddings": True}
PUBLISHED = Qwen2Config(**SIZES, **HEADS, max_position_embeddings=32_768)  # as its checkpoint says
ROWS = 64  # completions generated together: bounded by the memory of their keys and values
BOTH = TrainConfig(model=QWEN, out=Path("runs/qwen"), steps=720, lr=1e-6, max_new_tokens=4096, tokens_per_forward=4096)
BOTH = replace(BOTH, eval_problems=100, eval_every=20, checkpoint_every=20)
EXPERIMENTS = {  # the paper's λ: 0.2 and 0.25; 0.1, 0.3, 0.9 and 1.2. A larger one leans to the worst task.
    "three": replace(BOTH, tasks=("medium",), method="mt-grpo-0.2", batch_size=32, group_size=72),
    "nine": replace(BOTH, tasks=("nine",), method="mt-grpo-0.1", batch_size=256, group_size=8),
}


def main() -> None:
    """Plan or train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", choices=tuple(EXPERIMENTS), default="three")
    parser.add_argument("--dry-run", action="store_true", help="print the plan")
    for name in ("method", "model", "out", "device", "steps", "max-new-tokens", "eval-problems", "seed"):
        parser.add_argument(f"--{name}", type=type(getattr(BOTH, name.replace("-", "_"))), default=argparse.SUPPRESS)
    options = vars(parser.parse_args())
    is_planned = options.pop("dry_run")
    trainer = Trainer(config=replace(EXPERIMENTS[options.pop("experiment")], **options))
    if is_planned:  # without the model's own files, so prompts are counted in characters
        model = trainer.config.model or QWEN
        published = PUBLISHED if model == QWEN else AutoConfig.from_pretrained(model)
        lengths = longest_prompts(trainer.suite)
        plan = plan_for(trainer.config, trainer.suite, ModelSize.of(published), lengths, counted="characters")
        print_plan(replace(plan, setup=replace(plan.setup, rows_at_once=ROWS)), Console())
        return
    policy = trainer.agent.policy
    assert isinstance(policy, LanguageModelPolicy)  # every part can be exchanged, such as the engine that generates
    policy.engine = TransformersEngine(policy.model, pad_id=policy.pad_id, eos_id=policy.eos_id, rows_at_once=ROWS)
    trainer.train()


if __name__ == "__main__":
    main()
