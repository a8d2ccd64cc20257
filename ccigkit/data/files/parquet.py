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

MAGIC = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM", b"II*\0", b"MM\0*", b"GIF8", b"\0\0\0\x0cjP")  # how images begin


def _pyarrow(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise DataError(f"reading {path} needs pyarrow: pip install 'ccigkit[parquet]'") from None
    return pyarrow


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A parquet file, closed again afterwards, as there may be more of them than a process may hold open.

    Raises:
        DataError: where it is none, or is damaged.
    """
    pyarrow = _pyarrow(path)
    refuse_html(path, "a parquet file")
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (OSError, pyarrow.ArrowException) as error:
        why = " ".join(str(error).split())
        raise DataError(f"{path} is no parquet file: {why}; if it was cut short, fetch it again") from None


def parquet_files(place: Path) -> list[Path]:
    """The parquet files in a folder and in the folders in it, or the file itself, in the order of their names."""
    found = place.rglob("*") if place.is_dir() else [place]
    return sorted(path for path in found if path.suffix.lower() == ".parquet")


def _content_type(path: Path, kind: Any) -> Any:
    """The type of the bytes in a column: of itself, or of the field `bytes` of a structure, as Hugging Face has it."""
    inside = _pyarrow(path).types.is_struct(kind) and kind.get_field_index("bytes") >= 0
    return kind.field("bytes").type if inside else kind


def image_columns(path: Path) -> list[str]:
    """The columns that may hold images: bytes, or structures with bytes in them; those whose first is one before."""
    types = _pyarrow(path).types
    with _opened(path) as file:
        found = [
            str(field.name)
            for field in file.schema_arrow
            for kind in [_content_type(path, field.type)]
            if types.is_binary(kind) or types.is_large_binary(kind)
        ]
        if len(found) > 1:
            for batch in file.iter_batches(batch_size=1, columns=found):
                cells = {name: batch[name][0].as_py() for name in found}
                begins = {name: _content(cell)[:8].startswith(MAGIC) for name, cell in cells.items()}
                return sorted(found, key=lambda name: (not begins[name], name != "image", found.index(name)))
    return found


def image_column(path: Path) -> str | None:
    """The first column that holds images, or the one named `image` where several do; None where none does."""
    return next(iter(image_columns(path)), None)


def _content(cell: Any) -> bytes:
    return bytes((cell["bytes"] if isinstance(cell, dict) else cell) or b"")


def _single(types: Any, kind: Any) -> bool:
    """Whether the cells of a type are single values, and not lists, structures or bytes."""
    if types.is_dictionary(kind):
        return _single(types, kind.value_type)
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_primitive(kind) or types.is_decimal(kind) or types.is_null(kind))


def parquet_blocks(paths: Sequence[Path], image: str | None = None) -> Iterator[dict[str, Sequence[object]]]:
    """The columns of some files under one another, without the image column, some rows at a time.

    Cells that are no single values (a second image, lists) are not read; an empty tuple stands for each.

    Raises:
        DataError: where a file cannot be read or has other columns than the first.
    """
    image = image or image_column(paths[0])
    wanted: set[str] = set()
    for path in paths:
        types, text = _pyarrow(path).types, _pyarrow(path).string()
        with _opened(path) as file:
            schema = file.schema_arrow
            names = [name for name in schema.names if name != image]
            if twice := next((name for name in names if names.count(name) > 1), None):
                raise DataError(f"{path} has two columns named {twice!r}; rename one")
            if wanted and set(names) != wanted:
                raise DataError(f"{path} has other columns than {paths[0]}: {', '.join(sorted({*names} ^ wanted))}")
            wanted = set(names)
            read = [name for name in names if _single(types, schema.field(name).type)]
            if not read:  # nothing but images, which would count no rows
                yield {name: [()] * file.metadata.num_rows for name in names}
                continue
            for batch in file.iter_batches(columns=read):
                cells: dict[str, Sequence[object]] = {}
                for name in names:
                    if name not in read:
                        cells[name] = [()] * batch.num_rows
                    else:  # a time to the nanosecond is none of Python's
                        timed = types.is_temporal(schema.field(name).type)
                        cells[name] = (batch[name].cast(text) if timed else batch[name]).to_pylist()
                yield cells


def parts_by_file(names: Sequence[str]) -> Names | None:
    """The splits [n] of rows in files like train-00000-of-00003.parquet; None where the names say no more than one."""
    words = [name.rpartition("/")[2].partition("-")[0].partition(".")[0].lower() for name in names]
    if len(set(words)) < 2 or not all(word in PARTS for word in words):
        return None
    return np.array([PARTS[word] for word in words])


@dataclass(frozen=True)
class ParquetImages(Images):
    """The images in some parquet files: each named FILE:ROW, with file, row, size, time and column."""

    place: Path
    column: str
    entries: Mapping[str, tuple[str, int, int, int, str]]

    @classmethod
    def find(cls, place: Path, paths: Sequence[Path], column: str = "") -> ParquetImages:
        """List the rows of some files without reading an image.

        Raises:
            DataError: where a file cannot be read, or has no images.
        """
        found = column or image_column(paths[0])
        if not found:
            raise DataError(f"{paths[0]} has no column of images (bytes); give the folder with the images instead")
        entries = {}
        for path in paths:
            stat = path.stat()
            name = path.relative_to(place if place.is_dir() else place.parent).as_posix()
            with _opened(path) as file:
                for row in range(file.metadata.num_rows):
                    entries[f"{name}:{row}"] = (str(path), row, stat.st_size, stat.st_mtime_ns, found)
        return cls(place, found, entries)

    @contextmanager
    def reading(self) -> Iterator[Read]:
        first: dict[str, list[int]] = {}  # the first row of each of a file's row groups
        lock = threading.Lock()

        @lru_cache(maxsize=2)  # the group that is being read, and the one before it for threads that lag behind
        def group(path: str, number: int) -> Any:
            with _opened(Path(path)) as file:
                return file.read_row_group(number, columns=[self.column])[self.column]

        def read(name: str) -> bytes:
            path, row, *_ = self.entries[name]
            with lock:
                if path not in first:
                    with _opened(Path(path)) as file:
                        sizes = (file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups))
                        first[path] = list(accumulate(sizes, initial=0))
                number = bisect_right(first[path], row) - 1
                cell = group(path, number)[row - first[path][number]].as_py()
            if not (content := _content(cell)):
                raise ValueError("no image in this row")
            return content

        yield read
