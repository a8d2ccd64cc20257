"""A trial: one of the trainings of a grid or a search, and what their folder says of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ccigkit.commands.run import Run
from ccigkit.files import write_json


@dataclass(frozen=True)
class Trial:
    """One training of a grid, and what the folder says of it."""

    folder: Path
    name: str

    @property
    def run(self) -> Path:
        """Its run directory."""
        return self.folder / self.name

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / f"{self.name}.toml"

    @property
    def ended(self) -> dict[str, Any] | None:
        """How it ended, None where it has not: `failed` is empty where it went well."""
        try:
            said = json.loads((self.folder / f"{self.name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return said if isinstance(said, dict) else None

    def end(self, failed: str, seconds: float, value: float | None = None) -> None:
        """Write down how it ended; of a search, what came of it."""
        said: dict[str, Any] = {"failed": failed, "seconds": round(seconds, 1)}
        write_json(self.folder / f"{self.name}.json", said if value is None else said | {"value": value})

    @contextmanager
    def claim(self) -> Iterator[bool]:
        """Whether it is this worker's for now; not where another has it, or a training outlived its worker."""
        lock = FileLock(self.folder / f".{self.name}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield not self.trains
        finally:
            lock.release()

    @property
    def trains(self) -> bool:
        """Whether a process trains in its run directory."""
        if not self.run.is_dir():
            return False
        try:
            with FileLock(self.run / ".lock", timeout=0):
                return False
        except Timeout:
            return True

    @property
    def step(self) -> int:
        """The step that its log has reached."""
        log = Run(self.run).read_log()
        return int(log[-1]["step"]) if log else 0

    @property
    def state(self) -> str:
        """done, failed, training or waiting, in words."""
        if (ended := self.ended) is not None:
            return f"failed: {ended['failed']}" if ended["failed"] else "done"
        return "training" if self.trains else "waiting"


def trials(folder: Path) -> list[Trial]:
    """The trials of a folder, by name."""
    return [Trial(folder, path.stem) for path in sorted(folder.glob("*.toml"))]
