"""The run directory: one training, readable at any moment, whatever stopped it."""

from __future__ import annotations

import json
import platform
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from ccigkit.commands.config import Config, read_toml
from ccigkit.component.registry import registry
from ccigkit.errors import CheckpointError
from ccigkit.files import explaining, write_json, write_text, writing


@dataclass(frozen=True)
class Run:
    """A folder with config.toml, versions.json, graph.toml and .png, checkpoint.pt, model.safetensors and .json,
    log.jsonl, metrics.json and samples/.

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
    def checkpoint(self) -> Path:
        """The whole state of training, to go on from."""
        return self.folder / "checkpoint.pt"

    @contextmanager
    def open(self, config: Config) -> Iterator[None]:
        """Begin here, or go on where the same configuration has a checkpoint; alone, however the process ends.

        Raises:
            CheckpointError: where the folder holds a run of another configuration, or something that is no run, and
                where another process is training in it.
        """
        path = self.folder / "config.toml"
        if path.is_file():
            if self.checkpoint.is_file() and (difference := config.difference(self.config)):
                raise CheckpointError(
                    f"{self.folder} holds a run of another configuration: {difference}; "
                    "choose another --run, or give the same options again"
                )
        elif self.folder.is_dir() and any(file.name != ".lock" for file in self.folder.iterdir()):
            raise CheckpointError(f"{self.folder} is not empty and holds no run; choose another --run")
        with explaining(self.folder):
            self.samples.mkdir(parents=True, exist_ok=True)
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
            write_text(path, config.to_toml())
            write_json(self.folder / "versions.json", versions(config))
            yield
        finally:
            lock.release()

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

    def save_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Write the state of training, whole or not at all."""
        with writing(self.checkpoint) as temporary:
            try:
                torch.save(dict(state), temporary)
            except RuntimeError:  # torch reports a full disk as a RuntimeError of its own, in its own terms
                raise OSError(0, "the disk is full, or refuses so large a file") from None

    def load_checkpoint(self) -> dict[str, Any] | None:
        """The state of training, or None where none was saved yet. Nothing is unpickled but tensors and plain data.

        Raises:
            CheckpointError: where the checkpoint is damaged.
        """
        if not self.checkpoint.is_file():
            return None
        try:
            with zipfile.ZipFile(self.checkpoint) as archive:  # torch does not look at the checksums it writes
                if bad := archive.testzip():
                    raise ValueError(f"the checksum of {bad} is wrong")
            state: dict[str, Any] = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:  # noqa: BLE001  a damaged file raises nearly anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{self.checkpoint} is damaged ({reason[:120]}); delete it to train anew, or restore a copy"
            ) from None
        return state

    def append_log(self, entry: Mapping[str, float | str]) -> None:
        """Add one line to the log."""
        with explaining(self.log), self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The log's whole lines; a line cut short by a crash is left out."""
        if not self.log.is_file():
            return []
        entries = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return entries

    def rewind_log(self, step: int) -> None:
        """Forget what was logged after a step, because training goes on from there."""
        kept = [entry for entry in self.read_log() if entry.get("step", 0) <= step]
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
