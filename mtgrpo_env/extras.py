"""Optional packages: which extra brings each, and the one wording of what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

_EXTRAS = {
    "accelerate": "deepspeed",
    "datasets": "hub",
    "deepspeed": "deepspeed",
    "huggingface_hub": "hub",
    "inspect_ai": "inspect",
    "lm_eval": "lm-eval",
    "matplotlib": "plot",
    "mlflow": "mlflow",
    "mpmath": "math",
    "openai": "endpoints",
    "peft": "lora",
    "pyarrow": "rows",
    "reasoning_gym": "reasoning-gym",
    "rich": "cli",
    "safetensors": "train",
    "sympy": "math",
    "tensorboard": "train",
    "torch": "train",
    "trackio": "trackio",
    "transformers": "train",
    "trl": "trl",
    "tyro": "cli",
    "verifiers": "verifiers",
    "vllm": "gpu",
    "wandb": "wandb",
    "yaml": "cli",
}


class MissingPackageError(ImportError):
    """An optional package is not installed; says what needs it and which extra brings it."""


def extra_of(package: str | None) -> str | None:
    """The smallest extra that brings a package, which may be named by one of its modules; None if none does.

    >>> extra_of("matplotlib.pyplot"), extra_of("torch"), extra_of("antigravity")
    ('plot', 'train', None)
    """
    return _EXTRAS.get((package or "").partition(".")[0])


def install_hint(package: str) -> str:
    """What to type to get a package that an extra brings; this package is on no index, so from its checkout.

    >>> install_hint("peft")
    "pip install '.[lora]' in the checkout"
    """
    return f"pip install '.[{extra_of(package)}]' in the checkout"


def require_package(package: str, *, user: str) -> None:
    """Make sure of a package before the work that needs it in the end; imports nothing.

    Args:
        package: that an extra brings.
        user: what needs it, in words.

    Raises:
        MissingPackageError: if it is not installed.
    """
    if find_spec(package) is None:
        raise _missing(package, user)


@contextmanager
def imports_for(user: str) -> Iterator[None]:
    """Imports of optional packages, inside; `user` is what needs them, in words.

    Raises:
        MissingPackageError: if one that an extra brings is not installed.

    >>> with imports_for("a picture"):
    ...     raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
    Traceback (most recent call last):
    mtgrpo_env.extras.MissingPackageError: a picture needs matplotlib: pip install '.[plot]' in the checkout
    """
    try:
        yield
    except ModuleNotFoundError as error:  # other ImportErrors are of packages that are there
        if extra_of(error.name) is None:
            raise
        raise _missing(str(error.name), user) from error


def _missing(package: str, user: str) -> MissingPackageError:
    package = package.partition(".")[0]
    return MissingPackageError(f"{user} needs {package}: {install_hint(package)}", name=package)
