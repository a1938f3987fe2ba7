"""Which extra of this package brings an optional package."""

from __future__ import annotations

_EXTRAS = {
    "accelerate": "deepspeed",
    "datasets": "trl",
    "deepspeed": "deepspeed",
    "matplotlib": "endpoints",
    "openai": "endpoints",
    "peft": "deepspeed",
    "pyarrow": "cli",
    "reasoning_gym": "reasoning-gym",
    "rich": "cli",
    "sympy": "math",
    "tensorboard": "train",
    "torch": "train",
    "transformers": "train",
    "trl": "trl",
    "tyro": "cli",
    "verifiers": "verifiers",
    "vllm": "gpu",
    "yaml": "cli",
}


def extra_of(package: str | None) -> str:
    """The smallest extra that brings a package, which may be named by one of its modules; "train" for any other.

    >>> extra_of("matplotlib.pyplot"), extra_of("torch")
    ('endpoints', 'train')
    """
    return _EXTRAS.get((package or "").partition(".")[0], "train")
