"""What test_train_deepspeed.py runs in processes of its own: `deepspeed_worker.py JOB FOLDER`, under any launcher.

A job is a function below; every rank writes what it found to FOLDER/JOB-RANK.json, where the tests look at it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import distributed
from transformers import PreTrainedModel, Qwen2Config, Qwen2ForCausalLM

from mtgrpo_env.agents.llm.adapters import adapter_weights
from mtgrpo_env.agents.llm.engines import Decoding
from mtgrpo_env.agents.llm.lora import merged_weights, with_lora
from mtgrpo_env.agents.llm.prefix import (
    checkpoint_activations,
    completion_log_probs,
    full_sequence_log_probs,
)
from mtgrpo_env.agents.llm.rollout_transformers import TransformersEngine
from mtgrpo_env.agents.llm.train_deepspeed import DeepSpeedTrainEngine, partitioned_loading
from mtgrpo_env.agents.llm.zero.config import Precision, Stage, ZeroConfig
from mtgrpo_env.agents.llm.zero.process_group import join_process_group
from mtgrpo_env.agents.neural.train_torch import TorchTrainEngine

STEPS = ((0, 1, 2, 3), (4, 5), (6, 7, 8, 9, 10, 11))
"""Micro-batches of each step; rank r of W takes every W-th of them from the r-th."""

LEARNING_RATES: dict[tuple[int, ...], float] = dict(zip(STEPS, (1e-2, 7e-3, 9e-3), strict=True))
SETTINGS: dict[str, Any] = {"lr": 1.0, "betas": (0.8, 0.95), "weight_decay": 0.1, "max_grad_norm": 1.0}
ADAMW = {name: SETTINGS[name] for name in ("lr", "betas", "weight_decay")}
STAGES: tuple[Stage, ...] = (0, 2, 3)
LogProbs = Callable[..., torch.Tensor]
Parameters = dict[str, torch.Tensor]


def make_model() -> PreTrainedModel:
    """A model with tied embeddings, and parameters that two ranks cannot share evenly."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(
            Qwen2Config(
                vocab_size=31,
                hidden_size=17,
                intermediate_size=23,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=1,
                head_dim=8,  # pyright: ignore[reportCallIssue] - configurations take what they do not declare
                max_position_embeddings=32,
                tie_word_embeddings=True,
            )
        )
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.data.mul_(8)
    return model.eval()


def loss_of(model: Any, seed: int, log_probs: LogProbs = completion_log_probs) -> torch.Tensor:
    """A policy gradient on random completions, whose lengths differ from seed to seed."""
    generator = torch.Generator().manual_seed(seed)
    length = 3 + seed % 3
    prompts, tokens = (torch.randint(31, (n, t), generator=generator) for n, t in ((2, 5), (4, length)))
    packed = SimpleNamespace(
        prompts=prompts,
        prompt_mask=torch.ones_like(prompts),
        prompt_index=torch.tensor([0, 0, 1, 1]),
        tokens=tokens,
        mask=torch.ones(tokens.shape),
        lengths=torch.full((4,), length),
    )
    advantages = torch.randn(4, 1, generator=generator)
    return -(advantages * log_probs(model, packed, 1.0)).mean()


def reference(make: Callable[[], Any] = make_model, steps: Sequence[Sequence[int]] = STEPS) -> tuple[Any, list[float]]:
    """Plain torch, one process: the trained model, and the norms of the gradients before clipping."""
    model, norms = make(), []
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    adamw = torch.optim.AdamW(trained, **ADAMW)
    for step in steps:
        for seed in step:
            loss_of(model, seed).backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(trained, SETTINGS["max_grad_norm"])))
        adamw.param_groups[0]["lr"] = LEARNING_RATES[tuple(step)]
        adamw.step()
        adamw.zero_grad()
    return model, norms


def mixed_reference() -> tuple[Parameters, list[float]]:
    """The same for a bf16 model: gradients are summed and steps taken in fp32."""
    model = make_model().bfloat16()
    masters = [parameter.detach().float() for parameter in model.parameters()]
    adamw = torch.optim.AdamW(masters, **ADAMW)
    norms = []
    for step in STEPS:
        for seed in step:
            gradients = torch.autograd.grad(loss_of(model, seed), list(model.parameters()))
            for master, gradient in zip(masters, gradients, strict=True):
                master.grad = gradient.float() + (0 if master.grad is None else master.grad)
        norms.append(float(torch.nn.utils.clip_grad_norm_(masters, SETTINGS["max_grad_norm"])))
        adamw.param_groups[0]["lr"] = LEARNING_RATES[tuple(step)]
        adamw.step()
        adamw.zero_grad()
        for parameter, master in zip(model.parameters(), masters, strict=True):
            parameter.data.copy_(master)
    return parameters_of(model), norms


def make_engine(stage: Stage, precision: Precision = "fp32", model: Any = None, **options: Any) -> DeepSpeedTrainEngine:
    config = ZeroConfig(stage, precision, **options.pop("offload", {}), bucket_elements=1000)
    return DeepSpeedTrainEngine(model or make_model(), config, **SETTINGS, **options)


def take(
    engine: DeepSpeedTrainEngine, steps: Sequence[Sequence[int]], log_probs: LogProbs = completion_log_probs
) -> list[float]:
    """Steps on this rank's share of the micro-batches; the norms of the gradients."""
    norms = []
    for step in steps:
        own = step[distributed.get_rank() :: distributed.get_world_size()]
        for i, seed in enumerate(own):
            engine.backward(loss_of(engine.model, seed, log_probs), is_last=i == len(own) - 1)
        engine.lr = LEARNING_RATES[tuple(step)]
        norms.append(engine.step())
        with torch.no_grad():  # as a learner does that measures what it gained
            loss_of(engine.model, 99, log_probs)
    return norms


def whole(engine: DeepSpeedTrainEngine) -> Parameters:
    return {name: weight.clone() for name, weight in engine.weights()}


def difference(one: Parameters, other: Parameters) -> float:
    """The largest between parameters of the same names."""
    assert one.keys() == other.keys(), (one.keys(), other.keys())
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def mean_difference(one: Parameters, other: Parameters) -> float:
    """The mean over all numbers."""
    return float(torch.cat([(one[name].float() - other[name].float()).abs().flatten() for name in one]).mean())


def parameters_of(model: torch.nn.Module) -> Parameters:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def refusal(engine: DeepSpeedTrainEngine) -> dict[str, Any]:
    """What becomes of a step on a gradient that one rank has spoilt."""
    before = whole(engine)
    spoilt = distributed.get_rank() == distributed.get_world_size() - 1
    for i, factor in enumerate((1.0, float("nan") if spoilt else 1.0)):
        engine.backward(factor * loss_of(engine.model, i), is_last=i == 1)
    try:
        engine.step()
    except FloatingPointError as error:
        return {"error": str(error), "changed": difference(before, whole(engine))}
    return {}


def train(folder: Path) -> dict[str, Any]:
    """Every stage against plain torch; a refused step in between, and the state of two steps saved for `restore`."""
    expected, norms = reference()
    found: dict[str, Any] = {"expected_norms": norms}
    for stage in STAGES:
        engine = make_engine(stage)
        first = take(engine, STEPS[:1])
        refused = refusal(engine)
        first += take(engine, STEPS[1:2])
        saved = folder / f"stage-{stage}"
        saved.mkdir(exist_ok=True)
        engine.save(saved)
        last = take(engine, STEPS[2:])
        found[str(stage)] = {
            "norms": first + last,
            "refused": refused,
            "difference": difference(whole(engine), parameters_of(expected)),
            "training": engine.model.training,
            "resumed_difference": difference(whole(resumed(stage, saved)), whole(engine)),
        }
    torch.save(parameters_of(expected), folder / "expected.pt")
    return found


def resumed(stage: Stage, saved: Path) -> DeepSpeedTrainEngine:
    """A fresh engine that loads, and takes the third step."""
    engine = make_engine(stage)
    engine.load(saved)
    take(engine, STEPS[2:])
    return engine


def variants(folder: Path) -> dict[str, Any]:
    """Other precisions, memories and models, each against plain torch."""
    expected, _ = reference()
    expected_bf16, norms = mixed_reference()
    start = parameters_of(make_model())
    found: dict[str, Any] = {"size": distributed.get_world_size(), "expected_norms": norms}
    for stage in STAGES:
        engine = make_engine(stage, "bf16")
        found[f"bf16-{stage}"] = {
            "norms": take(engine, STEPS),
            "mean_difference": mean_difference(whole(engine), expected_bf16),
            "mean_change": mean_difference(start, expected_bf16),
            "dtypes": sorted({str(weight.dtype) for weight in whole(engine).values()}),
            "refused": refusal(engine),
        }
    for stage in (2, 3):
        engine = make_engine(stage, offload={"offload_optimizer": True, "offload_parameters": stage == 3})
        take(engine, STEPS)
        found[f"offload-{stage}"] = difference(whole(engine), parameters_of(expected))
        model = make_model()
        checkpoint_activations(model)
        engine = make_engine(stage, model=model)
        take(engine, STEPS, full_sequence_log_probs)
        found[f"checkpointing-{stage}"] = difference(whole(engine), parameters_of(expected))
    return found


def models(folder: Path) -> dict[str, Any]:
    """Loading in shares, generating with the whole, weights given and taken, adapters; all at stage 3."""
    rank = distributed.get_rank()
    source = folder / "model"
    if rank == 0:
        make_model().save_pretrained(source)
    distributed.barrier()
    with partitioned_loading(ZeroConfig(3, "fp32")):
        model = Qwen2ForCausalLM.from_pretrained(source)
    parameters: list[Any] = list(model.parameters())
    loaded = [(parameter.numel(), parameter.ds_tensor.numel()) for parameter in parameters]
    engine = make_engine(3, model=model)
    expected, _ = reference()
    found = {
        "loaded_whole": sum(numel for numel, _ in loaded),
        "loaded_shares": sum(numel for _, numel in loaded),
        "loaded_difference": difference(whole(engine), parameters_of(make_model())),
        "saved_names": sorted(make_model().state_dict().keys() - {"lm_head.weight"}),
        "names": [name for name, _ in engine.weights()],
    }
    take(engine, STEPS[:1])
    with suppress(KeyError), engine.gathered():
        raise KeyError("a failure between tokens")
    rollouts = TransformersEngine(model, pad_id=0, end_ids=(), whole=engine.gathered)
    with rollouts.generating():
        found["generated"] = generate(rollouts, 3 + 5 * rank)
    trained_so_far, _ = reference(steps=STEPS[:1])
    found["expected_generated"] = generate(TransformersEngine(trained_so_far, pad_id=0, end_ids=()), 3 + 5 * rank)
    take(engine, STEPS[1:])
    found["difference_after_generating"] = difference(whole(engine), parameters_of(expected))
    engine.load_weights(parameters_of(make_model()).items())
    found["set_difference"] = difference(whole(engine), parameters_of(make_model()))
    take(engine, STEPS[:1])
    return found | adapters(source)


def adapters(source: Path) -> dict[str, Any]:
    """Trained at every stage, as plain torch trains them, whether or not the base was loaded in shares."""
    expected, _ = reference(make_adapted)
    merged = {weight.name: weight.compute().detach() for weight in merged_weights(expected)}
    own = {weight.name: weight.compute() for weight in adapter_weights(expected)}
    found: dict[str, Any] = {"adapters_moved": difference(merged, parameters_of(make_model()))}
    for stage in STAGES:
        with partitioned_loading(ZeroConfig(stage, "fp32")):
            model = Qwen2ForCausalLM.from_pretrained(source)
        engine = make_engine(stage, model=with_lora(model, rank=3), weights_of=merged_weights)
        take(engine, STEPS)
        found[f"adapters-{stage}"] = difference(whole(engine), merged)
        stored = engine.parameters_by(adapter_weights)
        saved = {name: weight.clone() for name, weight in stored.weights()}
        found[f"saved-adapters-{stage}"] = difference(saved, own)
        stored.load_weights((name, torch.zeros_like(weight)) for name, weight in saved.items())
        found[f"loaded-adapters-{stage}"] = difference(whole(engine), parameters_of(make_model()))
    return found


def make_adapted() -> Any:
    """By which the others are judged."""
    return with_lora(make_model(), rank=3)


def generate(engine: TransformersEngine, length: int) -> list[int]:
    """Tokens drawn after a prompt."""
    ((_, completion),) = engine.generate([(1, 2, 3, 4, 5)], [1], Decoding(length, temperature=4.0), [length])
    return list(completion.tokens)


def restore(folder: Path) -> dict[str, Any]:
    """States of two ranks of every stage go on in this process, at every stage and in plain torch."""
    expected = torch.load(folder / "expected.pt", weights_only=True)
    found: dict[str, Any] = {"size": distributed.get_world_size()}
    changes: tuple[tuple[Stage, Stage], ...] = ((0, 3), (2, 0), (3, 2), (3, 0))
    for saved, stage in changes:
        engine = resumed(stage, folder / f"stage-{saved}")
        found[f"{saved}-to-{stage}"] = difference(whole(engine), expected)
    model = make_model()
    torch_engine = TorchTrainEngine(model, **SETTINGS)
    torch_engine.load(folder / "stage-3")
    own = folder / "torch"
    own.mkdir(exist_ok=True)
    torch_engine.save(own)
    found["torch-to-2"] = difference(whole(resumed(2, own)), expected)
    for seed in STEPS[2]:
        loss_of(model, seed).backward()
    torch_engine.lr = LEARNING_RATES[STEPS[2]]
    torch_engine.step()
    found["3-to-torch"] = difference(parameters_of(model), expected)
    return found


JOBS = {job.__name__: job for job in (train, variants, models, restore)}


def main() -> None:
    # The deepspeed launcher puts an option of its own before ours.
    jobs, folder = (argument for argument in sys.argv[1:] if not argument.startswith("--"))
    torch.set_num_threads(1)
    join_process_group()
    for job in jobs.split(","):
        found = JOBS[job](Path(folder))
        (Path(folder) / f"{job}-{distributed.get_rank()}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
