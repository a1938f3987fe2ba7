"""A file of what agents responded, so that a command that was cut off pays for no response twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtgrpo_env.files import refuse_unwritable_file, refuse_unwritable_folder


class KeptFile:
    """JSON values by keys, in a file (SQLite); several threads and processes may use it at a time.

    Args:
        file: made if it is not there.

    Raises:
        ValueError: if there is something else.
        OSError: if it cannot be written.
    """

    def __init__(self, file: Path) -> None:
        refuse_unwritable_folder(file.parent)
        file.parent.mkdir(parents=True, exist_ok=True)
        refuse_unwritable_file(file)
        self._file = file
        self._lock = threading.Lock()  # of the connection
        with self._errors_named():
            self._connection = sqlite3.connect(file, timeout=60.0, check_same_thread=False)
        self._run("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")
        self.get("")

    def get(self, key: str) -> Any:
        """The value; None if there is none."""
        found = self._run("SELECT reply FROM replies WHERE request = ?", key)
        return json.loads(found[0][0]) if found else None

    def put(self, key: str, value: Any) -> None:
        """Keep a value; it is in the file when this returns."""
        self._run("INSERT OR REPLACE INTO replies VALUES (?, ?)", key, json.dumps(value))

    def close(self) -> None:
        """Close the file, when no thread is in it; what still arrives is no longer kept."""
        with self._lock:
            self._connection.close()

    def _run(self, statement: str, *values: str) -> list[tuple[str]]:
        with self._errors_named(), self._lock, self._connection as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ValueError(f"expected {self._file} to be a file of replies, or not to be there: {error}") from error


def key_of(*parts: Any) -> str:
    """A hash of JSON values: the key of what they decide."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
