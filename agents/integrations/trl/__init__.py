"""MT-GRPO inside TRL: `MTGRPOTrainer` takes the place of `GRPOTrainer`."""

from mtgrpo_env.agents.integrations.trl.versions import check_version

check_version()

from mtgrpo_env.agents.integrations.trl.rounds import CorrectFrom, first_reward_at_least  # noqa: E402
from mtgrpo_env.agents.integrations.trl.trainer import MTGRPOTrainer  # noqa: E402

__all__ = ["CorrectFrom", "MTGRPOTrainer", "first_reward_at_least"]
