"""MorphoMNIST: handwritten digits with measured shapes, in the published idx and csv files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge

from ccigkit.causal.attributes import Attribute, Attributes, Table, Values
from ccigkit.causal.graph import CausalGraph
from ccigkit.component.options import Folder
from ccigkit.data.base import DataModule, Split, SplitName
from ccigkit.data.files.cells import numbers
from ccigkit.data.files.columns import read_columns as columns_of
from ccigkit.data.files.crops import Pixels
from ccigkit.data.files.sources import refuse_html
from ccigkit.errors import DataError, one_of
from ccigkit.files import expanded

PREFIX: Mapping[SplitName, str] = {"train": "train", "test": "t10k"}
SIDE = 28
DEEPSCM = {"thickness", "intensity", "digit"}  # what the causal model of the modified files is over


class MorphoMNIST(DataModule):
    """Digits with thickness, slant and more (Castro et al., 2019), or as modified by a causal model (Pawlowski, 2020).

    The folder holds {train,t10k}-images-idx3-ubyte, {train,t10k}-labels-idx1-ubyte, each as it is or as .gz, and
    {train,t10k}-morpho.csv. Where that has no intensity, it is measured: the median of the pixels that are at least
    half as bright as the brightest. Where it has one, the files were made by thickness -> intensity, and so says the
    truth.

    Args:
        root: the folder with the files.
        attributes: digit, intensity, and any column of the csv: thickness, slant, width, height, length, area.
        size: height and width of the images, in pixels; the digits keep their 28 and get a black border.
    """

    name = "morphomnist"

    def __init__(
        self,
        *,
        root: Folder = "",
        attributes: list[str] = ["thickness", "intensity", "digit"],  # noqa: B006  never written to
        size: Annotated[int, Ge(SIDE)] = 32,
    ) -> None:
        if not attributes:
            raise DataError("morphomnist: attributes is empty; name at least one, for example thickness")
        if not root:
            raise DataError("morphomnist needs the folder with its files: data.root=FOLDER")
        self.root, self.size = expanded(root), size
        if not self.root.is_dir():
            raise DataError(
                f"morphomnist: there is no folder {self.root}; set data.root to the one with train-morpho.csv"
            )
        self.image_shape = (1, size, size)
        self.attributes = tuple(Attributes(map(_attribute, attributes)))
        columns = read_columns(self.root / "train-morpho.csv")
        refuse_html(self.root / "t10k-morpho.csv", "a table")
        split: SplitName
        for split in PREFIX:  # said now, not when a training is done
            for what in ("images-idx3-ubyte", *(["labels-idx1-ubyte"] if "digit" in attributes else [])):
                self._path(split, what)
        for name in attributes:
            if name not in {*columns, "digit", "intensity"}:
                raise DataError(f"{self.root}: {one_of('attribute', name, {*columns, 'digit', 'intensity'})}")
        if "intensity" in columns and {*attributes} <= DEEPSCM:
            edges = ["thickness -> intensity"] if {"thickness", "intensity"} <= {*attributes} else []
            self.truth = CausalGraph.from_edges(tuple(attributes), edges)

    @property
    def preprocess_id(self) -> str:
        """What was done to the pictures: padded-32px, for example."""
        return f"padded-{self.size}px"

    def load(self, split: SplitName) -> Split:
        images = self._idx(split, "images-idx3-ubyte", 3)
        border = self.size - SIDE
        before, after = border // 2, border - border // 2
        padded = np.pad(images, ((0, 0), (before, after), (before, after)))
        return Split(torch.from_numpy(padded[:, None]), self._values(split, images))

    def table(self) -> Table:
        return Table.fit(self.attributes, self._values("train", None), self.truth)

    def _values(self, split: SplitName, images: Pixels | None) -> Values:
        """The attributes [n, d] of a split; the images are read where they are needed and not given."""
        path = self.root / f"{PREFIX[split]}-morpho.csv"
        columns = read_columns(path)
        names = [attribute.name for attribute in self.attributes]
        if "digit" in names:
            columns["digit"] = self._idx(split, "labels-idx1-ubyte", 1).astype(float)
        if "intensity" in names and "intensity" not in columns:
            columns["intensity"] = measured_intensity(
                self._idx(split, "images-idx3-ubyte", 3) if images is None else images
            )
        counts = {name: len(columns[name]) for name in names} | ({} if images is None else {"images": len(images)})
        if len(set(counts.values())) > 1:
            counted = ", ".join(f"{count} {name}" for name, count in counts.items())
            raise DataError(f"the {PREFIX[split]} files in {self.root} do not belong together: {counted}")
        return np.stack([columns[name] for name in names], axis=1)

    def _idx(self, split: SplitName, what: str, dimensions: int) -> Pixels:
        return read_idx(self._path(split, what), dimensions)

    def _path(self, split: SplitName, what: str) -> Path:
        """An idx file, plain or compressed, its name as published or, as many programs unpack it, with a dot.

        Raises:
            DataError: where there is none.
        """
        plain = f"{PREFIX[split]}-{what}"
        names = [name + ending for name in (plain, plain.replace("-idx", ".idx")) for ending in ("", ".gz")]
        if found := next((self.root / name for name in names if (self.root / name).is_file()), None):
            return found
        raise DataError(
            f"cannot read {self.root / plain}.gz: No such file, nor one without .gz, nor {names[2]}; fetch it, or set "
            "data.root to the folder with it"
        )


def _attribute(name: str) -> Attribute:
    if name == "digit":
        return Attribute(name, "categorical", categories=tuple("0123456789"))
    return Attribute(name, "continuous", {"thickness": "px", "slant": "rad"}.get(name, ""))


def measured_intensity(images: Pixels) -> Values:
    """How bright the strokes [n] of digits [n, h, w] are: the median of what is at least half as bright as the most."""
    flat = images.reshape(len(images), -1).astype(float)
    strokes = flat >= (flat.min(axis=1, keepdims=True) + flat.max(axis=1, keepdims=True)) / 2
    return np.asarray(np.nanmedian(np.where(strokes, flat, np.nan), axis=1))


def read_idx(path: Path, dimensions: int) -> Pixels:
    """An idx file of bytes (LeCun's format for MNIST), plain or .gz.

    Raises:
        DataError: where it is missing, of another kind, or cut short.
    """
    refuse_html(path, "an idx file")
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}; if it was cut short, fetch it again") from None
    start = 4 + 4 * dimensions
    if content[:4] != bytes([0, 0, 8, dimensions]) or len(content) < start:
        raise DataError(f"{path} is no idx file of bytes in {dimensions} dimensions; fetch it again")
    shape = [int(size) for size in np.frombuffer(content[4:start], ">u4")]
    if len(content) - start != int(np.prod(shape)):
        raise DataError(f"{path} should hold {shape} bytes but has {len(content) - start} of them; fetch it again")
    if dimensions == 3 and shape[1:] != [SIDE, SIDE]:
        raise DataError(f"{path} has images of {shape[1]} x {shape[2]} pixels, not {SIDE} x {SIDE}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_columns(path: Path) -> dict[str, npt.NDArray[np.float64]]:
    """The columns of a csv file of numbers, by name.

    Raises:
        DataError: where it is missing or a cell is no number.
    """
    try:
        columns = {name: numbers(cells) for name, cells in columns_of(path).items()}
    except DataError as error:
        if path.is_file() and f"{path}, row" in str(error):
            raise DataError(f"{path} is no table of numbers: {str(error).removeprefix(f'{path}, ')}") from None
        raise
    if words := next((name for name, values in columns.items() if values is None), None):
        raise DataError(f"{path} is no table of numbers: {words} has words")
    return {name: values for name, values in columns.items() if values is not None}
