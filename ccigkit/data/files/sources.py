"""Where encoded images lie: in a folder or in a zip, listed without being decoded."""

from __future__ import annotations

import os
import threading
import warnings
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ccigkit.errors import DataError

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".jfif", ".jpe", ".gif", ".avif", ".jp2", ".pgm", ".ppm"
)  # fmt: skip
FOREIGN = (
    ".heic",
    ".heif",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".raw",
    ".svg",
    ".psd",
)  # pictures that are not read

PARTS = {  # what a split is called in files and columns
    **dict.fromkeys(("0", "train", "training"), "train"),
    **dict.fromkeys(("1", "valid", "validation", "val", "dev"), "valid"),
    **dict.fromkeys(("2", "test", "testing", "eval"), "test"),
}

PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
WINDOWS = {9: "Deflate64 (as Windows does above 2 GB)"}

T = TypeVar("T")
Names = npt.NDArray[np.str_]
Read = Callable[[str], bytes]
Entry = tuple[str | int, ...]  # where an image is, and numbers that change when it does


class Images(ABC):
    """Encoded images by name, in one place."""

    place: Path
    entries: Mapping[str, Entry]

    @abstractmethod
    def reading(self) -> AbstractContextManager[Read]:
        """A function from an image's name to the content of its file, safe to call from many threads."""


@dataclass(frozen=True)
class ImageFiles(Images):
    """The images in a folder, the folders in it included, or in a zip.

    By name: the path inside, and two numbers that change when the file does (size, and time or CRC).
    """

    place: Path
    entries: Mapping[str, tuple[str, int, int]]

    @classmethod
    def find(cls, place: Path) -> ImageFiles:
        """List a folder, or a zip without unpacking it; each image is named by its path inside.

        Raises:
            DataError: where it cannot be listed, is no zip, or names an image twice.
        """
        if place.is_dir():
            listed = list(_in_folder(place, "", ()))
        else:
            refuse_html(place, "a zip")
            try:
                listed = list(_in_zip(place))
            except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError) as error:
                raise DataError(f"cannot read {place}: {error}; if it was cut short, fetch it again") from None
        return cls(place, unique(place, ((entry[0], entry) for entry in listed if _is_image(PurePosixPath(entry[0])))))

    def named(self, name: Callable[[PurePosixPath], str]) -> ImageFiles:
        """The same images under names made of their paths.

        Raises:
            DataError: where two images have one name.
        """
        renamed = ((name(PurePosixPath(path)), entry) for path, entry in self.entries.items())
        return ImageFiles(self.place, unique(self.place, renamed))

    @contextmanager
    def reading(self) -> Iterator[Read]:
        if self.place.is_dir():
            yield lambda name: (self.place / self.entries[name][0]).read_bytes()
            return
        lock = threading.Lock()
        with zipfile.ZipFile(self.place) as archive:

            def read(name: str) -> bytes:
                with lock:
                    return archive.read(self.entries[name][0])

            yield read


def _in_folder(place: Path, inside: str, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, int, int]]:
    """Every file in a folder and the folders in it; a link back to a folder above is passed over.

    Raises:
        DataError: where a folder may not be read.
    """
    try:
        here = place.stat().st_dev, place.stat().st_ino
        if here in above:
            warnings.warn(f"{place} is a link to a folder that it lies in; passed over", stacklevel=2)
            return
        with os.scandir(place) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"cannot read the folder {place}: {error.strerror or error}; allow it (chmod -R u+rX) or move it away"
        ) from None
    for entry in entries:
        try:
            folder = entry.is_dir()
        except OSError:  # a link to itself
            folder = False
        if folder:
            yield from _in_folder(place / entry.name, f"{inside}{entry.name}/", (*above, here))
        elif _is_image(PurePosixPath(entry.name)):
            try:
                yield inside + entry.name, entry.stat().st_size, entry.stat().st_mtime_ns
            except OSError:  # a link to nothing: one of the images that cannot be read, which are refused or left out
                yield inside + entry.name, 0, 0


def _in_zip(place: Path) -> Iterator[tuple[str, int, int]]:
    """Every image in a zip.

    Raises:
        DataError: where one is packed in a way that Python cannot unpack.
    """
    with zipfile.ZipFile(place) as archive:
        for entry in archive.infolist():
            if not _is_image(PurePosixPath(entry.filename)):
                continue
            encrypted = entry.flag_bits & 1
            if encrypted or entry.compress_type not in PACKED:
                how = (
                    "encrypted" if encrypted else f"compressed by {WINDOWS.get(entry.compress_type, 'another method')}"
                )
                raise DataError(
                    f"{place}: {entry.filename} is {how}, which cannot be read; unpack it and give the folder"
                )
            yield entry.filename, entry.file_size, entry.CRC


def _is_image(path: PurePosixPath) -> bool:
    """Whether it is named like one, and is not what a Mac leaves beside one ("__MACOSX/._000001.jpg")."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def unique(where: Path, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    """Pairs of a name and something as a dictionary.

    Raises:
        DataError: where a name comes twice.
    """
    found: dict[str, T] = {}
    for name, thing in pairs:
        if name in found:
            raise DataError(f"{where} has {name} twice; remove one of the two")
        found[name] = thing
    return found


def refuse_html(path: Path, what: str) -> None:
    """Stop at the page that a download site sends in place of a file.

    Raises:
        DataError: where the file is an HTML page, or cannot be opened.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    if start.startswith((b"<!doctype html", b"<html")):
        raise DataError(f"{path} is an HTML page, not {what}: the download was refused; fetch it again")
