"""Servers of tests leave nothing behind."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
from local_server import Handler, local_server


class Slow(Handler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.read_json()
        time.sleep(0.2)
        for _ in range(3):
            self.send(200, b"{}")


class Broken(Handler):
    def do_GET(self) -> None:
        raise ZeroDivisionError


def test_a_client_that_leaves_is_waited_for_and_not_reported(capfd: pytest.CaptureFixture[str]) -> None:
    before = threading.active_count()
    with local_server(Slow) as url, socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        time.sleep(0.05)
    assert threading.active_count() == before
    assert capfd.readouterr().err == ""


def test_a_connection_kept_alive_ends_with_the_server() -> None:
    before = threading.active_count()
    with local_server(Slow) as url:
        client = http.client.HTTPConnection(urlsplit(url).netloc)
        client.request("POST", "/", "{}")
        client.getresponse().read()
    assert threading.active_count() == before
    client.close()


def test_any_other_error_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with local_server(Broken) as url:
        client = http.client.HTTPConnection(urlsplit(url).netloc)
        client.request("GET", "/")
        with pytest.raises(http.client.RemoteDisconnected):
            client.getresponse()
    assert "ZeroDivisionError" in capsys.readouterr().err
