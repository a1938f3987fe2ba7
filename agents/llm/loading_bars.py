"""The progress bars of transformers, which would be drawn over ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging


@contextmanager
def hidden_bars() -> Iterator[None]:
    """None is drawn while models are loaded and saved; afterwards they are as before."""
    was_shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_shown:
            logging.enable_progress_bar()
