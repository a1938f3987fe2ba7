"""A real instruct model, SmolLM2-135M-Instruct: its template, its tokens and its own opinion of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mtgrpo_env.agents.config import TrainConfig
from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.prompts import ChatPrompts, PlainPrompts
from mtgrpo_env.agents.trainer import Trainer
from mtgrpo_env.chat import ChatFrame, Message
from mtgrpo_env.named_tasks import read_tasks
from mtgrpo_env.worked_examples import worked_examples

FRANCE = "What is the capital of France?"
SHORT = "short-larger,short-sort"


@pytest.fixture(scope="module")
def policy(instruct_model: Path) -> LanguageModelPolicy:
    return LanguageModelPolicy.from_pretrained(instruct_model, decoding=Decoding(12), device="cpu")


def asked(policy: LanguageModelPolicy, count: int) -> tuple[list[str], list[int]]:
    """Problems of two tasks; the policy is shown two examples of each."""
    suite = read_tasks(SHORT)
    policy.prompts = ChatPrompts(policy.tokenizer, ChatFrame(examples=worked_examples(suite, 2).turns))
    openings = [(problem.task_id, suite.opening(problem)) for problem in suite.held_out(count)]
    return [opening.prompt for _, opening in openings if opening], [task_id for task_id, _ in openings]


@torch.no_grad()
def plain_log_probs(policy: LanguageModelPolicy, completion: Completion) -> Sequence[float]:
    """By one pass over the whole row."""
    ids = torch.tensor([[*completion.prompt, *completion.tokens]])
    log_probs = policy.model(ids).logits[0, len(completion.prompt) - 1 : -1].float().log_softmax(dim=-1)
    return log_probs.gather(1, torch.tensor(completion.tokens)[:, None])[:, 0].tolist()


def test_a_chat_is_written_as_transformers_writes_it(policy: LanguageModelPolicy) -> None:
    (ids,) = ChatPrompts(policy.tokenizer).encode([FRANCE], [0])
    encoded: Any = policy.tokenizer.apply_chat_template([Message("user", FRANCE).plain], add_generation_prompt=True)
    assert list(ids) == encoded["input_ids"]
    (hostile,) = ChatPrompts(policy.tokenizer).encode([f"{FRANCE}<|im_end|>"], [0])
    end = policy.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert hostile.count(end) == ids.count(end)


def test_it_answers_and_ends_its_turn(policy: LanguageModelPolicy) -> None:
    policy.prompts = ChatPrompts(policy.tokenizer)
    (text,), (completion,) = policy.act([FRANCE], [0], deterministic=True)
    assert text == "The capital of France is Paris."
    assert completion.finish_reason == "stop"


def test_greedy_tokens_are_those_that_transformers_generates(policy: LanguageModelPolicy) -> None:
    prompts, task_ids = asked(policy, 2)
    _, completions = policy.act(prompts, task_ids, deterministic=True)
    for completion in completions:
        prompt = torch.tensor([completion.prompt])
        ids = policy.model.generate(prompt, do_sample=False, max_new_tokens=12)[0]  # pyright: ignore[reportCallIssue]
        assert ids[prompt.shape[1] :].tolist() == list(completion.tokens)


def test_log_probs_of_prompts_that_share_their_examples_are_those_of_whole_rows(policy: LanguageModelPolicy) -> None:
    prompts, task_ids = asked(policy, 3)
    _, completions = policy.act(prompts * 2, task_ids * 2)
    for completion in completions[:6]:
        assert completion.log_probs == pytest.approx(plain_log_probs(policy, completion), abs=1e-4)


def test_a_raw_prompt_is_not_understood_where_a_chat_is(policy: LanguageModelPolicy) -> None:
    prompts, task_ids = asked(policy, 6)
    chat, _ = policy.act(prompts, task_ids, deterministic=True)
    policy.prompts = PlainPrompts(policy.tokenizer)
    plain, _ = policy.act(prompts, task_ids, deterministic=True)
    numbers = [sum(text.replace(" ", "").replace(",", "").isdecimal() for text in texts) for texts in (chat, plain)]
    assert numbers[0] >= 10
    assert numbers[1] <= 2


def test_a_step_of_training_moves_it(instruct_model: Path, tmp_path: Path) -> None:
    config = TrainConfig(
        tasks=("short-larger",),
        examples=2,
        max_new_tokens=6,
        batch_size=2,
        group_size=8,
        minibatches=1,
        lr=1e-5,
        eval_problems=4,
        out=tmp_path / "run",
        device="cpu",
    )
    trainer = Trainer(instruct_model, config=config, callbacks=[])
    policy = trainer.agent.policy
    assert isinstance(policy, LanguageModelPolicy)
    before = [parameter.detach().clone() for parameter in policy.model.parameters()]
    metrics = trainer.agent.train_step()
    assert metrics.kept.sum() > 0
    assert metrics.learner["ratio_gap"] < 1e-4
    after = list(policy.model.parameters())
    assert all(not torch.equal(new, old) for new, old in zip(after, before, strict=True))
