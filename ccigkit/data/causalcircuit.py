"""CausalCircuit: a robot arm that presses buttons which light lamps, before and after an intervention."""

from __future__ import annotations

import math
import pickle
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Attribute, Flags, Values
from ccigkit.causal.graph import CausalGraph
from ccigkit.component.options import Count, Folder, Natural
from ccigkit.data.base import Split, SplitName
from ccigkit.data.files.cache import OnBad, cached_images
from ccigkit.data.files.folder import FileData, Rows
from ccigkit.data.files.sources import Images, Read, refuse_html
from ccigkit.errors import DataError, one_of

LATENTS = ("red", "green", "blue", "arm")  # the columns of the published files
NAMES = ("arm", "blue", "green", "red")
COLUMNS = [LATENTS.index(name) for name in NAMES]
FILES = {"train": "train", "valid": "val", "test": "test"}


@dataclass(frozen=True)
class Pairs:
    """Images before and after an intervention, row by row, and which attributes it held [n, d], where the file says."""

    before: Split
    after: Split
    held: npt.NDArray[np.bool_] | None


class CausalCircuit(FileData):
    """A robot arm and three lamps (Brehmer et al., 2022), in the published files of pairs of images.

    The folder holds train.npz (or train-0.npz, train-1.npz, ...), test.npz and perhaps val.npz. A split is the images
    before the intervention; `pairs` has those after it too. The renderer is not published, so other interventions than
    the given have no true answer.

    Args:
        root: the folder with the files.
        size: height and width of the images, in pixels.
        both: whether the images after the intervention are rows of a split, too, and the table says what was set there.
        limit: use only so many images, spread evenly over the files; 0 for all.
        on_bad: whether images that cannot be read are an error (refuse) or are left out (skip).
        cache: folder for the decoded images; empty for `ccigkit` in the user's cache.
    """

    name = "causalcircuit"
    attributes = tuple(Attribute(name, "continuous") for name in NAMES)
    truth = CausalGraph.from_edges(NAMES, ["arm -> blue", "arm -> green", "arm -> red", "blue -> red", "green -> red"])

    def __init__(
        self,
        *,
        root: Folder = "",
        size: Count = 64,
        both: bool = False,
        limit: Natural = 0,
        on_bad: OnBad = "refuse",
        cache: Folder = "",
    ) -> None:
        self.moments = ("before", "after") if both else ("before",)
        super().__init__(root, size, "whole", limit, on_bad, cache, share_test=0.1, seed=0)

    def find(self) -> Rows:
        names, parts, entries = [], [], {}
        for path, part in self._archives:
            stat, latents = path.stat(), read_member(path, "original_latents")
            if latents.shape[1:] != (2, len(LATENTS)):
                raise DataError(f"{path}: original_latents is {list(latents.shape)}, not [n, 2, {len(LATENTS)}]")
            rows = [f"{path.stem}:{row}" for row in range(len(latents))]
            names += [f"{row}:{moment}" for row in rows for moment in self.moments]
            parts += [part] * len(rows) * len(self.moments)
            for row in rows:
                for moment in ("before", "after"):
                    entries[f"{row}:{moment}"] = (str(path), stat.st_size, stat.st_mtime_ns)
        images = NpzImages(self.place("train.npz"), entries)
        values, held = self._latents(names, 0), None
        if "after" in self.moments:
            after = np.array([[name.endswith(":after")] for name in names])
            values, held = np.where(after, self._latents(names, 1), values), after & self._held(names)
        return Rows(images, np.array(names), values, np.array(parts), intervened=held)

    def pairs(self, split: SplitName) -> Pairs:
        """The images before and after, row by row; an image that cannot be read is an error in either."""
        rows = self._split(split)
        before = [name for name in rows.names.tolist() if name.endswith(":before")]
        after = [name.replace(":before", ":after") for name in before]
        images = [
            cached_images(rows.images, names, self.view, on_bad="refuse", folder=self.cache)[0]
            for names in (before, after)
        ]
        held = None
        if all("intervention_masks" in _members(path) for path, _ in self._archives):
            held = self._held(before)
        return Pairs(Split(images[0], self._latents(before, 0)), Split(images[1], self._latents(before, 1)), held)

    @cached_property
    def _archives(self) -> list[tuple[Path, str]]:
        """The files, and the split that each is of."""
        place = self.place("train.npz")
        found = [
            (path, part)
            for part, word in FILES.items()
            for path in sorted({*place.glob(f"{word}.npz"), *place.glob(f"{word}-*.npz")})
        ]
        if "train" not in {part for _, part in found}:
            raise DataError(f"{place} has no train.npz, nor a train-0.npz")
        if len({part for _, part in found}) < 2:
            raise DataError(
                f"{place} has no test.npz, nor a test-0.npz or a val.npz; a training ends with pictures of it"
            )
        return found

    def _latents(self, names: list[str], moment: int) -> Values:
        """The attributes [n, d] of rows, before (0) or after (1)."""
        return self._rows_of("original_latents", names)[:, moment, COLUMNS].astype(float)

    def _held(self, names: list[str]) -> Flags:
        """Which attributes [n, d] the intervention of each row set."""
        return self._rows_of("intervention_masks", names)[:, COLUMNS].astype(bool)

    def _rows_of(self, member: str, names: list[str]) -> npt.NDArray[Any]:
        arrays = {path.stem: read_member(path, member) for path, _ in self._archives}
        at = [name.split(":") for name in names]
        return np.array([arrays[stem][int(row)] for stem, row, _ in at])


@dataclass(frozen=True)
class NpzImages(Images):
    """The images in .npz files of pairs: each named FILE:ROW:before or :after, with its file's size and time."""

    place: Path
    entries: Mapping[str, tuple[str, int, int]]

    @contextmanager
    def reading(self) -> Iterator[Read]:
        lock = threading.Lock()

        @lru_cache(maxsize=1)  # names come file by file, and one file's images already fill some memory
        def images(path: str) -> npt.NDArray[Any]:
            return read_member(Path(path), "imgs")

        def read(name: str) -> bytes:
            _, row, moment = name.split(":")
            with lock:
                found = images(self.entries[name][0])
            return bytes(found[int(row), int(moment == "after")])

        yield read


def _members(path: Path) -> set[str]:
    refuse_html(path, "an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            return {Path(name).stem for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"cannot read {path}: {error}; if it was cut short, fetch it again") from None


def read_member(path: Path, name: str) -> npt.NDArray[Any]:
    """An array of an .npz file; one of objects too, but of plain bytes and numbers only: no code of the file is run.

    Raises:
        DataError: where there is none of that name, or it holds something else.
    """
    if name not in (members := _members(path)):
        raise DataError(f"{path}: {one_of('array', name, members)}")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            held = archive.getinfo(f"{name}.npy").file_size
            if not dtype.hasobject and (wanted := math.prod(shape) * dtype.itemsize) > held:
                raise ValueError(f"it claims {wanted} bytes and has {held}")
            if dtype.hasobject:
                return np.asarray(PlainUnpickler(file).load()).reshape(shape)
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except (
        OSError,
        ValueError,
        EOFError,
        MemoryError,
        zlib.error,
        zipfile.BadZipFile,
        RuntimeError,
        pickle.UnpicklingError,
    ) as error:
        raise DataError(f"cannot read {name} in {path}: {error}; if it was cut short, fetch it again") from None


class PlainUnpickler(pickle.Unpickler):
    """Arrays, bytes and numbers from a pickle, and nothing that could run code."""

    ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"),
        ("numpy.core.multiarray", "scalar"),
        ("numpy", "ndarray"),
        ("numpy", "dtype"),
        ("_codecs", "encode"),  # how the old protocols write bytes
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("numpy._core", "numpy.core"), name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"it wants to run {module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)
