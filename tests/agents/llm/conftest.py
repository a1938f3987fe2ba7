"""Real models, small enough to build for every test, and a text task on which chance is right half of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import pytest
import torch
from batches import drawn_batch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mtgrpo_env.agents.llm.data import Completion
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.policy import LanguageModelPolicy
from mtgrpo_env.agents.llm.tiny import TinyModelConfig, tiny_model, tiny_tokenizer
from mtgrpo_env.filters import every_group
from mtgrpo_env.samplers import MultinomialSampler
from mtgrpo_env.suite import Task, TaskSuite
from mtgrpo_env.text_env import CORRECT, NO_ANSWER, WRONG, TextEnv, Verdict
from mtgrpo_env.types import Batch

MakeModel = Callable[[], PreTrainedModel]
MakePolicy = Callable[..., LanguageModelPolicy]


class ParityEnv(TextEnv[str]):
    """Any response that begins with a character of the wanted parity is correct; the prompts' lengths differ."""

    def __init__(self, parity: int) -> None:
        super().__init__(level=parity)
        self.parity = parity

    def generate(self, rng: np.random.Generator) -> str:
        return "".join(map(str, rng.integers(10, size=int(rng.integers(1, 9)))))

    def prompt(self, puzzle: str) -> str:
        return f"{'eo'[self.parity]}{puzzle}:"

    def verify(self, puzzle: str, response: str) -> Verdict:
        if not response:
            return NO_ANSWER
        return CORRECT if ord(response[0]) % 2 == self.parity else WRONG

    def oracle(self, puzzle: str) -> str:
        return "01"[self.parity]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return tiny_tokenizer()


@pytest.fixture
def make_model(tokenizer: PreTrainedTokenizerBase) -> MakeModel:
    """Makes equal models, each with parameters of its own.

    Freshly drawn they would answer everything alike; large matrices make every token depend on what it sees.
    """

    def make() -> PreTrainedModel:
        model = tiny_model(tokenizer, TinyModelConfig(hidden_size=16, num_layers=2, num_heads=2, context=64), seed=0)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(16)
        return model.eval()

    return make


@pytest.fixture
def model(make_model: MakeModel) -> PreTrainedModel:
    return make_model()


@pytest.fixture
def make_policy(make_model: MakeModel, tokenizer: PreTrainedTokenizerBase) -> MakePolicy:
    """Makes equal policies of at most 6 new tokens; the arguments are the decoding's temperature and the seed."""

    def make(*, temperature: float = 1.0, seed: int = 0) -> LanguageModelPolicy:
        return LanguageModelPolicy(make_model(), tokenizer, decoding=Decoding(6, temperature), seed=seed)

    return make


@pytest.fixture
def policy(make_policy: MakePolicy) -> LanguageModelPolicy:
    return make_policy()


@pytest.fixture
def parity_suite() -> TaskSuite:
    return TaskSuite([Task.from_text(name, partial(ParityEnv, parity)) for parity, name in enumerate(["even", "odd"])])


@pytest.fixture
def sample(parity_suite: TaskSuite) -> Callable[[LanguageModelPolicy], Batch]:
    """Samples a batch of 6 groups of 4 rollouts with a policy; the next call gives the next batch."""
    sampler = MultinomialSampler(2, 6, seed=0)

    def draw(policy: LanguageModelPolicy) -> Batch:
        z = np.array([0.5, 0.5])
        return drawn_batch(parity_suite, policy, sampler, z, group_size=4, group_filter=every_group)

    return draw


@pytest.fixture
def plain_log_probs() -> Callable[[PreTrainedModel, Completion, float], torch.Tensor]:
    """One completion at a time, prompt and all, without padding, masks, cache or sharing; in float64."""

    def compute(model: PreTrainedModel, completion: Completion, temperature: float) -> torch.Tensor:
        whole = torch.tensor([[*completion.prompt, *completion.tokens]])
        logits = model(whole, use_cache=False).logits[0, len(completion.prompt) - 1 : -1].double()
        log_probs = torch.log_softmax(logits / temperature, dim=-1)
        return log_probs.gather(1, torch.tensor(completion.tokens)[:, None]).squeeze(1)

    return compute


@pytest.fixture
def random_completions() -> Callable[[Sequence[int], Sequence[int], Sequence[int]], list[Completion]]:
    """Completions of random tokens: prompts of the given lengths, which prompt each continues, how long each is."""

    def make(prompt_lengths: Sequence[int], which: Sequence[int], lengths: Sequence[int]) -> list[Completion]:
        rng = np.random.default_rng(0)
        prompts = [tuple(rng.integers(4, 90, size=length).tolist()) for length in prompt_lengths]
        return [
            Completion(prompts[i], tuple(rng.integers(4, 90, size=n).tolist()), tuple(rng.normal(size=n).tolist()))
            for i, n in zip(which, lengths, strict=True)
        ]

    return make
