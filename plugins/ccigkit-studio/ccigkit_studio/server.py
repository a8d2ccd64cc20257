"""The server: uvicorn, which waits for nobody for long."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import uvicorn
from rich.console import Console
from uvicorn.protocols.http.h11_impl import H11Protocol

from ccigkit.errors import ConfigError
from ccigkit.training.devices import choose_device
from ccigkit_studio.answers import Studio
from ccigkit_studio.api import LOOPBACK, create_app

HEADERS = 10.0  # seconds in which the headers of a request must have come
CONNECTIONS = 64
KEPT = 15  # seconds that a connection without a question stays open


class Impatient(H11Protocol):
    """HTTP/1.1 that hangs up on who does not finish the headers of a request in time."""

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self.slow = self.loop.call_later(HEADERS, self.hang_up)

    def data_received(self, data: bytes) -> None:
        """Wait anew where this may begin a request."""
        if (self.cycle is None or self.cycle.response_complete) and self.slow.cancelled():
            self.slow = self.loop.call_later(HEADERS, self.hang_up)
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self.slow.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self.slow.cancel()
        super().connection_lost(exc)

    def hang_up(self) -> None:
        """Close the connection, unless an answer is on its way."""
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def configured(studio: Studio, *, host: str, port: int, names: Iterable[str] = ()) -> uvicorn.Config:
    """What uvicorn is to serve, and how patiently."""
    return uvicorn.Config(
        create_app(studio, names=[host, *names] if host not in ("0.0.0.0", "::") else names),  # noqa: S104
        host=host,
        port=port,
        http=Impatient,
        ws="none",
        log_level="warning",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEPT,
        h11_max_incomplete_event_size=16 * 1024,
        server_header=False,
        proxy_headers=False,
    )


def serve(
    folder: Path, *, host: str, port: int, names: Iterable[str] = (), device: str = "cpu", browser: bool = False
) -> None:
    """Serve a run until Ctrl-C.

    Raises:
        UserError: where there is nothing to serve, or the port is taken.
    """
    studio = Studio(folder, str(choose_device(device)))
    config = configured(studio, host=host, port=port, names=names)
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise ConfigError(f"port {port} of {host} is taken, or not ours; choose another with --port") from None
    socket.listen(CONNECTIONS)  # whoever comes before the server has started waits, and is not refused
    address = f"http://{host}:{socket.getsockname()[1]}/"
    Console().print(f"studio: {address}  (Ctrl-C ends it)", soft_wrap=True, highlight=False)
    if host not in LOOPBACK:
        Console().print("other machines can reach it: whoever does can look at the model and its test pictures")
    if browser:
        threading.Timer(1.0, webbrowser.open, [address]).start()
    uvicorn.Server(config).run(sockets=[socket])
