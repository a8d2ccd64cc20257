"""What a cell of a table means: a number, a truth, a word or a hole; and what kind of attribute a column of them is."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from ccigkit.causal.attributes import Attribute, Kind, SaidKind, Values, infer_kind
from ccigkit.data.files.remarks import remarks
from ccigkit.data.files.spelling import (
    COMMA,
    NUMBER,
    PADDED,
    THOUSANDS,
    is_hole,
    is_number,
    undressed,
    word,
)
from ccigkit.errors import DataError
from ccigkit.names import TRUTHS, elided, setting

Cells = Sequence[object] | Values  # one of a column's, [n]
Missing = Literal["refuse", "drop"]

FIGURE = re.compile(r"\W{0,2}\d")
MOST_CATEGORIES = 50  # more different words than that are names or remarks, and no attribute
MOST_LABELS, LARGEST_LABEL = 10, 10  # whole numbers that are labels, how many and how large they may be
MARKS = {"-": "+", "*": "**"}  # positive and negative, or how significant: no holes where the other one is, too
UNNAMED = re.compile(r"|unnamed: \d+.*|index|level_0|rownames?|row|row_?id|id|idx|nr\.?|no\.?|#|\.\.\.1", re.IGNORECASE)


def words_of(cells: Cells) -> list[str]:
    """The cells [n] as texts."""
    if isinstance(cells, np.ndarray) or {*map(type, cells)} != {str}:
        return [word(cell) for cell in cells]
    stripped = {cell: word(cell) for cell in {*cells}}  # much the faster where few are different
    return list(map(stripped.__getitem__, cells))


# --- the cells of a column --------------------------------------------------------------------------------------------


def numbers(cells: Cells, *, comma: bool = False) -> Values | None:
    """Cells [n] as numbers, truths as 0 and 1, holes as NaN; None where one is a word, or nothing single.

    Decimal commas are understood where they are certain: 1,5 can be nothing else, but 1,234 may be a thousand; with
    `comma` it is not.
    """
    if isinstance(cells, np.ndarray):
        return np.asarray(cells, dtype=np.float64)
    try:
        values = np.array(cells, dtype=np.float64)  # much the faster where all are numbers
    except (TypeError, ValueError, OverflowError):
        pass
    else:
        # Python reads 1_000 as a number, a table does not; and lists of one length make a matrix.
        if values.ndim == 1 and not any("_" in cell for cell in cells if isinstance(cell, str)):
            return values
    if nested(cells):
        return None
    texts = words_of(cells)
    meaning = _numbers(set(texts), comma)
    return None if meaning is None else np.array(list(map(meaning.__getitem__, texts)))


def _numbers(texts: set[str], comma: bool) -> dict[str, float] | None:
    """What number each of a column's different texts is; None where one is none."""
    filled = {text for text in texts if not is_hole(text)}
    holes = dict.fromkeys(texts - filled, math.nan)
    if filled & {*TRUTHS} or any(text.lower() in TRUTHS for text in filled):
        known = {**TRUTHS, "0": 0.0, "1": 1.0, "0.0": 0.0, "1.0": 1.0}
        return holes | {t: known[t.lower()] for t in filled} if all(t.lower() in known for t in filled) else None
    if all(map(NUMBER.fullmatch, filled)):
        return holes | {text: float(text) for text in filled}
    if with_commas(filled, comma):
        return holes | {text: _with_comma(text) for text in filled}
    if (plain := undressed(filled)) and (found := _numbers(set(plain.values()), comma)):
        return holes | {text: found[less] for text, less in plain.items()}
    return None


def _with_comma(text: str) -> float:
    return float(text.replace(".", "").replace(",", ".")) if "," in text else float(text)


def with_commas(texts: Iterable[str], comma: bool = False) -> bool:
    """Whether texts, holes apart, are numbers with decimal commas, for certain, or with `comma` presumably."""
    filled = [text for text in texts if not is_hole(text)]
    written = [text for text in filled if "," in text]
    fits = bool(written) and all(COMMA.fullmatch(t) if "," in t else NUMBER.fullmatch(t) for t in filled)
    if not fits or any("." in text for text in filled if "," not in text):
        return False
    return comma or not all(map(THOUSANDS.fullmatch, written))


def nested(cells: Cells) -> str:
    """Why the cells are no single values; empty where they are."""
    if isinstance(cells, np.ndarray):
        return ""
    odd = any(issubclass(kind, list | tuple | dict | bytes | np.ndarray) for kind in {*map(type, cells)})
    return "holds lists, structures or bytes, not single values" if odd else ""


def holes(cells: Cells) -> npt.NDArray[np.bool_]:
    """Which cells [n] are holes, or infinite."""
    if isinstance(cells, np.ndarray):
        return ~np.isfinite(cells)
    texts = words_of(cells)
    distinct = set(texts)
    empty = {text for text in distinct if is_hole(text) or _infinite(text)}
    empty -= {mark for mark, beside in MARKS.items() if beside in distinct}
    return np.fromiter(map(empty.__contains__, texts), dtype=bool, count=len(texts))


def _infinite(text: str) -> bool:
    """Whether a text is infinity, by name or as a number beyond all that a computer has: 1e999."""
    named = text.lower().lstrip("+-") in ("inf", "infinity")
    return named or (is_number(text) and math.isinf(float(text)))


def binary(values: Values) -> Values | None:
    """Labels of -1 and 1, or of 0 and 1, as 0 and 1; None where there are others."""
    distinct = set(np.unique(values).tolist())
    return (values > 0).astype(float) if distinct <= {-1.0, 1.0} or distinct <= {0.0, 1.0} else None


def strays(cells: Cells) -> list[int]:
    """The rows that have a word, in a column of more numbers than words."""
    if isinstance(cells, np.ndarray) or nested(cells):
        return []
    texts = words_of(cells)
    odd_texts = {text for text in set(texts) if not is_hole(text) and not is_number(text, comma=True)}
    odd = [row for row, text in enumerate(texts) if text in odd_texts]
    holes = {text for text in set(texts) if is_hole(text)}
    filled = sum(text not in holes for text in texts)
    return odd if 2 * len(odd) < filled and numbers(cells) is None else []


# --- a column as an attribute -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """Attributes of columns, their values [m, d] in the rows [n] that were kept, and what is to be said of that."""

    attributes: tuple[Attribute, ...]
    values: Values
    kept: npt.NDArray[np.bool_]
    said: tuple[str, ...]


def read_attributes(
    columns: Mapping[str, Cells],
    chosen: Sequence[str],
    kinds: Mapping[str, SaidKind],
    missing: Missing,
    where: Path,
    *,
    semicolons: bool = False,
) -> Reading:
    """Some columns as attributes, their kinds inferred where none is given; rows with holes dropped if wanted.

    A table with `semicolons` for commas presumably has commas for decimal points, unless one of its columns has points.

    Raises:
        DataError: where a column has holes, unless they are to be dropped, or cells of another kind.
    """
    kept = np.ones(len(next(iter(columns.values()))), dtype=bool)
    said = []
    if missing == "drop":
        for name in chosen:
            kept &= ~holes(columns[name])
        if not kept.any():
            raise DataError(f"{where}: no row is without a hole; choose fewer columns: data.attributes=[...]")
        if lost := int((~kept).sum()):
            said.append(f"dropped {lost} of {len(kept)} rows, which have holes")
    comma = [name for name, cells in columns.items() if _commas(cells)]
    if semicolons and not comma and not any(map(_points, columns.values())):
        comma = [name for name, cells in columns.items() if _commas(cells, presumed=True)]
    if used := [name for name in chosen if name in comma]:
        said.append(f"decimal commas in {', '.join(used)}")
    read: list[tuple[Attribute, Values]] = []
    for name in chosen:
        cells = columns[name]
        if not kept.all():
            cells = cells[kept] if isinstance(cells, np.ndarray) else [c for c, k in zip(cells, kept, strict=True) if k]
        if comma and name not in comma:
            _refuse_points(name, cells, comma[0], where)
        said_kind = kinds.get(name)
        kind: Kind | None = "categorical" if said_kind == "ordered" else said_kind
        attribute, found = as_attribute(name, cells, kind, where, comma=bool(comma))
        ordered = said_kind == "ordered" or (said_kind is None and _ordered(attribute))
        read.append((replace(attribute, ordered=ordered), found))
        texts = set() if isinstance(cells, np.ndarray) else {*words_of(cells)}
        said += remarks(texts, kind, *read[-1])
    if ranked := [attribute.name for attribute, _ in read if attribute.ordered and attribute.name not in kinds]:
        none = setting("data.kinds", {ranked[0]: "categorical"})
        more = f" and {len(ranked) - 4} more" if len(ranked) > 4 else ""
        which = ", ".join(ranked[:4]) + more
        said.append(f"whole numbers are read as ordered labels in {which}; where there is no order, say {none}")
    values = np.stack([values for _, values in read], axis=1)
    return Reading(tuple(attribute for attribute, _ in read), values, kept, tuple(said))


def as_attribute(
    name: str, cells: Cells, kind: Kind | None, where: Path, *, comma: bool = False
) -> tuple[Attribute, Values]:
    """A column as an attribute, its kind inferred where none is given, and its values [n].

    Raises:
        DataError: where the cells are not of that kind.
    """
    if why := nested(cells):
        raise DataError(f"{where}: {name} {why}; leave it out")
    if lost := np.flatnonzero(holes(cells)).tolist():
        first = f"the first is {word(cells[lost[0]])!r} in row {lost[0] + 1} of {len(cells)}"
        how = "empty" if numbers(cells, comma=comma) is None else "empty or infinite"
        raise DataError(
            f"{where}: {name} is {how} in {len(lost)} rows; fill or drop those rows ({first}; "
            "data.missing=drop drops them)"
        )
    found = numbers(cells, comma=comma)
    if found is None:
        return _words(name, cells, kind, where)
    if kind == "categorical":
        codes = not isinstance(cells, np.ndarray) and any(map(PADDED.fullmatch, words_of(cells)))  # 007 is not 7
        return _words(name, cells, kind, where) if codes else _numbered(name, cells, found)
    signs = binary(found)
    if kind == "binary" and signs is None:
        distinct = np.unique(found)
        odd = next((value for value in distinct if value not in (-1, 0, 1)), None)
        has = word(odd) if odd is not None else ", ".join(map(word, distinct))
        raise DataError(
            f"{where}: {name} is to be binary but has {has}; use 0 and 1, or -1 and 1, or let it be categorical: "
            f"{setting('data.kinds', {name: 'categorical'})}"
        )
    if signs is not None and kind in (None, "binary"):
        return Attribute(name, "binary"), signs
    if kind is None and are_labels(found):
        return _numbered(name, cells, found)
    return Attribute(name, "continuous"), found


def are_labels(values: Values) -> bool:
    """Whether numbers [n] are labels: two whole numbers, or a few small ones, not each in a row of its own.

    Of the whole numbers between the least and the greatest, half or more must be there: 3, 4, 5, 6 and 8, but not 0, 5
    and 10.
    """
    if infer_kind(values) == "categorical":
        return True
    distinct = np.unique(values)
    if not 1 < len(distinct) <= MOST_LABELS or (distinct != np.round(distinct)).any() or len(distinct) == len(values):
        return False
    dense = 2 * len(distinct) >= np.ptp(distinct) + 1
    return len(distinct) == 2 or bool(dense and np.abs(distinct).max() <= LARGEST_LABEL)


def _ordered(attribute: Attribute) -> bool:
    """Whether labels that are written as numbers have an order: three or more, not from 0.

    People number from 1 what they rank, programs from 0 what they find. Codes with leading zeros have none.
    """
    labels = attribute.categories
    numbered = len(labels) > 2 and all(NUMBER.fullmatch(text) and not PADDED.fullmatch(text) for text in labels)
    return numbered and float(labels[0]) != 0


def _numbered(name: str, cells: Cells, found: Values) -> tuple[Attribute, Values]:
    """Numbers [n] as categories, in their order, each in the words of the table."""
    distinct, codes = np.unique(found, return_inverse=True)
    words = [word(value) for value in distinct]
    if not isinstance(cells, np.ndarray):
        written: dict[float, set[str]] = {value: set() for value in distinct.tolist()}
        for text, value in {*zip(words_of(cells), found.tolist(), strict=True)}:
            written[value].add(text)
        if all(len(texts) == 1 for texts in written.values()):
            words = [next(iter(written[value])) for value in distinct.tolist()]
    if words == [str(code) for code in range(len(words))]:
        return Attribute(name, "categorical"), found
    return Attribute(name, "categorical", categories=tuple(words)), codes.astype(float)


def _words(name: str, cells: Cells, kind: Kind | None, where: Path) -> tuple[Attribute, Values]:
    words = words_of(cells)
    if kind not in (None, "categorical"):
        odd = next((text for text in words if numbers([text]) is None), words[0])
        raise DataError(f"{where}: {name} is to be {kind} but has {odd!r}, which is no number")
    if kind is None:
        _refuse_doubtful(name, words, where)
    categories = sorted(set(words), key=_natural)
    code = {text: float(i) for i, text in enumerate(categories)}
    return Attribute(name, "categorical", categories=tuple(categories)), np.array([code[text] for text in words])


def _doubtful(words: Iterable[str]) -> bool:
    """Whether words, holes apart, are numbers whose commas may part thousands."""
    filled = [text for text in words if not is_hole(text)]
    commas = any("," in text for text in filled)
    return commas and all(NUMBER.fullmatch(text) or THOUSANDS.fullmatch(text) for text in filled)


def _refuse_doubtful(name: str, words: Sequence[str], where: Path) -> None:
    say = f"or say what it is: {setting('data.kinds', {name: 'categorical'})}"
    if _doubtful(words):
        text = next(text for text in words if "," in text)
        raise DataError(
            f"{where}: {name} is {text!r}, which may be a thousand or a decimal; write it without a comma, {say}"
        )
    if odd := strays(words):
        raise DataError(
            f"{where}: {name} is {words[odd[0]]!r} in row {odd[0] + 1} of {len(words)}, where most others are numbers; "
            f"mend or drop such rows ({len(odd)}), {say}"
        )


def _commas(cells: Cells, *, presumed: bool = False) -> bool:
    """Whether cells are numbers with decimal commas, for certain or presumably."""
    texts = isinstance(cells, np.ndarray) or nested(cells) or {*words_of(cells)}
    return isinstance(texts, set) and with_commas(texts, comma=presumed)


def _points(cells: Cells) -> bool:
    """Whether cells are numbers of which some have a fraction, after a point."""
    found = numbers(cells)
    return found is not None and not _commas(cells) and bool((found[np.isfinite(found)] % 1 != 0).any())


def _refuse_points(name: str, cells: Cells, other: str, where: Path) -> None:
    """Check that a column has no points that may part thousands, in a table whose decimals have commas."""
    found = numbers(cells)
    if found is None or not (parted := found[found != np.round(found)]).size:
        return
    if (np.abs(parted * 1000 - np.round(parted * 1000)) < 1e-6).all() and (np.abs(parted) >= 1).all():
        raise DataError(
            f"{where}: {name} is written with a point ({parted[0]:.3f}), {other} with a comma, so it may be a thousand "
            "or a decimal; write both alike"
        )


def _natural(text: str) -> tuple[float, str]:
    """Numbers by their size, then words by their letters."""
    return (float(text) if NUMBER.fullmatch(text) else math.inf), text


# --- which columns are attributes -------------------------------------------------------------------------------------


def unfit(name: str, cells: Cells, missing: Missing = "refuse") -> str:
    """Why a column is not taken for an attribute of images unasked; empty where it is."""
    if why := nested(cells):
        return why
    lost = holes(cells)
    if lost.all():
        return "is empty"
    if lost.any() and missing == "refuse":
        infinite = any(not is_hole(word(cell)) for cell, hole in zip(cells, lost, strict=True) if hole)
        return "has infinite cells" if infinite else "has empty cells"
    if len({text for text, hole in zip(words_of(cells), lost, strict=True) if not hole}) < 2:
        return "constant"
    return foreign(name, cells, missing)


def foreign(name: str, cells: Cells, missing: Missing = "refuse") -> str:
    """Why a column is no attribute of anything; empty where it may be one."""
    if why := nested(cells):
        return why
    lost = holes(cells)
    if len(lost) and lost.all():
        return "is empty"
    if missing == "drop" and 2 * lost.sum() > len(lost):
        return f"is empty in {int(lost.sum())} of {len(lost)} rows"  # which would all be dropped for it
    found = numbers(cells)
    if found is not None:
        return "numbers the rows" if _numbering(name, found) else ""
    words = {*words_of(cells)}
    if strays(cells) or with_commas(words, comma=True) or _doubtful(words):
        return ""  # so that it is seen
    if len(words) <= min(MOST_CATEGORIES, len(cells) // 2):
        return ""
    figures = sorted(text for text in words if FIGURE.match(text))  # as dates, times, and numbers with a unit begin
    example = f", such as {elided(figures[0], 24)!r}" if 2 * len(figures) > len(words) else ""
    return f"{len(words)} different texts{example}"


def _numbering(name: str, values: Values) -> bool:
    """Whether numbers [n] count the rows: in their order, or in any order under a name that says no more."""
    if len(values) < 3 or not np.isfinite(values).all():
        return False
    if (np.diff(values) == 1).all():
        return True
    whole = (values == np.round(values)).all() and len(np.unique(values)) == len(values)
    in_a_row = np.ptp(values) == len(values) - 1
    return bool(whole and (UNNAMED.fullmatch(name) or (name == "X" and in_a_row)))  # as R calls what has no name
