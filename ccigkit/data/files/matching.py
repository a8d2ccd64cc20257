"""Rows of a table and the images they are about: which column names the images, and in which way."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ccigkit.data.files.cells import Cells, is_hole, nested, word, words_of
from ccigkit.data.files.sources import SUFFIXES
from ccigkit.errors import DataError

Parts = tuple[str, ...]  # of a path: its folders and its file name
NAMING = re.compile(r"image|img|file|photo|foto|picture|path|name|scan|(?<![a-z])(id|nr|no|number|index|key)(?![a-z])")
WHOLE = re.compile(r"(\d+)(\.0+)?", re.ASCII)  # as some programs write whole numbers beside holes


@dataclass(frozen=True)
class Match:
    """Which image each of some rows is about, by which column, and how that column names images."""

    column: str
    how: str
    images: Mapping[int, str]  # by row
    lost: Sequence[str]  # cells that name no image
    bare: bool  # whether the cells are mere numbers, which other columns may have too


def match_images(columns: Mapping[str, Cells], images: Sequence[str], where: Path, place: Path, given: str) -> Match:
    """The column, `given` or the one that explains most images, and the image of each row.

    Raises:
        DataError: where no column names images, two do and disagree, or one names an image twice.
    """
    listed = _Images(images)
    found = [match for name in ([given] if given else columns) if (match := _by(name, columns[name], listed))]
    if not found:
        name = given or next((n for n, cells in columns.items() if listed.knows(cells)), "")
        example = (
            f"; {name} has {word(columns[name][0])!r}, an image is {images[0]!r}" if name else f", such as {images[0]}"
        )
        raise DataError(
            f"no column of {where} names any of the {len(images)} images in {place}{example}; data.image=COLUMN says "
            "which one should, data.root=FOLDER where they are"
        )
    found.sort(key=lambda match: -_explained(match))
    best = found[0]
    for other in found[1:]:
        if _explained(other) == _explained(best) and other.images != best.images:
            if other.bare != best.bare:
                best = best if other.bare else other
                continue
            raise DataError(
                f"{where}: {best.column} and {other.column} both name {_explained(best)} images, but not the same for "
                "every row; say which one does: data.image=COLUMN"
            )
    counts = Counter(best.images.values())
    if (twice := next((row for row, image in best.images.items() if counts[image] > 1), -1)) >= 0:
        if not given and best.bare:
            raise _doubt(best, len(images), where)
        cell = word(columns[best.column][twice])
        raise DataError(
            f"{where} has {cell} twice; remove one of the two, or say which column names images: data.image="
        )
    if best.bare and not given and not _names_images(best.column) and 2 * len(best.images) < len(images):
        raise _doubt(best, len(images), where)
    return best


def _names_images(column: str) -> bool:
    """Whether a column is called as one that names images is."""
    return bool(NAMING.search(column.lower()))


def _doubt(match: Match, total: int, where: Path) -> DataError:
    return DataError(
        f"{where}: only {match.column} has numbers that are names of images, of {_explained(match)} of {total}, but "
        f"perhaps by chance; say which column names them: data.image=COLUMN"
    )


def _explained(match: Match) -> int:
    """How many images have exactly one row."""
    return sum(count == 1 for count in Counter(match.images.values()).values())


Ending = Callable[[str], str]  # what of a name counts, its ending being the only thing that may differ


class _Images:
    """Images by what only one of them is called; each way of calling them is made once, for all columns."""

    def __init__(self, images: Sequence[str]) -> None:
        self.files = {image: _parts(image) for image in images}
        self.shared = len(_shared(list(self.files.values())))
        self.flat = all(len(parts) == 1 for parts in self.files.values())
        self.names = {_caseless(parts[-1]) for parts in self.files.values()}
        self.numbers = {_number(parts[-1]) for parts in self.files.values()} - {""}
        self._made: dict[tuple[int, Ending], Mapping[str, str]] = {}

    def knows(self, cells: Cells) -> bool:
        """Whether a file name, or a number, in some cells is that of an image, in whatever folder."""
        texts = {parts[-1] for text in {*words_of(cells)} if not is_hole(text) and (parts := _parts(text))}
        return any(_caseless(text) in self.names or _number(text) in self.numbers for text in texts)

    def keys(self, drop: int, ending: Ending) -> Mapping[str, str]:
        """By their paths less so many folders; all of them for -1."""
        if (drop, ending) not in self._made:
            named = {image: ending("/".join(parts[drop:])) for image, parts in self.files.items()}
            counts = Counter(named.values())
            self._made[drop, ending] = {key: image for image, key in named.items() if key and counts[key] == 1}
        return self._made[drop, ending]


def _by(column: str, cells: Cells, images: _Images) -> Match | None:
    """The way in which a column names most images, the strictest of those that do equally well."""
    if nested(cells) or not images.knows(cells):
        return None
    words = words_of(cells)
    texts = {text: parts for text in {*words} if not is_hole(text) and (parts := _parts(text))}
    best: tuple[str, dict[str, str]] = "", {}
    for how, by_key, key in _ways(list(texts.values()), images):
        found = {text: by_key[name] for text, parts in texts.items() if (name := key(parts)) in by_key}
        if len({*found.values()}) > len({*best[1].values()}):
            best = how, found
        if len(found) in (len(texts), len(images.files)):
            break  # as no laxer way names more
    how, found = best
    rows = {row: found[text] for row, text in enumerate(words) if text in found}
    if not rows:
        return None
    lost = [text for text in words if text not in found]
    return Match(column, how, rows, lost, all(map(WHOLE.fullmatch, found)))


def _ways(texts: Sequence[Parts], images: _Images) -> Iterator[tuple[str, Mapping[str, str], Callable[[Parts], str]]]:
    """Ways of naming, the strictest first: what is said of each, the images by their keys, and the key of a cell.

    The rows may have folders before the paths of the images, or the images before those of the rows, if all share them;
    but not both, as 001.jpg of one folder need not be that of another.
    """
    shared = _shared(texts)
    moved = [("", 0, 0)]
    moved += [(f", less {'/'.join(shared[:drop])}/", drop, 0) for drop in range(1, len(shared) + 1)]
    moved += [("", 0, drop) for drop in range(1, images.shared + 1)]
    bare = all(len(parts) == 1 for parts in texts)
    if bare or images.flat:
        moved.append(("" if bare else ", by their file names alone", -1, -1))
    for ending, how in ((_lower_ending, ""), (_stem, ", without the endings"), (_caseless, ", in letters of any case")):
        for where, of_texts, of_images in moved:
            yield where + how, images.keys(of_images, ending), partial(_key, drop=of_texts, ending=ending)
    if bare:
        yield ", by the number in the file name", images.keys(-1, _number), partial(_key, drop=-1, ending=_number)


def _key(parts: Parts, drop: int, ending: Ending) -> str:
    return ending("/".join(parts[drop:]))


def _parts(text: str) -> Parts:
    """A path's folders and file name: with slashes of either kind, ./ or not, accents composed or not."""
    plain = unicodedata.normalize("NFC", text).replace("\\", "/")
    return tuple(part for part in plain.split("/") if part not in ("", "."))


def _shared(paths: Sequence[Parts]) -> Parts:
    """The folders that all paths begin with."""
    if not paths:
        return ()
    low, high = min(paths), max(paths)
    same = 0
    while same < min(len(low), len(high)) - 1 and low[same] == high[same]:
        same += 1
    return low[: min(same, min(map(len, paths)) - 1)]


def _has_ending(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] if _has_ending(name) else name


def _lower_ending(name: str) -> str:
    """A name with its ending in small letters."""
    stem = _stem(name)
    return stem + name[len(stem) :].lower()


def _caseless(name: str) -> str:
    return _stem(name).casefold()


def _number(name: str) -> str:
    """0007.jpg as 7; empty where it is no number."""
    numbered = WHOLE.fullmatch(_stem(name))
    return numbered[1].lstrip("0") or "0" if numbered else ""
