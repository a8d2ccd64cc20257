"""Images in tar shards, as WebDataset keeps them: for data that does not fit one disk or one process."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tarfile
import threading
import warnings
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from ccigkit.causal.attributes import Attributes, SaidKind, Values
from ccigkit.component.options import Count, Folder, Fraction, Natural
from ccigkit.data.base import SplitName
from ccigkit.data.files.cache import OnBad
from ccigkit.data.files.cells import Missing, read_attributes
from ccigkit.data.files.crops import Preset, View
from ccigkit.data.files.folder import FileData, Rows
from ccigkit.data.files.parquet import parts_by_file
from ccigkit.data.files.sources import SUFFIXES, Images, Read, refuse_html
from ccigkit.errors import DataError, one_of
from ccigkit.pixels import UNREADABLE

AHEAD = 2  # batches that are being decoded while training is busy with the one before


class Shards(FileData):
    """Tar shards of samples KEY.jpg and KEY.json, the JSON an object of labels; train-000.tar, test-000.tar, ...

    They are decoded once into the cache, which is far smaller than the shards; or, with `streamed`, read again from the
    shards in every epoch. `stream` is for a loop of one's own: it reads the shards in order, each
    process its own share of them, every sample exactly once per epoch.

    Args:
        root: the folder with the .tar files; the first word of their names may say train, valid or test.
        attributes: which labels to model.
        streamed: train without a cache of the training images: each is read when its turn comes, a few batches ahead,
            in as many threads as torch may use. The model is the same, to the last bit.
        kinds: kinds of attributes, where the inferred ones are wrong; `ordered` is categorical, and the order counts.
        missing: whether a sample with a hole in an attribute is an error (refuse) or is dropped (drop).
        size: height and width of the images, in pixels.
        crop: what is cut out before resizing: the largest central square, one of so many pixels a side, or a paper's
            crop by its name; whole, or 0, squeezes the whole image into a square.
        limit: use only so many images, spread evenly over the shards; 0 for all.
        on_bad: whether images that cannot be read are an error (refuse) or are left out (skip).
        cache: folder for the decoded images; empty for `ccigkit` in the user's cache.
        share_test: share of the images in the test split, where the names of the shards say none.
        seed: seed of that split.
    """

    name = "shards"

    def __init__(
        self,
        *,
        root: Folder = "",
        attributes: list[str] = [],  # noqa: B006  never written to
        streamed: bool = False,
        kinds: dict[str, SaidKind] = {},  # noqa: B006
        missing: Missing = "refuse",
        size: Count = 64,
        crop: Preset | int = "square",
        limit: Natural = 0,
        on_bad: OnBad = "refuse",
        cache: Folder = "",
        share_test: Fraction = 0.1,
        seed: Natural = 0,
    ) -> None:
        super().__init__(root, size, crop, limit, on_bad, cache, share_test, seed)
        if not attributes:
            raise DataError("shards: attributes is empty; name the labels to model, as the .json files call them")
        if streamed and on_bad == "skip":
            raise DataError(
                "shards: streamed=true looks at no image before its turn, so it cannot know which to leave out; "
                "set on_bad=refuse, or streamed=false"
            )
        self.streamed = streamed
        self._shards = ShardImages.find(self.place("the .tar files"))
        where, labels = self._shards.place, self._shards.labels
        for name in (*attributes, *kinds):
            for key, label in labels.items():
                if name not in label and (missing == "refuse" or not any(name in other for other in labels.values())):
                    raise DataError(f"{where}: {key}.json: {one_of('label', name, label)}")
        columns = {name: [label.get(name) for label in labels.values()] for name in attributes}
        self._reading = read_attributes(columns, attributes, kinds, missing, where)
        self.attributes = tuple(Attributes(self._reading.attributes))
        if self._reading.said:
            warnings.warn(f"{where}: {'; '.join(self._reading.said)}", stacklevel=2)

    def find(self) -> Rows:
        names = np.array(list(self._shards.entries))[self._reading.kept]
        parts = parts_by_file([name.partition(":")[0] for name in names.tolist()])
        return Rows(self._shards, names, self._reading.values, parts)

    def images_hash(self) -> str:
        if not self.streamed:
            return super().images_hash()
        names = self._split("train").names.tolist()  # no image is looked at before its turn: their names and sizes
        listed = [(name, self._shards.entries[name][2]) for name in names]
        return hashlib.sha256(json.dumps(listed).encode()).hexdigest()

    def in_batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        self._split("test")  # missed now, and not when the training is done
        return self._read_ahead(rows) if self.streamed else super().in_batches(rows)

    def _read_ahead(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        names = self._split("train").names
        pending: deque[list[Future[Tensor]]] = deque()
        with self._shards.reading() as read, ThreadPoolExecutor(torch.get_num_threads()) as pool:
            for wanted in rows:
                chosen = names[wanted.numpy()].tolist()
                pending.append([pool.submit(lambda name: decoded(self.view, name, read(name)), n) for n in chosen])
                if len(pending) > AHEAD:
                    yield torch.stack([image.result() for image in pending.popleft()])
            while pending:
                yield torch.stack([image.result() for image in pending.popleft()])

    def stream(self, split: SplitName, *, epoch: int = 0, shuffle: int = 1000) -> IterableDataset[Sample]:
        """The samples of a split, one by one, read from the shards through the library webdataset (an extra).

        Every epoch has another order: of the shards, and of the samples among `shuffle` that are kept waiting (0 for
        none). The processes of a distributed run and the workers of a DataLoader share the shards among them.

        Raises:
            DataError: where there are more processes than shards, or, while reading, at an image that cannot be read.
        """
        rows = self._split(split)
        values = dict(zip(rows.names.tolist(), rows.values, strict=True))
        shards = sorted({str(self._shards.entries[name][0]) for name in values})
        order = np.random.default_rng((self.seed, epoch)).permutation(len(shards))
        return Stream([shards[i] for i in order], values, self.view, self.on_bad, shuffle, self.seed + 7919 * epoch)


@dataclass(frozen=True)
class Sample:
    """An image [3, h, w] as uint8 with its attributes [d], and its name SHARD:KEY."""

    name: str
    image: Tensor
    values: Tensor


class Stream(IterableDataset[Sample]):
    """Samples of some shards, of which every process and every worker reads its own."""

    def __init__(
        self, shards: list[str], values: Mapping[str, Values], view: View, on_bad: OnBad, shuffle: int, seed: int
    ) -> None:
        self.shards, self.values, self.view, self.on_bad = shards, values, view, on_bad
        self.shuffle, self.seed = shuffle, seed

    def __iter__(self) -> Iterator[Sample]:
        try:
            import webdataset
        except ImportError:
            raise DataError("streaming shards needs webdataset: pip install 'ccigkit[shards]'") from None
        rank, world, worker, workers = webdataset.utils.pytorch_worker_info()
        if len(self.shards) < world * workers:
            raise DataError(
                f"{world * workers} processes share {len(self.shards)} shards, so some would have none; "
                "make more shards or take fewer processes or workers"
            )
        mine = self.shards[rank * workers + worker :: world * workers]
        stages = [webdataset.SimpleShardList(mine), webdataset.tarfile_to_samples()]
        if self.shuffle:
            stages.append(webdataset.shuffle(self.shuffle, rng=random.Random(f"{self.seed} {rank} {worker}")))  # noqa: S311
        known = {_as_cut(name): name for name in self.values}
        for sample in webdataset.DataPipeline(*stages):
            start = f"{Path(sample['__url__']).stem}:{sample['__key__']}"
            for name, content in _images_in(start, sample):
                if (key := known.get(name)) is None:
                    continue
                try:
                    image = decoded(self.view, key, content)
                except DataError:
                    if self.on_bad == "skip":
                        continue
                    raise
                yield Sample(key, image, torch.as_tensor(self.values[key]))


def _as_cut(name: str) -> str:
    """A name as WebDataset has it, which makes all after the first dot of a file small."""
    folder, slash, file = name.rpartition("/")
    key, dot, rest = file.partition(".")
    return folder + slash + key + dot + rest.lower()


def _images_in(start: str, sample: Mapping[str, object]) -> Iterator[tuple[str, bytes]]:
    """The images of a sample of WebDataset, which cuts names at the first dot: img.001.jpg is img's field 001.jpg."""
    for field, content in sample.items():
        name, _, ending = f"{start}.{field}".rpartition(".")
        if f".{ending}" in SUFFIXES and isinstance(content, bytes):
            yield name, content


def decoded(view: View, name: str, content: bytes) -> Tensor:
    """An image file as uint8 [3, size, size].

    Raises:
        DataError: where it cannot be read.
    """
    try:
        return torch.from_numpy(view.pixels(content))
    except UNREADABLE as error:
        raise DataError(f"the image of {name} cannot be read ({error}); data.on_bad=skip leaves it out") from None


@dataclass(frozen=True)
class ShardImages(Images):
    """The images in the .tar files of a folder, each named SHARD:KEY.

    Their entries say where in which file they lie, their size and the file's time; `labels` what their .json says.
    """

    place: Path
    entries: Mapping[str, tuple[str, int, int, int]]
    labels: Mapping[str, Mapping[str, object]]

    @classmethod
    def find(cls, place: Path) -> ShardImages:
        """List the shards of a folder and read their labels; the images are passed over.

        Raises:
            DataError: where there are none, one cannot be read, or an image has no labels.
        """
        paths = sorted(place.glob("*.tar"))
        if not paths:
            raise DataError(f"{place} has no .tar files")
        entries: dict[str, tuple[str, int, int, int]] = {}
        labels: dict[str, Mapping[str, object]] = {}
        lost: list[str] = []
        for path in paths:
            pictures, described = _listed(path)
            for file, entry in pictures:
                if (key := _key(file, described)) is None:
                    continue  # another part of a sample
                name = f"{path.stem}:{key}"
                if name in entries:
                    raise DataError(f"{place} has {name} twice; remove one of the two")
                entries[name] = entry
                if isinstance(label := described.get(key), dict):
                    labels[name] = label
                else:
                    lost.append(name)
        if lost:
            raise DataError(f"{place}: {len(lost)} of {len(entries)} images have no .json with labels, first {lost[0]}")
        if not entries:
            raise DataError(f"{place}: its {len(paths)} .tar files hold no images ({', '.join(SUFFIXES)})")
        return cls(place, entries, labels)

    @contextmanager
    def reading(self) -> Iterator[Read]:
        opened: dict[int, tuple[str, int]] = {}  # the file that each thread reads from, as there may be very many

        def read(name: str) -> bytes:
            path, start, size, _ = self.entries[name]
            thread = threading.get_ident()
            before, file = opened.get(thread, ("", -1))
            if before != path:
                if opened.pop(thread, None):
                    os.close(file)
                file = os.open(path, os.O_RDONLY)
                opened[thread] = path, file
            return os.pread(file, size, start)

        try:
            yield read
        finally:
            for _, file in opened.values():
                os.close(file)


Listed = list[tuple[str, tuple[str, int, int, int]]]


def _listed(path: Path) -> tuple[Listed, dict[str, object]]:
    """The images in a shard by their paths in it, and what its .json files say, by theirs without the ending.

    Raises:
        DataError: where it cannot be read.
    """
    refuse_html(path, "a tar file")
    pictures: Listed = []
    described: dict[str, object] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                key, _, ending = member.name.rpartition(".")
                if not member.isfile() or member.name.rpartition("/")[2].startswith("."):
                    continue
                if f".{ending.lower()}" in SUFFIXES:
                    pictures.append(
                        (member.name, (str(path), member.offset_data, member.size, path.stat().st_mtime_ns))
                    )
                elif ending.lower() == "json" and (content := archive.extractfile(member)):
                    described[key] = json.load(content)
    except (OSError, tarfile.TarError, ValueError, RecursionError) as error:
        raise DataError(f"cannot read {path}: {error}; if it was cut short, fetch it again") from None
    return pictures, described


def _key(file: str, described: Container[str]) -> str | None:
    """What an image is called, so that its .json has the same name; None where it is another part of a sample.

    WebDataset cuts names at the first dot, so 001.mask.png belongs to 001.json; but img.001.jpg to img.001.json.
    """
    whole = file.rpartition(".")[0]
    folder, slash, name = whole.rpartition("/")
    first = folder + slash + name.partition(".")[0]
    return None if whole not in described and first != whole and first in described else whole
