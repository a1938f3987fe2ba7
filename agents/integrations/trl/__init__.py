"""MT-GRPO inside TRL: `MTGRPOTrainer` takes the place of `GRPOTrainer`."""

from importlib.metadata import PackageNotFoundError, version

from mtgrpo_env.extras import install_hint

SUPPORTED = ">=1.16,<1.17"
"""Versions of TRL that the trainer fits: it overrides methods that TRL calls private."""

_SERIES = "1.16"


def check_version() -> None:
    """Make sure of a TRL that fits.

    Raises:
        ImportError: if there is none, or it is of another series.
    """
    try:
        found = version("trl")
    except PackageNotFoundError as error:
        raise ImportError(f"MTGRPOTrainer needs trl {SUPPORTED}, found none: {install_hint('trl')}") from error
    if ".".join(found.split(".")[:2]) != _SERIES:
        raise ImportError(f"MTGRPOTrainer needs trl {SUPPORTED}, found {found}: {install_hint('trl')}")


check_version()

from mtgrpo_env.agents.integrations.trl.rounds import CorrectFrom, first_reward_at_least  # noqa: E402
from mtgrpo_env.agents.integrations.trl.trainer import MTGRPOTrainer  # noqa: E402

__all__ = ["SUPPORTED", "CorrectFrom", "MTGRPOTrainer", "check_version", "first_reward_at_least"]
