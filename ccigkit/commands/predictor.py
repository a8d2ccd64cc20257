"""The command predictor: train what reads attributes from pictures."""

from __future__ import annotations

import time

from rich.console import Console

from ccigkit.commands.config import Config
from ccigkit.data.base import DataModule
from ccigkit.files import cache_folder
from ccigkit.metrics.readers.predictor import held_out_scores, predictor
from ccigkit.show.progress import counting
from ccigkit.show.tables import rows_table
from ccigkit.show.terminal import plain, say
from ccigkit.training.devices import choose_device


def train_predictor(config: Config, steps: int, seed: int, device: str, console: Console) -> None:
    """Train the attribute predictor that metrics read pictures with, unless it is kept already, and show its scores."""
    place = choose_device(device)
    data: DataModule = config["data"].build({})
    table, test = data.table(), data.load("test")
    what = f"a predictor of {len(table.names)} attributes, {len(table.values)} images"
    say(console, plain(data.name, "bold"), f": {what}")
    began, done = time.monotonic(), 0
    with counting(console, "training", steps) as advance:

        def step_done() -> None:
            nonlocal done
            done += 1
            advance()

        read = predictor(data, seed=seed, steps=steps, device=place, step_done=step_done)
    how = f"trained in {time.monotonic() - began:.0f} s, and kept" if done else "kept from before"
    say(console, f"{how}: predictors/{read.fingerprint} in {cache_folder()}", soft_wrap=True)
    console.print(rows_table(held_out_scores(read, test), f"how well it reads {len(test)} test images of {data.name}"))
