"""Parquet files of images and labels, as data hubs keep them; read through pyarrow, the extra `parquet`."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ccigkit.data.files.sources import PARTS, Images, Names, Read, refuse_html
from ccigkit.errors import DataError


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow: pip install 'ccigkit[parquet]'") from None
    return pyarrow


def _open(path: Path) -> Any:
    pyarrow = _pyarrow(path)
    refuse_html(path, "a parquet file")
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, pyarrow.ArrowInvalid) as error:
        raise DataError(f"{path} is no parquet file: {error}; if it was cut short, fetch it again") from None


def parquet_files(place: Path) -> list[Path]:
    """The parquet files in a folder and in the folders in it, or the file itself, in the order of their names."""
    return sorted(place.rglob("*.parquet")) if place.is_dir() else [place] if place.suffix == ".parquet" else []


def image_column(path: Path) -> str | None:
    """The first column that holds images: bytes, or (as Hugging Face writes them) a structure with bytes in it."""
    types = _pyarrow(path).types
    for field in _open(path).schema_arrow:
        inside = field.type
        if types.is_struct(inside) and inside.get_field_index("bytes") >= 0:
            inside = inside.field("bytes").type
        if types.is_binary(inside) or types.is_large_binary(inside):
            return str(field.name)
    return None


def parquet_blocks(paths: Sequence[Path]) -> Iterator[dict[str, Sequence[object]]]:
    """The columns of some files under one another, without the image column, some rows at a time.

    Raises:
        DataError: where a file cannot be read or has other columns than the first.
    """
    wanted: set[str] = set()
    for path in paths:
        image = image_column(path)
        file = _open(path)
        names = [name for name in file.schema_arrow.names if name != image]
        if wanted and set(names) != wanted:
            raise DataError(f"{path} has other columns than {paths[0]}: {', '.join(sorted({*names} ^ wanted))}")
        wanted = set(names)
        for batch in file.iter_batches(columns=names):
            yield {name: batch[name].to_pylist() for name in names}


def parts_by_file(names: Sequence[str]) -> Names | None:
    """The splits [n] of rows in files like train-00000-of-00003.parquet; None where the names say no more than one."""
    words = [name.rpartition("/")[2].partition("-")[0].partition(".")[0].lower() for name in names]
    if len(set(words)) < 2 or not all(word in PARTS for word in words):
        return None
    return np.array([PARTS[word] for word in words])


@dataclass(frozen=True)
class ParquetImages(Images):
    """The images in some parquet files: each named FILE:ROW, with the file, the row, the file's size and its time."""

    place: Path
    column: str
    entries: Mapping[str, tuple[str, int, int, int]]

    @classmethod
    def find(cls, place: Path, paths: Sequence[Path]) -> ParquetImages:
        """List the rows of some files without reading an image.

        Raises:
            DataError: where a file cannot be read, or has no images.
        """
        column = image_column(paths[0])
        if column is None:
            raise DataError(f"{paths[0]} has no column of images (bytes); give the folder with the images instead")
        entries = {}
        for path in paths:
            stat = path.stat()
            for row in range(_open(path).metadata.num_rows):
                name = path.relative_to(place if place.is_dir() else place.parent)
                entries[f"{name.as_posix()}:{row}"] = (str(path), row, stat.st_size, stat.st_mtime_ns)
        return cls(place, column, entries)

    @contextmanager
    def reading(self) -> Iterator[Read]:
        opened: dict[str, tuple[Any, list[int]]] = {}  # files, and the first row of each of their row groups
        lock = threading.Lock()

        @lru_cache(maxsize=2)  # the group that is being read, and the one before it for threads that lag behind
        def group(path: str, number: int) -> Any:
            return opened[path][0].read_row_group(number, columns=[self.column])[self.column]

        def read(name: str) -> bytes:
            path, row, *_ = self.entries[name]
            with lock:
                if path not in opened:
                    file = _open(Path(path))
                    sizes = (file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
                    opened[path] = file, list(accumulate(sizes, initial=0))
                first = opened[path][1]
                number = bisect_right(first, row) - 1
                cell = group(path, number)[row - first[number]].as_py()
            content = cell["bytes"] if isinstance(cell, dict) else cell
            if not content:
                raise ValueError("no image in this row")
            return bytes(content)

        yield read
