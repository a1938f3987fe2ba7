"""A hub on this machine: repositories are made, described and committed to, and what comes is kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from local_server import Handler, local_server


@dataclass
class Hub:
    """What the hub has.

    Attributes:
        private: whether a repository is, by its name.
        files: that were committed, by repository and name.
        tokens: that requests came with.
        refuses: every request, with status 403.
    """

    private: dict[str, bool] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)
    refuses: bool = False


@contextmanager
def hub_server() -> Iterator[tuple[str, Hub]]:
    """The hub's endpoint, and what it has."""
    hub = Hub()

    class Answers(Handler):
        def do_GET(self) -> None:
            *_, kind, owner, name = self.path.partition("?")[0].rsplit("/", 3)
            if kind == "models":
                repo = f"{owner}/{name}"
                self._answer({"id": repo, "private": hub.private[repo], "tags": [], "downloads": 0, "likes": 0})
            else:
                self._answer({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path == "/api/repos/create":
                made: dict[str, Any] = json.loads(body)
                repo = f"{made.get('organization') or 'me'}/{made['name']}"
                is_new = repo not in hub.private
                hub.private.setdefault(repo, made.get("visibility") == "private" or bool(made.get("private")))
                self._answer({"url": f"http://{self.headers['Host']}/{repo}", "name": repo}, 200 if is_new else 409)
            elif "/preupload/" in self.path:
                names = [file["path"] for file in json.loads(body)["files"]]
                self._answer({"files": [{"path": n, "uploadMode": "regular", "shouldIgnore": False} for n in names]})
            elif "/commit/" in self.path:
                repo = "/".join(self.path.split("/")[3:5])
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        hub.files[repo, line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                self._answer(
                    {"commitUrl": f"http://{self.headers['Host']}/{repo}/commit/1", "commitOid": "1", "success": True}
                )
            else:
                self._answer({"errors": [], "warnings": []})

        def _answer(self, content: object, status: int = 200) -> None:
            hub.tokens.add(self.headers.get("Authorization"))
            status = 403 if hub.refuses else status
            self.send(status, json.dumps(content).encode())

    with local_server(Answers) as url:
        yield url, hub
