"""A Hugging Face causal language model as a policy."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.utils.hub import cached_file

from mtgrpo_env.agents.llm.adapters import base_of, with_adapters
from mtgrpo_env.agents.llm.architectures import check_architecture, context_of
from mtgrpo_env.agents.llm.data import Completion, fold
from mtgrpo_env.agents.llm.devices import AUTO, device_of
from mtgrpo_env.agents.llm.engines import Decoding, Parameters, RolloutEngine
from mtgrpo_env.agents.llm.model_folder import ModelFolder, WholeModel, whole_model_of
from mtgrpo_env.agents.llm.prompts import PromptFormat, TokenIds, prompt_format
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.stopping import check_end_ids, check_open, check_stop, end_ids_of, response_text, text_of
from mtgrpo_env.agents.llm.weights import ModelParameters
from mtgrpo_env.agents.ranks import OneRank, Ranks
from mtgrpo_env.manifest import read_object
from mtgrpo_env.prompt_options import PromptOptions
from mtgrpo_env.rollout import in_order
from mtgrpo_env.stateful import Stateful

_RNG_FILE = "policy_rng.json"
_CONFIGS = ("config.json", "adapter_config.json")


class LanguageModelPolicy(Stateful):
    """Answers prompts by sampling from a model.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer; padding falls back on the first end token that the model has.
        decoding: how tokens are drawn.
        evaluation_decoding: how they are drawn once it is `reseeded`; by default the same.
        prompts: how observations are written; by default in the tokenizer's chat template, where it has one.
        engine: generates; by default transformers, in this process, with `model` itself.
        parameters: the model's; by default those in `model`, which an engine that trains may have taken apart.
        stored: how the model stands in a checkpoint; by default whole.
        ranks: the processes that train the model together.
        seed: of the policy's own generator.

    Raises:
        ValueError: if the model is of a type that cannot be run, or neither its configs nor the tokenizer name an end
            token.
    """

    hyperparameter_names = ("decoding", "prompts")

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        decoding: Decoding,
        evaluation_decoding: Decoding | None = None,
        prompts: PromptFormat | None = None,
        engine: RolloutEngine | None = None,
        parameters: Parameters | None = None,
        stored: ModelFolder | None = None,
        ranks: Ranks | None = None,
        seed: int = 0,
    ) -> None:
        check_architecture(model.config)
        self.end_ids = end_ids_of(model, tokenizer)
        num_tokens = model.get_input_embeddings().num_embeddings
        check_end_ids(self.end_ids, num_tokens)
        self.model = model
        self.tokenizer = tokenizer
        self.decoding = decoding
        self.evaluation_decoding = evaluation_decoding or decoding
        self.prompts = prompts or prompt_format(PromptOptions(), tokenizer)
        self.context = context_of(model.config)
        pads = (token for token in (tokenizer.pad_token_id, *self.end_ids) if isinstance(token, int))
        self.pad_id = next(token for token in pads if 0 <= token < num_tokens)
        self.engine = engine or TransformersEngine(
            model, pad_id=self.pad_id, end_ids=self.end_ids, decode=partial(text_of, tokenizer)
        )
        self.parameters = parameters or ModelParameters(model)
        self.stored = stored or WholeModel(model, self.parameters, tokenizer)
        self.ranks = ranks or OneRank()
        self.rng = np.random.default_rng(seed)

    @classmethod
    def from_pretrained(cls, source: str | Path, *, decoding: Decoding, device: str = AUTO, seed: int = 0) -> Self:
        """Load model and tokenizer from a folder or the Hugging Face hub.

        Raises:
            FileNotFoundError: if `source` looks like a folder and is none.
            ValueError: if there is no such device, or the model is of a type that cannot be run.
        """
        found = device_of(device)  # before anything is loaded
        check_architecture(load_config(source))
        model = load_model(source)
        torch.nn.Module.to(model, found)
        return cls(model, load_tokenizer(source), decoding=decoding, seed=seed)

    def act(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> tuple[list[str], list[Completion]]:
        """Responses, and the `Completion` behind each; equal prompts are computed once.

        A response is cut to the room that its prompt leaves in the model's context; one that leaves none, or has no
        token, is answered with nothing.

        Raises:
            ValueError: if an observation cannot be written as a prompt, or a prompt is closed by an end token.
        """
        return in_order(self.stream(observations, task_ids, deterministic=deterministic))

    def stream(
        self, observations: Sequence[Any], task_ids: Sequence[int], *, deterministic: bool = False
    ) -> Iterator[tuple[int, str, Completion]]:
        """What `act` returns, as it is generated: the place of an observation, the response, its `Completion`.

        What is drawn for a prompt depends on the generator's state and the prompt, not on the other prompts.
        """
        decoding = replace(self.decoding, temperature=0.0) if deterministic else self.decoding
        check_stop(decoding.stop, self.tokenizer)
        prompts, key = self.prompts.encode(observations, task_ids), self.rng.bytes(8)
        for prompt in prompts:
            self.check(prompt)
        rooms = np.array([self.room(prompt) for prompt in prompts])
        for room in sorted(set(rooms.tolist()), reverse=True):
            places = np.flatnonzero(rooms == room).tolist()
            if room == 0:
                yield from ((place, "", Completion(prompts[place], (), (), "length")) for place in places)
                continue
            within = replace(decoding, max_new_tokens=room, stop=self._stop)
            for row, completion in self._generate([prompts[place] for place in places], within, key):
                yield places[row], self._text(completion), completion

    def publish(self) -> None:
        """Let the engine generate with the parameters as they are now."""
        self.engine.load_weights(self.parameters.weights())

    def generating(self) -> AbstractContextManager[object]:
        return self.engine.generating()

    def room(self, prompt: Sequence[int]) -> int:
        """Tokens that the response to a prompt may have."""
        limit = self.decoding.max_new_tokens
        return max(0, min(limit, self.context - len(prompt))) if prompt else 0

    def check(self, prompt: Sequence[int]) -> None:
        """Refuse what is no prompt for this model.

        Raises:
            ValueError: if it is closed by an end token, or has tokens that the model does not know.
        """
        check_open(prompt, self.end_ids, self.tokenizer)
        self._check_known(prompt)

    def reseeded(self, seed: int) -> Self:
        """See `TrainablePolicy.reseeded`; it draws as evaluations do."""
        other = copy.copy(self)
        other.rng, other.decoding = np.random.default_rng(seed), self.evaluation_decoding
        return other

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer, and the generator beside them."""
        is_writer = self.ranks.rank == 0
        self.stored.save(folder, is_writer=is_writer)
        if is_writer:
            (folder / _RNG_FILE).write_text(json.dumps(self.rng.bit_generator.state), encoding="utf-8")

    def load(self, folder: Path) -> None:
        self.stored.load(folder)
        self.rng.bit_generator.state = read_object(folder / _RNG_FILE)

    def _generate(
        self, prompts: Sequence[TokenIds], decoding: Decoding, key: bytes
    ) -> Iterator[tuple[int, Completion]]:
        """A completion of each prompt, by its place among them."""
        distinct, index = fold(prompts)
        counts = np.bincount(index, minlength=len(distinct)).tolist()
        places = np.argsort(np.asarray(index), kind="stable").tolist()  # row j answers prompt places[j]
        for row, completion in self.engine.generate(distinct, counts, decoding, [_seed(key, p) for p in distinct]):
            yield places[row], completion

    def _check_known(self, prompt: Sequence[int]) -> None:
        size = self.model.get_input_embeddings().num_embeddings
        if prompt and max(prompt) >= size:
            raise ValueError(
                f"the tokenizer writes the token id {max(prompt)}, the model has embeddings of {size} tokens: are they "
                "of one checkpoint?"
            )

    @property
    def _stop(self) -> tuple[str, ...]:
        return (*self.decoding.stop, *self.prompts.stop)

    def _text(self, completion: Completion) -> str:
        """The response: how it was begun, and what was generated."""
        generated = response_text(self.tokenizer, completion, self.end_ids, self._stop)
        return f"{self.prompts.frame.prefill}{generated}"


def load_model(source: str | Path, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """A causal language model from a folder or the Hugging Face hub; adapters are merged into theirs.

    Raises:
        FileNotFoundError: if `source` looks like a folder and is none.
        OSError: naming `source`, if it cannot be loaded, or lacks weights of its model.
    """
    if (base := base_of(checked_source(source))) is None:
        return _loaded(whole_model_of, source, dtype=dtype)
    return with_adapters(load_model(base, dtype=dtype), source)


def model_without_weights(source: str | Path) -> PreTrainedModel:
    """The shape of a model whose weights another engine holds; raises as `load_model` does."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(load_config(source))
    model.generation_config = load_generation_config(source) or model.generation_config
    return model


def load_tokenizer(source: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; raises as `load_model` does.

    Raises:
        ValueError: if it makes nothing of a text, as one without its files does.
    """
    tokenizer = _loaded(AutoTokenizer.from_pretrained, source)
    if not tokenizer.encode("0", add_special_tokens=False):
        raise ValueError(f"the tokenizer of {str(source)!r} knows no tokens: are its files in the model's folder?")
    return tokenizer


def load_config(source: str | Path) -> PretrainedConfig:
    """The config of a model, or of that which adapters belong to; raises as `load_model` does."""
    base = base_of(checked_source(source))
    return _loaded(AutoConfig.from_pretrained, source) if base is None else load_config(base)


def load_generation_config(source: str | Path) -> GenerationConfig | None:
    """How a model generates; None where it does not say, since its config then has the end tokens."""
    with suppress(OSError):
        return GenerationConfig.from_pretrained(source)
    return None


def checked_source(source: str | Path) -> str | Path:
    """A folder of a model, or a hub id.

    Raises:
        FileNotFoundError: if it is neither.
    """
    parts = Path(source).parts
    is_written_as_path = len(parts) != 2 or str(source).startswith((".", "/", "~"))
    looks_like_folder = is_written_as_path or Path(parts[0]).is_dir()
    if looks_like_folder and not Path(source).is_dir():
        raise FileNotFoundError(f"expected a model folder or a hub id like 'owner/name', got {str(source)!r}")
    if Path(source).is_dir() and not any((Path(source) / name).is_file() for name in _CONFIGS):
        raise FileNotFoundError(f"expected a model folder, with a {_CONFIGS[0]} in it, got {str(source)!r}")
    return source


def is_there(source: str | Path) -> bool:
    """Whether a model can be found, by its config."""
    try:
        load_config(source)
    except OSError:
        return False
    return True


def model_folder(source: str | Path) -> Path:
    """Where the files of a model lie that was loaded, from a folder or the Hugging Face hub."""
    return Path(source) if Path(source).is_dir() else Path(str(cached_file(str(source), "config.json"))).parent


def _loaded(load: Callable[..., Any], source: str | Path, **options: Any) -> Any:
    source = checked_source(source)
    try:
        return load(source, **options)
    except (OSError, ValueError) as error:  # transformers' run over several lines, and may not name it
        raise OSError(f"cannot load {str(source)!r}: {str(error).strip().partition(chr(10))[0]}") from error


def _seed(key: bytes, prompt: tuple[int, ...]) -> int:
    """63 bits of a hash: a prompt's own seed in this call."""
    digest = blake2b(np.asarray(prompt, dtype=np.int64).tobytes(), key=key, digest_size=8).digest()
    return int.from_bytes(digest) >> 1
