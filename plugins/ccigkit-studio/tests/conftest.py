"""A run that trained for a moment, and the studio over it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import uvicorn
from ccigkit_studio.answers import Studio
from ccigkit_studio.api import create_app
from ccigkit_studio.server import configured
from fastapi.testclient import TestClient
from PIL import Image
from rich.console import Console

from ccigkit.commands.config import Config, parse_settings
from ccigkit.commands.train import train

TINY = ("data.n=300", "data.size=32", "backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu")
LOCAL = "http://127.0.0.1:8765"


def trained(folder: Path, *settings: str) -> Path:
    """A run of a pendulum, of three steps unless the settings say otherwise."""
    said = ("train.steps=3", "train.sample_every=2", "structure.name=known", *TINY, *settings)
    config = Config.resolve([("test", {"data": {"name": "pendulum"}}), ("test", parse_settings(said))])
    train(config, folder, Console(file=io.StringIO()))
    return folder


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return trained(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def studio(run: Path) -> Studio:
    return Studio(run)


@pytest.fixture(scope="session")
def client(studio: Studio) -> Iterator[TestClient]:
    # An error that nobody foresaw is an answer 500 here, as it is outside.
    with TestClient(create_app(studio), base_url=LOCAL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture(scope="session")
def address(studio: Studio) -> Iterator[tuple[str, int]]:
    """Where a real server listens."""
    config = configured(studio, host="127.0.0.1", port=0)
    socket = config.bind_socket()
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [socket]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield "127.0.0.1", socket.getsockname()[1]
    running.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    def make(width: int = 80, height: int = 60, form: str = "PNG") -> bytes:
        pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form)
        return file.getvalue()

    return make
