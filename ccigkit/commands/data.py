"""The commands data preview and data prepare."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from rich.console import Console

from ccigkit.commands.config import Config
from ccigkit.data.base import DataModule, SplitName
from ccigkit.show.sheet import save_sheet
from ccigkit.show.tables import (
    attribute_table,
)
from ccigkit.show.terminal import say


def preview_data(config: Config, out: Path, console: Console) -> None:
    """Write a page that shows a data set, and print its attributes."""
    data: DataModule = config["data"].build({})
    save_sheet(data, out)
    console.print(attribute_table(data))
    say(console, f"wrote {out}")


def prepare_data(config: Config, console: Console) -> None:
    """Decode or draw a data set once, so that training waits for nothing."""
    data: DataModule = config["data"].build({})
    for split in get_args(SplitName):
        images = data.load(split).images
        say(console, f"{split}: {len(images)} images of {list(images.shape[1:])}")
