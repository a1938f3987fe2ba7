"""HTTP servers on this machine for tests of clients: nothing of them is left when a test ends."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Answers requests; a test says how in `do_GET` and `do_POST`."""

    def read_json(self) -> Any:
        """The body of the request."""
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def send(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response; a header that is given stands in place of ours."""
        self.send_response(status)
        ours = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, value in {**ours, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextmanager
def local_server(handler: type[Handler]) -> Iterator[str]:
    """The URL of a server, without a path; on leaving, every request that is under way has ended.

    A thread that outlived its test would write its traceback into the standard error of another.
    """
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # those are not waited for

    def __init__(self, address: tuple[str, int], handler: type[Handler]) -> None:
        super().__init__(address, handler)
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._connections:  # which a client would keep alive for its next request
                with suppress(OSError):  # gone already
                    connection.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # that is a client which has left
            super().handle_error(request, client_address)
