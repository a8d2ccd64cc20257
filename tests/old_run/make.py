"""Make run.tar.xz: a run as the version before the causal model stood by itself wrote it. Run with that version.

    git worktree add ../before 2641232 && PYTHONPATH=../before python tests/old_run/make.py tests/old_run

Its weights are then overwritten by a short pattern, so that the archive is a few kB, and what the old version makes
of them is kept beside: expected.json.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ccigkit.cli.app import main
from torch import Tensor

import ccigkit
from ccigkit.model import save_model

SETTINGS = [
    "data.n=40",
    "data.size=16",
    "backbone.name=dcgan",
    "backbone.width=2",
    "scm.hidden=2",
    "train.batch=4",
    "train.sample_every=0",
    "train.device=cpu",
    "train.latent=6",
    "train.precision=float32",
]


def command(*words: object) -> None:
    """Run a command in this process."""
    sys.argv = ["ccigkit", *map(str, words)]
    with suppress(SystemExit):
        main()


def patterned(thing: Any) -> Any:
    """The same nested state with a repeated pattern in every floating tensor of more than a few numbers."""
    if isinstance(thing, Tensor):
        if not thing.is_floating_point() or thing.numel() < 8:
            return thing
        pattern = (torch.arange(thing.numel()) % 8 - 3).float() / 64
        return (pattern.abs() if float(thing.min()) >= 0 else pattern).view(thing.shape).to(thing.dtype)
    if isinstance(thing, dict):
        kept = ("random", "structure", "scm", "dependence")
        return {key: value if key in kept else patterned(value) for key, value in thing.items()}
    return type(thing)(patterned(one) for one in thing) if isinstance(thing, list | tuple) else thing


def make(folder: Path) -> None:
    """Write the archive and what the old version makes of it."""
    with TemporaryDirectory() as place:
        run = Path(place) / "run"
        words = ("train", "--data", "pendulum", "--structure", "boss", "--run", run, *SETTINGS)
        command(*words, "--steps", 3)
        state = torch.load(run / "checkpoint.pt", weights_only=True)
        torch.save(patterned(state), run / "checkpoint.pt")
        model = ccigkit.load(run)
        parts = {part: getattr(model, part) for part in ("encoder", "generator")}
        for part in parts.values():
            part.load_state_dict(patterned(part.state_dict()))
        save_model(model, run, json.loads((run / "model.json").read_text())["components"])
        for leftover in ("interventions.png", "graph.png", "samples", "versions.json", ".lock", "metrics.json"):
            shutil.rmtree(run / leftover) if (run / leftover).is_dir() else (run / leftover).unlink(missing_ok=True)
        with tarfile.open(folder / "run.tar.xz", "w:xz", preset=9) as archive:
            archive.add(run, "run")
        sampled = ccigkit.load(run).sample(2, {"angle": 0.3}, seed=1)
        command(*words, "--steps", 5)
        log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
        terms = {key: value for key, value in log[-1].items() if "." in key}
        expected = {"sample": sampled.flatten()[::97].tolist(), "terms at step 5": terms}
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
