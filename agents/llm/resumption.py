"""How a run is resumed: from which checkpoint, made of what, and by which model it is built."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from mtgrpo_env.agents.checkpoints import newest_sound_checkpoint, resumable_record
from mtgrpo_env.agents.config import RunConfig
from mtgrpo_env.agents.llm.policy import is_there, model_folder
from mtgrpo_env.agents.ranks import Ranks, agreement, first_before_others
from mtgrpo_env.agents.run_folder import RunFolder
from mtgrpo_env.agents.run_identity import made_of, model_content, refuse_changes
from mtgrpo_env.log_once import log_once
from mtgrpo_env.suite import TaskSuite

_LOG = logging.getLogger(__name__)


class Resumption:
    """What a folder holds of a run, and that it is the run that is asked for.

    Only the first of several ranks reads what is large.

    Args:
        folder: of the run; what killed processes left in it is cleaned up.
        config: of the run.
        suite: its tasks.
        ranks: the processes that train together.

    Attributes:
        checkpoint: to resume from; None for a run at its start.
        saved: what that knows of the run.
        made_of: what the run is made of now; on the first rank alone.

    Raises:
        ValueError: if the folder holds another run, by its options or what it was made of, or no checkpoint is sound.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, suite: TaskSuite, ranks: Ranks) -> None:
        self._folder, self._config, self._ranks = folder, config, ranks
        self.made_of: dict[str, dict[str, str]] = {}
        found: Path | None = None
        with first_before_others(ranks) as is_first:
            if is_first:
                folder.clean_up_interrupted_saves()
            folder.refuse_another_run(config)
            if is_first:
                found = newest_sound_checkpoint(folder)
                self.made_of = made_of(config, suite)
        self.checkpoint = ranks.gather(found)[0]
        accepted = config.accept_changes
        with agreement(ranks):
            self.saved = resumable_record(self.checkpoint, accepts_first_format="package" in accepted)
            self._refuse_changes()
        was, now = ((of or {}).get("package", {}) for of in (self.saved.made_of, self.made_of))
        if was and now and was != now and "package" not in accepted:
            _LOG.warning("%s was saved by %s, is resumed by %s", self.checkpoint, *map(_listed, (was, now)))
        if "rows" in accepted:
            suite.accept_changed_lists()

    @property
    def source(self) -> str | None:
        """See `source_of`."""
        return source_of(self._config, self.checkpoint)

    def identify_model(self, source: str) -> None:
        """Know the starting model by its content, or by the checkpoint where the run is resumed without it.

        Raises:
            ValueError: if another one is meant to go on.
        """
        with first_before_others(self._ranks) as is_first:
            if not is_first:
                return
            if source == str(self.checkpoint):
                self.made_of["model"] = dict((self.saved.made_of or {}).get("model", {}))
            else:
                self.made_of["model"] = model_content(model_folder(source))
            if (self.saved.made_of or {}).get("model"):
                self._refuse_changes()

    def _refuse_changes(self) -> None:
        if self.saved.made_of is not None:
            accepted = self._config.accept_changes
            refuse_changes(self._folder, self.saved.made_of, self.made_of, accepted=accepted)


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def source_of(config: RunConfig, checkpoint: Path | None) -> str | None:
    """What a model is built by, its tokenizer and its template: the starting model; None for the tiny one.

    A run that is resumed takes them from its checkpoint where the starting model is not there and the method does
    without: all weights come from there anyway, unless the policy is held near to the first, or adapters added to them.
    """
    needs_start = config.kl_coef > 0 or config.lora_rank > 0
    if checkpoint is None or needs_start or (config.model is not None and is_there(config.model)):
        return config.model
    if config.model is not None:
        log_once(_LOG, logging.WARNING, f"{config.model} is not there: the model is built by {checkpoint}")
    return str(checkpoint)
