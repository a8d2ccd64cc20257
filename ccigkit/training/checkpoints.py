"""Checkpoints: the last few states of a training, each whole or not there, the damaged ones passed over."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ccigkit.errors import CheckpointError, UserError
from ccigkit.files import writing

State = dict[str, Any]  # tensors and plain data


@dataclass(frozen=True)
class Checkpoints:
    """The states of one training in a folder: checkpoint.pt is the newest, checkpoint.1.pt the one before, and so on.

    Each holds tensors and plain data, is never unpickled otherwise, and has a checksum for all of its parts.
    """

    folder: Path

    def path(self, age: int = 0) -> Path:
        """The file of the newest state, or of one that is older by so many."""
        return self.folder / (f"checkpoint.{age}.pt" if age else "checkpoint.pt")

    @property
    def paths(self) -> list[Path]:
        """The files that are there, the newest first."""
        older = {
            int(path.suffixes[0][1:]): path
            for path in self.folder.glob("checkpoint.*.pt")
            if path.suffixes[0][1:].isdecimal()
        }
        found = {0: self.path(), **older}
        return [found[age] for age in sorted(found) if found[age].is_file()]

    def save(self, state: Mapping[str, Any], keep: int = 1) -> None:
        """Write the newest state, whole or not at all, and keep so many in all.

        Raises:
            WriteError: where the disk is full or the folder cannot be written; every state is as it was.
            UserError: where the state has numbers that are not finite, and so nothing can go on from it.
        """
        if ruined := not_finite(state):
            raise UserError(
                f"training diverged by step {state['step']}: {ruined} is not finite, so that step is not saved; "
                "lower the objective's rates, or set train.precision=float32"
            )
        self._make_room()
        with writing(self.path()) as temporary:
            try:
                torch.save(dict(state), temporary)
            except RuntimeError:  # torch reports a full disk as a RuntimeError of its own, in its own terms
                raise OSError(0, "the disk is full, or refuses so large a file") from None
            self._age(keep)

    def _make_room(self) -> None:
        """Where the disk has no room for one more, give up older ones, the oldest first; never the newest."""
        newest, *older = self.paths or [self.path()]
        if not older:
            return
        needed, free = newest.stat().st_size, shutil.disk_usage(self.folder).free
        if free < needed <= free + sum(path.stat().st_size for path in older):
            while older and shutil.disk_usage(self.folder).free < needed:
                older.pop().unlink()

    def _age(self, keep: int) -> None:
        """Give every state the name of one older; the newest has both names until the next takes its place."""
        for path in self.paths[max(keep - 1, 1) :]:
            path.unlink()
        for age in range(keep - 1, 1, -1):
            if self.path(age - 1).is_file():
                self.path(age - 1).replace(self.path(age))
        if keep > 1 and self.path().is_file():
            self.path(1).unlink(missing_ok=True)
            try:
                self.path(1).hardlink_to(self.path())
            except OSError:  # a file system without links
                self.path().replace(self.path(1))

    def read(self, path: Path) -> State:
        """The state in a file.

        Raises:
            CheckpointError: where it is damaged, or nothing can go on from it.
        """
        try:
            with zipfile.ZipFile(path) as archive:  # torch does not look at the checksums it writes
                if bad := archive.testzip():
                    raise ValueError(f"the checksum of {bad} is wrong")
            state: State = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(state, dict) or not isinstance(state.get("step"), int):
                raise ValueError("it holds no training")
        except Exception as error:  # noqa: BLE001  a damaged file raises nearly anything
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise CheckpointError(f"{path} is damaged ({reason[:120]})") from None
        if ruined := not_finite(state):
            raise CheckpointError(f"{path} is damaged ({ruined} is not finite)")
        return state

    def newest(self) -> tuple[State | None, dict[Path, str]]:
        """The newest state that is whole, None where none was saved yet, and what is wrong with those after it.

        Raises:
            CheckpointError: where there are states, but none is whole.
        """
        wrong: dict[Path, str] = {}
        for path in self.paths:
            try:
                return self.read(path), wrong
            except CheckpointError as error:
                wrong[path] = str(error)
        if wrong:
            raise CheckpointError(f"{'; '.join(wrong.values())}; delete it to train anew, or restore a copy")
        return None, wrong

    def set_aside(self, path: Path) -> Path:
        """Take a damaged file out of the row, so that it displaces no whole one; where it is then."""
        return path.replace(path.with_suffix(".damaged"))


def not_finite(state: Any) -> str:
    """Which number of a state ruins all that follows from it, by its place; empty where none does.

    NaN ruins anything. An infinity ruins averages and optimisers; a part may have one of its own, as a bound not
    reached yet.
    """
    for place, tensor in _tensors(state, ""):
        bad = tensor.isnan() if place.startswith("parts.") else ~tensor.isfinite()
        if bad.any():
            return place
    return ""


def _tensors(state: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(state, Tensor):
        yield place, state
    elif isinstance(state, Mapping):
        for key, value in state.items():
            yield from _tensors(value, f"{place}.{key}" if place else str(key))
