"""What the readers of image files share: splits, a limit, and images that come out of the cache."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ccigkit.causal.attributes import Flags, Table, Values
from ccigkit.data.base import DataModule, Split, SplitName
from ccigkit.data.files.cache import OnBad, cached_hash, cached_images
from ccigkit.data.files.crops import Preset, View, choose_crop
from ccigkit.data.files.sources import Images, Names
from ccigkit.errors import DataError
from ccigkit.files import cache_folder, expanded


@dataclass(frozen=True)
class Rows:
    """Images [n] by name, with their values [n, d] and their splits [n], where those are given.

    Where they are not, rows of one group (the pictures of one person, say) stay in one split, if groups [n] are known.
    """

    images: Images
    names: Names
    values: Values
    parts: Names | None = None
    groups: Names | None = None
    intervened: Flags | None = None  # [n, d], which attributes were set from outside

    def taken(self, at: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Rows:
        """Some of the rows."""
        parts = None if self.parts is None else self.parts[at]
        groups = None if self.groups is None else self.groups[at]
        intervened = None if self.intervened is None else self.intervened[at]
        return Rows(self.images, self.names[at], self.values[at], parts, groups, intervened)


class FileData(DataModule):
    """Images in files, with values and splits; a subclass finds them, this decodes them once, into a cache."""

    def __init__(
        self,
        root: str,
        size: int,
        crop: Preset | int,
        limit: int,
        on_bad: OnBad,
        cache: str,
        share_test: float,
        seed: int,
    ) -> None:
        self.root, self.limit, self.on_bad, self.share_test, self.seed = root, limit, on_bad, share_test, seed
        self.view = View(choose_crop(crop), size)
        self._cache = cache
        self.image_shape = (3, size, size)

    @property
    def cache(self) -> Path:
        """Where the decoded images are kept."""
        return expanded(self._cache) if self._cache else cache_folder()

    @property
    def preprocess_id(self) -> str:
        """What was done to the pictures: center128-64px-bilinear, for example."""
        return self.view.preprocess_id

    @abstractmethod
    def find(self) -> Rows:
        """The images that have values, with those and their splits; nothing is decoded."""

    def load(self, split: SplitName) -> Split:
        """The images and attributes of one split, in the order of the labels; decoded at the first call only."""
        images, rows = self._decoded(split)
        return Split(images, rows.values)

    def all_values(self) -> Values:
        return self._rows.values

    def images_hash(self) -> str:
        rows = self._split("train")
        return cached_hash(rows.images, rows.names.tolist(), self.view, on_bad=self.on_bad, folder=self.cache)

    def in_batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """Training begins: what is wrong with the test images, which it ends with, is to be known now."""
        self.load("test")
        return super().in_batches(rows)

    def table(self) -> Table:
        """The training split's attributes, without a look at the images, unless bad ones drop out of the split."""
        rows = self._decoded("train")[1] if self.on_bad == "skip" else self._split("train")
        return Table.fit(self.attributes, rows.values, self.truth, rows.intervened)

    def _decoded(self, split: SplitName) -> tuple[Tensor, Rows]:
        """The images [n, c, h, w] of one split that can be read, and their rows."""
        rows = self._split(split)
        images, kept = cached_images(rows.images, rows.names.tolist(), self.view, on_bad=self.on_bad, folder=self.cache)
        return images, rows.taken(kept)

    @cached_property
    def _rows(self) -> Rows:
        """The rows up to the limit, spread evenly over all of them, every one in a split."""
        rows = self.find()
        n = len(rows.names)
        if 0 < self.limit < n:
            rows = rows.taken(np.arange(self.limit) * n // self.limit)
        if rows.parts is None:
            rows = replace(rows, parts=drawn_parts(len(rows.names), self.share_test, self.seed, rows.groups))
        return rows

    def _split(self, split: SplitName) -> Rows:
        rows, parts = self._rows, self._rows.parts
        assert parts is not None
        wanted = "valid" if split == "test" and not (parts == "test").any() else split
        if not (parts == wanted).any():
            raise DataError(
                f"{self.name}: none of the {len(rows.names)} images in {rows.images.place} is in the {split} split; "
                "bring more, or say otherwise which those are"
            )
        return rows.taken(parts == wanted)

    def place(self, what: str) -> Path:
        """Where the user's files are.

        Raises:
            DataError: where no place is given, or nothing is there.
        """
        if not self.root:
            raise DataError(f"{self.name} needs the place of its files: data.root=FOLDER")
        root = expanded(self.root)
        if not root.exists():
            raise DataError(f"{self.name}: there is no folder {root}; set data.root to the one with {what}")
        return root


def drawn_parts(n: int, share_test: float, seed: int, groups: Names | None) -> Names:
    """A split [n] into train and test, drawn; rows of one group stay together."""
    random = np.random.default_rng(seed)
    if groups is None:
        return np.where(random.permutation(n) < round(share_test * n), "test", "train")
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = random.permutation(len(sizes))
    before = np.cumsum(sizes[order]) - sizes[order]  # rows in the groups drawn earlier
    return np.where(np.isin(group, order[before < round(share_test * n)]), "test", "train")
