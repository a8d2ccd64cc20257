"""Who may ask, and how much: everything that stands before the routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, TypeAlias

Scope: TypeAlias = Any  # of ASGI, as Message is
Message: TypeAlias = Any
BODY = 64 * 1024  # bytes of a question
UPLOAD = 12 * 1024 * 1024  # bytes of a picture
UPLOADS = 3  # bodies of pictures that are read at once
PATIENCE = 20.0  # seconds that a body may take to come
HEADERS = {
    # Nothing from elsewhere, and nowhere else inside; pictures come inside the answers.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}


class RefusedError(Exception):
    """A request that is answered by a status and a sentence alone."""

    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


class Guard:
    """ASGI: refuses foreign hosts and origins, bodies too large or too slow; adds the headers of HEADERS.

    A page elsewhere could otherwise make a visitor's browser ask, by its address or by a name that it lets resolve to
    this machine (DNS rebinding).

    Args:
        app: what is guarded.
        hosts: names that the page may be called by.
        upload: the path that takes pictures.
    """

    def __init__(self, app: Any, *, hosts: Iterable[str], upload: str) -> None:
        self.app, self.hosts, self.upload = app, frozenset(host.lower() for host in hosts), upload
        self.uploads = 0

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                extra = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in given]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        pictures = scope["type"] == "http" and scope["path"] == self.upload
        try:
            self.admit(scope)
            if pictures and self.uploads >= UPLOADS:
                raise RefusedError(503, "other pictures are being read; try again in a moment")
            self.uploads += pictures
            try:
                body = await read(receive, scope, UPLOAD if pictures else BODY)
                await self.app(scope, again(body, receive), guarded)
            finally:
                self.uploads -= pictures
        except RefusedError as refusal:
            await refuse(guarded, refusal)

    def admit(self, scope: Scope) -> None:
        """Let a request pass that comes from the page itself, or from a program.

        Raises:
            RefusedError: where it does not.
        """
        if scope["type"] != "http":
            raise RefusedError(400, "HTTP alone is spoken here")
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name, []).append(value)
        hosts = headers.get(b"host", [])
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if name_of(host) not in self.hosts:
            raise RefusedError(400, "this server is not called by that name; ccigkit studio --name NAME allows one")
        own = f"{scope['scheme']}://{host}".encode("latin-1")
        if any(origin.lower() != own for origin in headers.get(b"origin", [])):
            raise RefusedError(403, "a page from elsewhere may not ask here")
        foreign = headers.get(b"sec-fetch-site", [b"none"])[0] in (b"cross-site", b"same-site")
        visit = headers.get(b"sec-fetch-mode", [b""])[0] == b"navigate" and scope["path"] == "/"
        if foreign and not visit:
            raise RefusedError(403, "a page from elsewhere may not ask here")


def name_of(host: str) -> str:
    """What stands before the port of a Host header."""
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() else host


async def read(receive: Any, scope: Scope, most: int) -> bytes:
    """The body of a request, refused where it is said to be too long, grows too long, or takes too long.

    Raises:
        RefusedError: in each of these cases.
    """
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    too_long = RefusedError(413, f"that is too large; at most {most // 1024:,} KiB are taken")
    if not said.isdigit() or len(said) > 18 or int(said) > most:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await receive()
                body += message.get("body", b"")
                if len(body) > most:
                    raise too_long
                if message["type"] == "http.disconnect" or not message.get("more_body"):
                    return bytes(body)
    except TimeoutError:
        raise RefusedError(408, "that took too long to arrive") from None


def again(body: bytes, receive: Any) -> Any:
    """A `receive` that gives a body already read, whole."""
    given = False

    async def receiving() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receiving


async def refuse(send: Any, refusal: RefusedError) -> None:
    """Answer with a status and a sentence."""
    body = json.dumps({"detail": refusal.why}).encode()
    # What may still come of the request is not read, so the connection cannot be used again.
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
