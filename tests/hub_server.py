"""A hub of models for tests: what huggingface_hub asks of the real one to send and fetch small files, and no more."""

from __future__ import annotations

import hashlib
import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Hub:
    """What the server has: files of a repository by their paths, and who asked for what."""

    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def sha(self, repo: str) -> str:
        """The name of a repository's state."""
        total = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(self.files[repo].items()):
            total.update(name.encode() + content)
        return total.hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers as the hub's API does."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *words: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """The description of a repository, the list of its files, or one of them."""
        path = urlsplit(self.path).path.strip("/")
        self.hub.asked.append(f"{self.command} {path}")
        words = path.split("/")
        if words[:2] == ["api", "models"]:
            repo = "/".join(words[2:4])
            if repo not in self.hub.files:
                return self.say(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            files = self.hub.files[repo]
            if words[4:5] == ["tree"]:
                return self.say(
                    200,
                    [
                        {"type": "file", "path": name, "size": len(content), "oid": etag(content)}
                        for name, content in files.items()
                    ],
                )
            siblings = [{"rfilename": name} for name in files]
            return self.say(200, {"id": repo, "modelId": repo, "sha": self.hub.sha(repo), "siblings": siblings})
        repo, name = "/".join(words[:2]), "/".join(words[4:])
        content = self.hub.files.get(repo, {}).get(name)
        if content is None:
            return self.say(404, {"error": "no such file"}, {"X-Error-Code": "EntryNotFound"})
        return self.send(200, content, {"ETag": f'"{etag(content)}"', "X-Repo-Commit": self.hub.sha(repo)})

    def do_POST(self) -> None:
        """A repository begun, a sending announced, or a commit."""
        url = urlsplit(self.path)
        path, body = url.path.strip("/"), self.body()
        self.hub.asked.append(f"POST {path} {parse_qs(url.query)}")
        words = path.split("/")
        if path == "api/repos/create":
            told = json.loads(body)
            repo = f"{told['organization']}/{told['name']}" if told.get("organization") else told["name"]
            self.hub.files.setdefault(repo, {})
            self.hub.private[repo] = told.get("private") or told.get("visibility") == "private"
            return self.say(200, {"url": f"{self.hub.address}/{repo}", "name": repo})
        if path == "api/validate-yaml":
            return self.say(200, {"errors": [], "warnings": []})
        repo = "/".join(words[2:4])
        if words[4] == "preupload":
            wanted = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in wanted]
            return self.say(200, {"files": modes})
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.hub.files[repo][entry["value"]["path"]] = b64decode(entry["value"]["content"])
        oid = self.hub.sha(repo)
        told = {"commitUrl": f"{self.hub.address}/{repo}/commit/{oid}", "commitOid": oid, "success": True}
        return self.say(200, told)

    def body(self) -> bytes:
        """What was sent, whole or in chunks."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def say(self, code: int, content: Any, headers: dict[str, str] | None = None) -> None:
        """Answer in JSON."""
        self.send(code, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def send(self, code: int, content: bytes, headers: dict[str, str]) -> None:
        """Answer."""
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def etag(content: bytes) -> str:
    """The name of a content, as git has it."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub on this machine, for as long as the block lasts."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
