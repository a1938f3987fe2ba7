"""TRL's trainer with MT-GRPO's task weights and ratio-preserving batches, on three reasoning tasks.

    pip install '.[trl]'
    python examples/train_with_trl.py --steps 60 --model path/to/a/model

Without --model a tiny one is made here and shown a few solutions. `GRPOTrainer` would take the same arguments.
"""

import argparse
import tempfile

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.grpo_config import GRPOConfig

from mtgrpo_env import TaskSuite
from mtgrpo_env.agents.integrations.trl import MTGRPOTrainer
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, imitate, tiny_model, tiny_tokenizer
from mtgrpo_env.envs.demonstrators import Demonstrators
from mtgrpo_env.named_tasks import read_tasks

LESSON = 60  # optimiser steps; enough to write in the right form


def suite_rows(suite: TaskSuite, count: int) -> Dataset:
    """`count` problems of each task, with the task's name and what the verifier needs to make the problem again."""
    problems = [suite.next_problem(k) for k in range(suite.num_tasks) for _ in range(count)]
    prompts = [opening.prompt for opening in map(suite.opening, problems) if opening is not None]
    names, seeds = [suite.names[p.task_id] for p in problems], [str(p.seed) for p in problems]
    return Dataset.from_dict({"prompt": prompts, "task": names, "seed": seeds})


def main() -> None:
    """Train, and show what each batch held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--model")
    args = parser.parse_args()
    suite = read_tasks("mini")

    def reward(completions: list[str], task: list[str], seed: list[str], **columns: object) -> list[float]:
        rewards = []
        for completion, name, number in zip(completions, task, seed, strict=True):
            env = suite.envs(suite.names.index(name), 1)[0]
            env.reset(seed=int(number), options={"split": suite.split})
            rewards.append(float(env.step(completion)[1]))
        return rewards

    if args.model:
        tokenizer, model = AutoTokenizer.from_pretrained(args.model), AutoModelForCausalLM.from_pretrained(args.model)
    else:
        tokenizer = tiny_tokenizer()
        model = tiny_model(tokenizer, TinyModelConfig(), seed=0)
        authors = Demonstrators(suite, dict.fromkeys(suite.names, 1.0))
        imitate(model, tokenizer, authors, num_steps=LESSON, batch_size=48)
    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder,
            max_steps=args.steps,
            per_device_train_batch_size=64,  # eight groups of eight
            num_generations=8,
            max_completion_length=16,
            learning_rate=4e-4,
            use_cpu=not torch.cuda.is_available(),
            bf16=torch.cuda.is_available(),
            activation_checkpointing=False,
            logging_steps=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )
        trainer = MTGRPOTrainer(model, reward, settings, suite_rows(suite, 100), processing_class=tokenizer)
        trainer.train()
    for step in (entry for entry in trainer.state.log_history if "rounds" in entry):
        tasks = ", ".join(
            f"{name}: weight {step[f'task_weight/{name}']:.2f}, share {step[f'prompt_share/{name}']:.2f}"
            for name in trainer.suite.names
        )
        print(f"step {step['step']}: {step['generated_groups']:.0f} groups generated; {tasks}")


if __name__ == "__main__":
    main()
