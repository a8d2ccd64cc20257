"""Separated text, whatever program wrote it: its encoding and its delimiter found out, its rows one by one."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

from ccigkit.data.files.cells import is_hole, is_number
from ccigkit.data.files.sources import SUFFIXES, refuse_html
from ccigkit.errors import DataError

NAMED = {",": "commas", ";": "semicolons", "\t": "tabs"}  # the delimiters that are looked for
BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
OTHERS = {  # how files begin that are no text, though named so
    b"PK\x03\x04": "a spreadsheet or a zip",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of Excel",
    b"PAR1": "a parquet file",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed, and should end in .gz",
}
SAMPLE = 1 << 16  # characters that the delimiter is found from
UNREADABLE = (OSError, EOFError, UnicodeError, csv.Error, zlib.error)
SEP = re.compile(r'"?sep=(.)"?\r?\n?')  # the line that tells Excel the delimiter


@dataclass(frozen=True)
class Form:
    """How a file of separated text is written, and what of that was inferred and is to be said."""

    encoding: str
    delimiter: str
    skipped: int  # lines before the header
    said: tuple[str, ...]


def form_of(path: Path) -> Form:
    """The encoding and the delimiter of a file.

    Raises:
        DataError: where it is no text, or its delimiter is doubtful.
    """
    refuse_html(path, "a table")
    with reading(path):
        encoding = _encoding(path)
        with _text(path, encoding) as file:
            sample = file.read(SAMPLE)
            whole = not file.read(1)
        if "\0" in sample:
            raise DataError(f"{path} is not a table of separated text: it holds zero bytes; export it again as .csv")
        usual = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
        if declared := SEP.match(sample):
            delimiter, skipped = declared[1], 1
        else:
            delimiter, skipped = _delimiter(path, sample, whole, usual), 0
    said = [f"separated by {NAMED.get(delimiter, repr(delimiter))}"] if delimiter != usual else []
    if encoding == "cp1252":
        said.append("read as Windows-1252 (save it as UTF-8 if letters look wrong)")
    return Form(encoding, delimiter, skipped, tuple(said))


def text_rows(path: Path, form: Form) -> Iterator[list[str]]:
    """The rows [cells], the header first, without blank lines, and without rows of nothing but delimiters at the end.

    Raises:
        DataError: where the text ends inside a quotation, or cannot be decoded.
    """
    with reading(path), _text(path, form.encoding) as file:
        for _ in range(form.skipped):
            file.readline()
        blank: list[list[str]] = []  # that only matter where something follows
        for row in csv.reader(file, delimiter=form.delimiter, skipinitialspace=True, strict=True):
            if not row:
                continue
            if len(row) > 1 and not any(map(str.strip, row)):
                blank.append(row)
            else:
                yield from blank
                blank.clear()
                yield row


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Say in one line what keeps a file from being read as text.

    Raises:
        DataError: where it cannot be.
    """
    try:
        yield
    except UNREADABLE as error:
        why = " ".join(str(error).split())
        if isinstance(error, UnicodeError):
            why += "; save it as UTF-8"
        if isinstance(error, csv.Error):
            why += "; close every quotation mark, and double those inside of cells"
        raise DataError(f"{path} is not a table of separated text: {why}") from None


def refuse_headless(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Check that the first row [d] of a file has the names of the columns, and not the cells of a first row.

    It has cells where a number stands over numbers, an image over images, or most words are among those under them;
    unless a word stands over numbers, which no cell does.

    Raises:
        DataError: where it has cells.
    """
    columns = [[row[j].strip() for row in rows] for j in range(len(names))]
    counted = [name for name in names if name] == [str(j) for j in range(sum(map(bool, names)))]
    if counted and (not names[0] or len(names) > 2):  # as pandas names columns without names
        return
    if any(
        name and not _is_number(name) and not is_hole(name) and _mostly(_is_number, cells)
        for name, cells in zip(names, columns, strict=True)
    ):  # a word over numbers is a name, so its neighbours are: x, 2019, 2020
        return
    over = [name in cells for name, cells in zip(names, columns, strict=True) if name]
    alike = any(
        (_is_number(name) and _mostly(_is_number, cells)) or (_is_file(name) and _mostly(_is_file, cells))
        for name, cells in zip(names, columns, strict=True)
    )
    if alike or 2 * sum(over) > len(over):
        first = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        raise DataError(
            f"{path} seems to have no header: its first row is {first!r}; put a line with the names of the columns "
            "above it, or, if these are the names, let them begin with a letter and be no value of their column"
        )


def _mostly(like: Callable[[str], bool], cells: Sequence[str]) -> bool:
    """Whether more than half of the cells that are filled are so."""
    filled = [cell for cell in cells if not is_hole(cell)]
    return 2 * sum(map(like, filled)) > len(filled)


def _is_number(text: str) -> bool:
    return is_number(text, comma=True)


def _is_file(text: str) -> bool:
    return text.lower().endswith(SUFFIXES)


def _text(path: Path, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_opened(path), encoding=encoding, newline="")


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _encoding(path: Path) -> str:
    """By its mark; without one UTF-8, where all of it is that, else what Windows writes in the West."""
    with _opened(path) as file:
        start = file.read(4096)
    if other := next((what for begin, what in OTHERS.items() if start.startswith(begin)), ""):
        raise DataError(f"{path} is not a table of separated text, but {other}; export the table as .csv")
    for mark, encoding in BOMS:
        if start.startswith(mark):
            return encoding
    if b"\0" in start:  # ASCII in UTF-16: every other byte is zero
        even, odd = start[::2].count(0), start[1::2].count(0)
        if 5 * (even + odd) > len(start) and max(even, odd) > 2 * min(even, odd):
            return "utf-16-le" if odd > even else "utf-16-be"
    try:
        _decode(path, "utf-8")
    except UnicodeDecodeError as error:
        try:
            _decode(path, "cp1252")
        except UnicodeDecodeError:
            raise error from None
        return "cp1252"
    return "utf-8"


def _decode(path: Path, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    with _opened(path) as file:
        for part in chain(iter(lambda: file.read(1 << 20), b""), [b""]):
            decoder.decode(part, final=not part)


def _delimiter(path: Path, sample: str, whole: bool, usual: str) -> str:
    """The delimiter under which most rows have as many cells as the first, and then most of them are numbers.

    Raises:
        DataError: where two do equally well, neither of them the usual one.
    """
    scores: dict[str, tuple[float, float]] = {}
    for delimiter in sorted(NAMED, key=lambda mark: mark != usual):
        try:
            rows = list(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, skipinitialspace=True))
        except csv.Error:
            continue
        rows = [row for row in (rows if whole or len(rows) < 2 else rows[:-1]) if row]
        if rows and len(rows[0]) > 1:
            fit = [row for row in rows[1:] if len(row) == len(rows[0])]
            cells = [cell for row in fit for cell in row]
            scores[delimiter] = (
                len(fit) / max(len(rows) - 1, 1),
                sum(is_number(cell.strip(), comma=True) for cell in cells) / max(len(cells), 1),
            )
    if not scores:  # of one column; where that has decimal commas, they part nothing
        _, *lines = sample.split() or [""]
        comma = any("," in line for line in lines) and all(is_number(line, comma=True) for line in lines)
        return ";" if comma else usual
    best = [delimiter for delimiter, score in scores.items() if score == max(scores.values())]
    if usual not in best and len(best) > 1:
        both = " or by ".join(NAMED[delimiter] for delimiter in best)
        raise DataError(f"{path} may be separated by {both}; write 'sep=;', or what it is, as its first line")
    return best[0]
