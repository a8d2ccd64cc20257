"""Weights & Biases, and trackio, which has the same interface."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ccigkit.training.tracker import Tables, Tracker


class WandB(Tracker):
    """Weights & Biases; its own variables say where to: WANDB_PROJECT, WANDB_MODE=offline and the rest."""

    name = "wandb"
    package = "wandb"

    def __init__(self, folder: Path, config: Tables, step: int) -> None:
        super().__init__(folder, config, step)
        self.library: Any = import_module("wandb")
        place = folder.resolve()
        self.library.init(dir=str(place), name=place.name, config=plain(config), resume="allow", id=place.name)

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        self.library.log(dict(terms), step=step)

    def close(self) -> None:
        self.library.finish()


class Trackio(Tracker):
    """trackio, on this machine: the project is TRACKIO_PROJECT, or ccigkit; trackio show draws it."""

    name = "trackio"
    package = "trackio"

    def __init__(self, folder: Path, config: Tables, step: int) -> None:
        super().__init__(folder, config, step)
        self.library: Any = import_module("trackio")
        project = os.environ.get("TRACKIO_PROJECT", "ccigkit")
        self.library.init(project=project, name=folder.resolve().name, config=plain(config), resume="allow")

    def log(self, step: int, terms: Mapping[str, float]) -> None:
        self.library.log(dict(terms), step=step)

    def close(self) -> None:
        self.library.finish()


def plain(config: Tables) -> dict[str, Any]:
    """A configuration as a dashboard shows it: "scm.name" and so on, what is no number in words."""
    flat = {f"{kind}.{key}": value for kind, table in config.items() for key, value in table.items()}
    return {key: value if isinstance(value, bool | int | float) else str(value) for key, value in flat.items()}
