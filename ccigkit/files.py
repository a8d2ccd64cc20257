"""Files that are either whole or not there: write under a temporary name, then rename."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ccigkit.errors import UserError, WriteError


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Say in one line what keeps `path` from being written.

    Raises:
        WriteError: where the disk is full or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another place"
        ) from None


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on failure.

    Raises:
        WriteError: where the disk is full or the place cannot be written; what stood at `path` is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with explaining(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())  # so that a crash of the machine cannot leave the new name on missing bytes
            temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write text, whole or not at all."""
    with writing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")  # the bytes of a file's odd name


def write_json(path: Path, content: object) -> None:
    """Write JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def expanded(path: str) -> Path:
    """A path with the home folder for a leading ~, or ~user.

    Raises:
        UserError: where there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(f"{path}: there is no home folder for its ~; write the path out") from None


def cache_folder() -> Path:
    """Where ccigkit keeps what can be made again: $XDG_CACHE_HOME/ccigkit, or ~/.cache/ccigkit.

    Raises:
        UserError: where neither is known, as for a user without a home folder in a container.
    """
    if told := os.environ.get("XDG_CACHE_HOME"):
        return Path(told) / "ccigkit"
    try:
        return Path.home() / ".cache" / "ccigkit"
    except RuntimeError:
        raise UserError(
            "there is no home folder to keep decoded images in; set XDG_CACHE_HOME, or data.cache=FOLDER"
        ) from None


def state_folder() -> Path:
    """Where ccigkit keeps what a user decided: $XDG_STATE_HOME/ccigkit, or ~/.local/state/ccigkit.

    Raises:
        UserError: where neither is known.
    """
    if told := os.environ.get("XDG_STATE_HOME"):
        return Path(told) / "ccigkit"
    try:
        return Path.home() / ".local" / "state" / "ccigkit"
    except RuntimeError:
        raise UserError("there is no home folder to keep decisions in; set XDG_STATE_HOME") from None
