"""Image files, decoded once into a memory map and read from there ever after."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from rich.console import Console
from rich.progress import track
from torch import Tensor

from ccigkit.errors import DataError
from ccigkit.files import write_json, writing

SUFFIXES = (".jpg", ".jpeg", ".png")
UNREADABLE = (  # what Pillow and zipfile raise on broken files
    OSError, ValueError, SyntaxError, EOFError, zipfile.BadZipFile, zlib.error, Image.DecompressionBombError
)  # fmt: skip
CHUNK = 256  # images in flight, so that fast decoders do not fill the memory ahead of a slow disk

OnBad = Literal["skip", "refuse"]
T = TypeVar("T")
Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImageFiles:
    """The images in a folder or a zip: by name, the path inside and two numbers that change when the file does."""

    place: Path
    entries: dict[str, tuple[str, int, int]]

    @classmethod
    def find(cls, place: Path) -> ImageFiles:
        """List a folder, or a zip without unpacking it.

        Raises:
            DataError: where it cannot be listed, is no zip, or names an image twice.
        """
        if not place.is_dir():
            refuse_html(place, "a zip")
        try:
            listed = list(_in_folder(place) if place.is_dir() else _in_zip(place))
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"cannot read {place}: {error}; if it was cut short, fetch it again") from None
        named = ((PurePosixPath(entry[0]), entry) for entry in listed)
        return cls(place, unique(place, ((path.name, entry) for path, entry in named if _is_image(path))))

    @contextmanager
    def reading(self) -> Iterator[Callable[[str], bytes]]:
        """A function from an image's name to the content of its file, safe to call from many threads."""
        if self.place.is_dir():
            yield lambda name: (self.place / self.entries[name][0]).read_bytes()
            return
        lock = threading.Lock()
        with zipfile.ZipFile(self.place) as archive:

            def read(name: str) -> bytes:
                with lock:
                    return archive.read(self.entries[name][0])

            yield read


def _in_folder(place: Path) -> Iterator[tuple[str, int, int]]:
    with os.scandir(place) as found:
        for entry in found:
            yield entry.name, entry.stat().st_size, entry.stat().st_mtime_ns


def _in_zip(place: Path) -> Iterator[tuple[str, int, int]]:
    with zipfile.ZipFile(place) as archive:
        for entry in archive.infolist():
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


def decode(content: bytes, size: int, crop: int) -> Pixels:
    """The content of an image file to RGB [3, size, size].

    Upright, cut to the central square of side `crop` (of the whole width or height where that is less; 0 for no cut),
    then resized, bilinear and antialiased, as torchvision's CenterCrop and Resize do.
    """
    with Image.open(io.BytesIO(content)) as file:
        image = ImageOps.exif_transpose(file).convert("RGB")
    if crop:
        side = min(crop, *image.size)
        left, top = (round((length - side) / 2) for length in image.size)
        image = image.crop((left, top, left + side, top + side))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def cached_images(
    files: ImageFiles, names: Sequence[str], *, size: int, crop: int, on_bad: OnBad, folder: Path
) -> tuple[Tensor, npt.NDArray[np.bool_]]:
    """The named images [m, 3, size, size] as uint8 over a memory map, and which [n] of the n names they are.

    All of them, unless bad files are to be skipped. The map lies in `folder`, beside a manifest that says what it is.

    Raises:
        DataError: where files are bad and are to be refused, or all are bad.
        UserError: where the map cannot be written.
    """
    source = {"place": str(files.place.resolve()), "size": size, "crop": crop, "on_bad": on_bad}
    entries = [(name, *files.entries[name]) for name in names]
    fingerprint = hashlib.sha256(json.dumps([source, entries]).encode()).hexdigest()[:16]
    path = folder / f"{files.place.stem}-{size}px-{fingerprint}.npy"
    if (found := _open(path, len(names), size)) is None:
        bad = _build(path, files, names, size, crop, on_bad)
        write_json(path.with_suffix(".json"), {**source, "images": len(names) - len(bad), "left_out": bad})
        found = _open(path, len(names), size)
    if found is None:
        raise DataError(f"{path} was written but cannot be mapped into memory; choose another place for the cache")
    images, bad = found
    if bad:
        warnings.warn(f"{_unreadable(files.place, bad, len(names))}; left out", stacklevel=2)
    return torch.from_numpy(images), np.array([name not in bad for name in names])


def _open(path: Path, count: int, size: int) -> tuple[Pixels, dict[str, str]] | None:
    """The images of a map and the files that it left out, with the reasons; None where it is missing or damaged."""
    try:
        bad: dict[str, str] = dict(json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["left_out"])
        # Copy on write: nobody can change the file through the tensor, and torch does not warn of read-only memory.
        images = np.lib.format.open_memmap(path, mode="c")
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
    fits = images.shape == (count - len(bad), 3, size, size) and images.dtype == np.uint8
    return (images, bad) if fits else None


def _build(path: Path, files: ImageFiles, names: Sequence[str], size: int, crop: int, on_bad: OnBad) -> dict[str, str]:
    """Decode the named images into a new map; the files left out, with the reasons.

    Plain writes and not a map: a full disk is an error to them, but kills a process that writes through a map.
    """
    bad: dict[str, str] = {}
    with writing(path) as temporary, temporary.open("wb") as file:
        _write_header(file, (len(names), 3, size, size))
        for name, image in zip(names, _progress(_decoded(files, names, size, crop), len(names)), strict=True):
            if isinstance(image, str):
                bad[name] = image
            else:
                file.write(image.tobytes())
        if bad and (on_bad == "refuse" or len(bad) == len(names)):
            remedy = "fetch them again" + (", or leave them out with on_bad=skip" if on_bad == "refuse" else "")
            raise DataError(f"{_unreadable(files.place, bad, len(names))}; {remedy}")
        file.seek(0)
        _write_header(file, (len(names) - len(bad), 3, size, size))  # as long as the first, numpy pads it to grow
    return bad


def _write_header(file: io.BufferedWriter, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _decoded(files: ImageFiles, names: Sequence[str], size: int, crop: int) -> Iterator[Pixels | str]:
    """Every image in order, or what kept it from being read."""
    # Threads, since Pillow lets go of the GIL; as many as torch may use, so that OMP_NUM_THREADS holds here too.
    with files.reading() as read, ThreadPoolExecutor(torch.get_num_threads()) as pool:

        def attempt(name: str) -> Pixels | str:
            try:
                return decode(read(name), size, crop)
            except UnidentifiedImageError:
                return "not an image"
            except UNREADABLE as error:
                return str(error) or type(error).__name__

        for first in range(0, len(names), CHUNK):
            yield from pool.map(attempt, names[first : first + CHUNK])


def _progress(images: Iterator[Pixels | str], total: int) -> Iterator[Pixels | str]:
    """The same, with a bar where somebody is watching."""
    console = Console(stderr=True)
    yield from track(images, "Decoding", total, console=console, transient=True, disable=not sys.stderr.isatty())


def _unreadable(place: Path, bad: dict[str, str], total: int) -> str:
    name, reason = next(iter(bad.items()))
    return f"{len(bad)} of {total} images in {place} cannot be read, first {name} ({reason})"
