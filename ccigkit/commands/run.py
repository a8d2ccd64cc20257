"""The run directory: one training, readable at any moment, whatever stopped it."""

from __future__ import annotations

import json
import platform
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ccigkit.commands.config import Config, read_toml
from ccigkit.component.registry import registry
from ccigkit.errors import CheckpointError
from ccigkit.files import explaining, write_json, write_text
from ccigkit.training.checkpoints import Checkpoints, State


@dataclass(frozen=True)
class Run:
    """A folder with config.toml, versions.json, graph.toml and .png, checkpoint.pt and the ones before it,
    model.safetensors and .json, log.jsonl, metrics.json and samples/.

    Every file but the log is written whole or not at all; the log is cut back to the checkpoint on resuming.
    """

    folder: Path

    @property
    def samples(self) -> Path:
        """Where sample pictures go."""
        return self.folder / "samples"

    @property
    def log(self) -> Path:
        """One JSON object per line: the step, the terms, the speed."""
        return self.folder / "log.jsonl"

    @property
    def checkpoints(self) -> Checkpoints:
        """The last states of training, to go on from."""
        return Checkpoints(self.folder)

    @contextmanager
    def open(self, config: Config) -> Iterator[None]:
        """Begin here, or go on where the same configuration has trained; alone, however the process ends.

        Raises:
            CheckpointError: where the folder holds a run of another configuration, or something that is no run, and
                where another process is training in it.
        """
        saved = self.checkpoints.paths
        if (self.folder / "config.toml").is_file():
            trained = saved or (self.folder / "model.safetensors").is_file()
            if trained and (difference := config.difference(self.config)):
                raise CheckpointError(
                    f"{self.folder} holds a run of another configuration: {difference}; "
                    "choose another --run, or give the same options again"
                )
        elif self.folder.is_dir() and not saved and any(file.name != ".lock" for file in self.folder.iterdir()):
            raise CheckpointError(f"{self.folder} is not empty and holds no run; choose another --run")
        with explaining(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / ".lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise CheckpointError(
                    f"another process trains in {self.folder}: wait, or choose another --run"
                ) from None
        try:
            for leftover in self.folder.glob(".*.tmp"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def describe(self, config: Config) -> None:
        """Write what is trained here, and with which versions."""
        with explaining(self.folder):
            self.samples.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "config.toml", config.to_toml())
        write_json(self.folder / "versions.json", versions(config))

    @property
    def config(self) -> Config:
        """The resolved configuration that the run was begun with.

        Raises:
            CheckpointError: where the folder holds no run.
        """
        path = self.folder / "config.toml"
        if not path.is_file():
            raise CheckpointError(f"{self.folder} holds no run (no config.toml); train one with ccigkit train --run")
        return Config.resolve([(str(path), read_toml(path))])

    def load_checkpoint(self) -> State | None:
        """The newest whole state of training, or None where none was saved yet.

        Raises:
            CheckpointError: where every checkpoint is damaged.
        """
        return self.checkpoints.newest()[0]

    def resume(self, config: Config, tell: Callable[[str], None]) -> State | None:
        """The newest whole state of this training, or None where none was saved yet; damaged ones are set aside.

        Args:
            config: what is to be trained.
            tell: told in a sentence what is out of the ordinary.

        Raises:
            CheckpointError: where every checkpoint is damaged, or this one is of another configuration, or of more
                steps than are to be trained.
        """
        state, damaged = self.checkpoints.newest()
        if state is None:
            if (self.folder / "model.safetensors").is_file():
                tell(f"{self.folder} has a model but no checkpoint: training begins anew, and will replace the model")
            return None
        if about := state.get("about"):  # which older checkpoints do not have
            theirs = Config.resolve([(str(self.checkpoints.path()), tomllib.loads(about["config"]))])
            if difference := config.difference(theirs):
                raise CheckpointError(
                    f"the checkpoint in {self.folder} is of another run: {difference}; "
                    "restore this run's own, or choose another --run"
                )
        elif not (self.folder / "config.toml").is_file():
            raise CheckpointError(
                f"{self.folder} has a checkpoint but no config.toml; restore it, or choose another --run"
            )
        if state["step"] > config.train.steps:
            raise CheckpointError(
                f"{self.folder} is at step {state['step']} already, and train.steps={config.train.steps} is fewer; "
                f"give --steps {state['step']} or more, or choose another --run"
            )
        for path, why in damaged.items():
            aside = self.checkpoints.set_aside(path)
            tell(f"{why}: it is now called {aside.name}, and training goes on from the checkpoint before it")
        return state

    def append_log(self, entry: Mapping[str, float | str]) -> None:
        """Add one line to the log."""
        with explaining(self.log), self.log.open("a+b") as file:
            file.seek(max(file.tell() - 1, 0))
            begun = file.read(1) not in (b"", b"\n")  # a line that a full disk cut short
            file.write(b"\n" * begun + json.dumps(entry).encode() + b"\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The log's whole lines; a line cut short by a crash, or none of ours, is left out."""
        if not self.log.is_file():
            return []
        entries = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
        return entries

    def rewind_log(self, step: int) -> None:
        """Forget what was logged after a step, because training goes on from there."""
        kept = [entry for entry in self.read_log() if entry["step"] <= step]
        write_text(self.log, "".join(json.dumps(entry) + "\n" for entry in kept))


def versions(config: Config) -> dict[str, Any]:
    """What made a run: Python, the libraries that matter, and the plugin of every component used."""
    origins = registry().origins
    used = {(choice.kind, choice.name) for choice in config.choices.values()}
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{package: version(package) for package in ("ccigkit", "torch", "torchvision", "numpy")},
        "components": {
            kind: {"name": name, "plugin": origins[kind, name].name, "version": origins[kind, name].version}
            for kind, name in sorted(used)
        },
    }
