"""A vLLM server, spoken to over HTTP with what Python brings along."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from mtgrpo_env.agents.llm.engines import RolloutEngineError
from mtgrpo_env.redaction import redacted
from mtgrpo_env.visible_text import one_line

_DATA, _DONE = b"data: ", b"[DONE]"
_HEALTH_SECONDS = 10.0
_MAX_BYTES = 4 << 20  # of an answer, and of an event of a stream: those of vLLM have a few kilobytes


class VLLMServer:
    """One server.

    Args:
        url: where it listens, such as `http://127.0.0.1:8000`.
        patience: seconds that a call may take as a whole; a stream lasts until its line is cut.

    Raises:
        ValueError: if the URL is none, or holds what would not be sent: a user, a password, a query.
    """

    def __init__(self, url: str, *, patience: float = 300.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"expected a URL like http://127.0.0.1:8000, got {redacted(url)!r}")
        if "@" in parts.netloc or parts.query:
            raise ValueError(
                f"expected a URL without user, password and query, which are not sent, got {redacted(url)!r}"
            )
        self.url = url.rstrip("/")
        self.patience = patience
        self._path = parts.path.rstrip("/")
        self._address = parts.hostname, parts.port
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection

    def is_healthy(self) -> bool:
        """Whether it answers, and says that it can generate."""
        try:
            with self._response("GET", "/health", None, seconds=min(self.patience, _HEALTH_SECONDS)):
                return True
        except RolloutEngineError:
            return False

    def get(self, path: str) -> Any:
        """The JSON at a path."""
        return self._json("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that comes back for a JSON body; None for an empty answer."""
        return self._json("POST", path, body or {})

    def stream(self, path: str, body: Mapping[str, Any], line: Line) -> Iterator[Any]:
        """The JSON events of an answer, as they come; cutting the `line` ends them with an error.

        Raises:
            RolloutEngineError: if the connection breaks, or the server says that it failed.
        """
        with self._response("POST", path, body, line=line) as response:
            while text := _read(response.readline):
                if text.startswith(_DATA) and (event := text[len(_DATA) :].strip()) != _DONE:
                    answer = json.loads(event)
                    if "error" in answer:
                        raise self._error(f"answered {path} with the error {answer['error']}")
                    yield answer

    def _json(self, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        with self._response(method, path, body, seconds=self.patience) as response:
            text = _read(response.read)
            return json.loads(text) if text else None

    @contextmanager
    def _response(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        *,
        line: Line | None = None,
        seconds: float | None = None,
    ) -> Iterator[HTTPResponse]:
        connection = self._connect(*self._address, timeout=self.patience)
        line = line or Line()
        clock = threading.Timer(threading.TIMEOUT_MAX if seconds is None else seconds, line.cut)
        clock.daemon = True
        try:
            connection.connect()
            connection.sock.settimeout(seconds)
            line.hold(connection.sock)
            if seconds is not None:
                clock.start()
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, self._path + path, content, {"Content-Type": "application/json"})
            with connection.getresponse() as response:
                if response.status >= 400:
                    text = response.read(2000).decode(errors="replace")
                    raise self._error(f"answered {method} {path} with status {response.status}: {text}")
                yield response
            if seconds is not None and line.is_cut:  # what was read may look whole
                raise ConnectionAbortedError("cut")
        except TimeoutError as error:
            raise self._error(f"sent nothing for a long time after {method} {path}") from error
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            if line.is_cut and seconds is not None:
                raise self._error(f"took longer than {seconds:g} s at {method} {path}") from error
            raise self._error(f"broke off at {method} {path} ({type(error).__name__}: {error})") from error
        finally:
            clock.cancel()
            connection.close()

    def _error(self, what: str) -> RolloutEngineError:
        return RolloutEngineError(
            f"the vLLM server at {self.url} {one_line(redacted(what))}. See that it runs and read the end of its log; "
            "training can go on from the last checkpoint once it answers GET /health"
        )


def _read(read: Callable[[int], bytes]) -> bytes:
    """What is there to be read.

    Raises:
        ValueError: if it is more than an answer may have.
    """
    text = read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise ValueError(f"expected an answer of at most {_MAX_BYTES:,} bytes, got a longer one")
    return text


class Line:
    """A connection that another thread can cut: whoever waits for its next byte is woken up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.is_cut = False

    def hold(self, connected: socket.socket) -> None:
        """From now on `cut` cuts this one.

        Raises:
            ConnectionAbortedError: if it was cut already.
        """
        with self._lock:
            if self.is_cut:
                raise ConnectionAbortedError("no longer wanted")
            self._socket = connected

    def cut(self) -> None:
        """End the connection; the server stops working on what was asked."""
        with self._lock:
            self.is_cut = True
            if self._socket is not None:
                try:
                    self._socket.shutdown(socket.SHUT_RDWR)
                except OSError:
                    return  # it has ended by itself
