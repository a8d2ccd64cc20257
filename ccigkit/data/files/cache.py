"""Images decoded once, into a memory map that every later process reads.

A cache is NAME.npy with a manifest NAME.json beside it; the name holds the preprocess_id and a fingerprint of the
files. While it is built it is NAME.partial with a journal of the finished chunks, so whoever comes after a kill goes on
from there, and NAME.lock lets one process build and the others wait.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import warnings
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from filelock import FileLock, Timeout
from PIL import UnidentifiedImageError
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from ccigkit.data.files.crops import Pixels, View
from ccigkit.data.files.sources import Images, Read
from ccigkit.errors import DataError, UserError
from ccigkit.files import explaining, write_json
from ccigkit.pixels import UNREADABLE

READING = 2  # raised whenever the same file is to give other pixels, so that no older cache is taken for it
CHUNK = 64  # images that are decoded, written, checked and gone on from together
SAMPLED = 16  # chunks that are checked whenever a finished cache is opened

OnBad = Literal["skip", "refuse"]


@dataclass(frozen=True)
class Chunk:
    """Finished images in a row of the map: how many, their CRC-32, and the files left out, with the reasons."""

    images: int
    crc: int
    bad: dict[str, str]


def cached_images(
    images: Images, names: Sequence[str], view: View, *, on_bad: OnBad, folder: Path
) -> tuple[Tensor, npt.NDArray[np.bool_]]:
    """The named images [m, 3, size, size] as uint8 over a memory map, and which [n] of the n names they are.

    All of them, unless bad files are to be skipped. The tensor is for reading.

    Raises:
        DataError: where files are bad and are to be refused, or all are bad.
        UserError: where the map cannot be written.
    """
    path, source = _named(images, names, view, on_bad, folder)
    if (found := _open(path, len(names), view.size)) is None:
        with _alone(path):
            if (found := _open(path, len(names), view.size)) is None:
                chunks = _build(path, images, names, view, on_bad)
                _finish(path, chunks, view.size, source)
                found = _open(path, len(names), view.size)
    if found is None:
        raise DataError(f"{path} was written but cannot be mapped into memory; choose another place: data.cache=FOLDER")
    pixels, bad = found
    if bad:
        warnings.warn(f"{_unreadable(images.place, bad, len(names))}; left out", stacklevel=2)
    return pixels, np.array([name not in bad for name in names])


def cached_hash(images: Images, names: Sequence[str], view: View, *, on_bad: OnBad, folder: Path) -> str:
    """A hash of all the decoded images, by the checksums of their cache; where the files lie does not matter.

    Raises:
        DataError, UserError: as `cached_images`, which it calls.
    """
    cached_images(images, names, view, on_bad=on_bad, folder=folder)
    path, _ = _named(images, names, view, on_bad, folder)
    chunks = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["chunks"]
    return hashlib.sha256(json.dumps([(chunk["images"], chunk["crc"]) for chunk in chunks]).encode()).hexdigest()


def _named(
    images: Images, names: Sequence[str], view: View, on_bad: OnBad, folder: Path
) -> tuple[Path, dict[str, str]]:
    """The map of the named images, and what its manifest says of their origin."""
    source = {
        "place": str(images.place.resolve()),
        "preprocess_id": view.preprocess_id,
        "on_bad": on_bad,
        "reading": str(READING),
    }
    entries = [(name, *images.entries[name]) for name in names]
    fingerprint = hashlib.sha256(json.dumps([source, entries]).encode()).hexdigest()[:16]
    return folder / f"{images.place.stem}-{view.preprocess_id}-{fingerprint}.npy", source


# --- reading ----------------------------------------------------------------------------------------------------------


def _open(path: Path, count: int, size: int) -> tuple[Tensor, dict[str, str]] | None:
    """The images of a finished map and the files that it left out; None where it is missing or damaged."""
    try:
        chunks = [
            Chunk(**chunk) for chunk in json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))["chunks"]
        ]
        mapped = _map(path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None
    bad = {name: reason for chunk in chunks for name, reason in chunk.bad.items()}
    fits = mapped.shape == (count - len(bad), 3, size, size) and mapped.dtype == np.uint8
    if not fits or not _as_written(mapped, chunks):
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(mapped), bad


def _map(path: Path) -> Pixels:
    """The map, copied on write; or strictly read-only, where memory is too short for that.

    Some systems count the first against the memory of the process, though pages that nobody writes to take none.
    """
    try:
        return np.lib.format.open_memmap(path, mode="c")
    except OSError:
        return np.lib.format.open_memmap(path, mode="r")


def _as_written(mapped: Pixels, chunks: Sequence[Chunk]) -> bool:
    """Whether chunks spread over the map, the first and the last among them, are what was written there."""
    ends = np.cumsum([chunk.images for chunk in chunks])
    if not len(ends) or ends[-1] != len(mapped):
        return False
    looked_at = np.unique(np.linspace(0, len(chunks) - 1, SAMPLED).round().astype(int))
    return all(zlib.crc32(mapped[ends[i] - chunks[i].images : ends[i]].data) == chunks[i].crc for i in looked_at)


# --- building ---------------------------------------------------------------------------------------------------------


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of a cache; say so where another process holds it and this one has to wait."""
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"ccigkit: another process is decoding into {path}; waiting for it", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(path: Path, images: Images, names: Sequence[str], view: View, on_bad: OnBad) -> list[Chunk]:
    """Decode the named images into NAME.partial, from where an earlier process stopped; the chunks that it has then.

    Plain writes and not a map: a full disk is an error to them, but kills a process that writes through a map.
    """
    partial, journal = path.with_suffix(".partial"), path.with_suffix(".journal")
    header = _header(len(names), view.size)
    with images.reading() as read, explaining(path):
        chunks = _resumed(partial, journal, header, view.size)
        done = CHUNK * len(chunks)
        _make_sure_of_space(path, (len(names) - done) * 3 * view.size**2)
        with partial.open("r+b") as file, journal.open("a", encoding="utf-8") as log, _progress(len(names)) as progress:
            bar = progress.add_task("Decoding", total=len(names), completed=done)
            file.seek(0, os.SEEK_END)
            for pixels, bad in _decoded(read, names[done:], view):
                content = b"".join(image.tobytes() for image in pixels)
                file.write(content)
                file.flush()
                chunks.append(Chunk(len(pixels), zlib.crc32(content), bad))
                print(json.dumps(vars(chunks[-1])), file=log, flush=True)
                progress.advance(bar, len(pixels) + len(bad))
    left_out = {name: reason for chunk in chunks for name, reason in chunk.bad.items()}
    if left_out and (on_bad == "refuse" or len(left_out) == len(names)):
        partial.unlink()
        journal.unlink()
        remedy = "fetch them again" + (", or leave them out with data.on_bad=skip" if on_bad == "refuse" else "")
        raise DataError(f"{_unreadable(images.place, left_out, len(names))}; {remedy}")
    return chunks


def _finish(path: Path, chunks: Sequence[Chunk], size: int, source: dict[str, str]) -> None:
    """Give a complete NAME.partial its header, its manifest and its name, in that order."""
    partial, count = path.with_suffix(".partial"), sum(chunk.images for chunk in chunks)
    with explaining(path), partial.open("r+b") as file:
        file.write(_header(count, size))  # as long as the first, numpy pads it to grow
        file.flush()
        os.fsync(file.fileno())  # so that a crash of the machine cannot leave the new name on missing bytes
    write_json(path.with_suffix(".json"), {**source, "images": count, "chunks": [vars(chunk) for chunk in chunks]})
    with explaining(path):
        partial.replace(path)
        path.with_suffix(".journal").unlink(missing_ok=True)


def _header(count: int, size: int) -> bytes:
    file = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (count, 3, size, size)}
    np.lib.format.write_array_header_1_0(file, shape)
    return file.getvalue()


def _resumed(partial: Path, journal: Path, header: bytes, size: int) -> list[Chunk]:
    """The chunks of an earlier process that are still whole; both files then end with the last of them."""
    chunks: list[Chunk] = []
    if partial.is_file() and journal.is_file():
        with partial.open("rb") as file:
            file.seek(len(header))
            for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    chunk = Chunk(**json.loads(line))
                except (ValueError, TypeError):
                    break
                if zlib.crc32(file.read(chunk.images * 3 * size**2)) != chunk.crc:
                    break
                chunks.append(chunk)
    with partial.open("r+b" if chunks else "wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(chunk.images for chunk in chunks) * 3 * size**2)
    journal.write_text("".join(json.dumps(vars(chunk)) + "\n" for chunk in chunks), encoding="utf-8")
    return chunks


def _make_sure_of_space(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise UserError(
            f"the cache {path} needs {needed / 1e9:.2g} GB more but {free / 1e9:.2g} GB are free; "
            "free some space or choose another place: data.cache=FOLDER"
        )


def _decoded(read: Read, names: Sequence[str], view: View) -> Iterator[tuple[list[Pixels], dict[str, str]]]:
    """The images of every chunk in order, and what kept the others of it from being read."""

    def decode(chunk: Sequence[str]) -> tuple[list[Pixels], dict[str, str]]:
        pixels, bad = [], {}
        for name in chunk:
            try:
                pixels.append(view.pixels(read(name)))
            except UnidentifiedImageError:
                bad[name] = "not an image"
            except UNREADABLE as error:
                bad[name] = " ".join(str(error).split()) or type(error).__name__
        return pixels, bad

    # Threads, since the decoders let go of the GIL; as many as torch may use, so that OMP_NUM_THREADS holds here too.
    # A few chunks ahead and no more, so that fast decoders do not fill the memory ahead of a slow disk.
    pending: deque[Future[tuple[list[Pixels], dict[str, str]]]] = deque()
    with _torch_in_one_thread() as threads, ThreadPoolExecutor(threads) as pool:
        for first in range(0, len(names), CHUNK):
            pending.append(pool.submit(decode, names[first : first + CHUNK]))
            if len(pending) > 2 * threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _torch_in_one_thread() -> Iterator[int]:
    """Keep torch from sharing one small image among threads; how many it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _progress(total: int) -> Any:
    """A progress bar, on a terminal."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty() or not total)


def _unreadable(place: Path, bad: dict[str, str], total: int) -> str:
    name, reason = next(iter(bad.items()))
    return f"{len(bad)} of {total} images in {place} cannot be read, first {name} ({reason})"
