"""The studio: a page to play with a trained model, and the HTTP API behind it, as the command `ccigkit studio`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import ccigkit

ccigkit_api = 1
PORT = 8765
DEMO = Path("demo")  # the model to begin with, where ccigkit-demo is installed


def studio(
    run: Annotated[
        Path, typer.Argument(metavar="[RUN]", help="A run, one that is still training too; otherwise ccigkit-demo's.")
    ] = DEMO,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Where to listen; 0 for any free.")] = PORT,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Listen to other machines, too.")] = "127.0.0.1",
    name: Annotated[
        list[str] | None, typer.Option("--name", metavar="NAME", help="A name the page is called by; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option(metavar="D", help="cpu, cuda, mps or auto.")] = "cpu",
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in the browser.")] = False,
) -> None:
    """Open a page to play with a model: move its attributes, and see the picture and the graph follow."""
    from ccigkit_studio.server import serve  # here, so that listing commands is quick

    serve(run, host=host, port=port, names=name or (), device=device, browser=browser)


@ccigkit.hookimpl
def ccigkit_commands() -> dict[str, Callable[..., Any]]:
    """What this plugin brings."""
    return {"studio": studio}
