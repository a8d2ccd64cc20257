"""What may be meant otherwise than it was read in a column, to be said in one line beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Set as AbstractSet

import numpy as np

from ccigkit.causal.attributes import Attribute, Kind, Values
from ccigkit.data.files.spelling import PADDED, is_hole, undressed, word
from ccigkit.names import composed, setting

NINES = re.compile(r"-?9+")  # no answer, in a questionnaire


def remarks(texts: AbstractSet[str], kind: Kind | None, attribute: Attribute, values: Values) -> list[str]:
    """What may be meant otherwise than it was read: codes, unlike spellings of one word, numbers that say nothing."""
    name, said = attribute.name, []
    if attribute.kind == "categorical":
        alike = Counter(map(_folded, attribute.categories))
        if twice := [text for text in attribute.categories if alike[_folded(text)] > 1]:
            same = "categories that differ only in capitals, blanks or how accents are made"
            said.append(f"{name} has {same}: {', '.join(twice[:4])}")
    padded = sorted(text for text in texts if PADDED.fullmatch(text) and text not in attribute.categories)
    if kind is None and padded:
        said.append(
            f"{name} is read as numbers but has {padded[0]}; codes are {setting('data.kinds', {name: 'categorical'})}"
        )
    if attribute.kind == "continuous" and (odd := outlier(values)) is not None:
        said.append(
            f"{name} has {word(odd)} in {int((values == odd).sum())} rows, far from all others; if that means a hole, "
            "write NA for it"
        )
    if attribute.kind == "continuous" and (plain := undressed(text for text in texts if not is_hole(text))):
        dressed = min(text for text, less in plain.items() if less != text)
        said.append(f"{name} has numbers such as {dressed!r}, read as {plain[dressed]}")
    return said


def _folded(text: str) -> str:
    return " ".join(composed(text).split()).casefold()


def outlier(values: Values) -> float | None:
    """A number of nines, as questionnaires write no answer, that is farther from all others than they are apart."""
    distinct = np.unique(values)
    for odd, others in ((distinct[-1], distinct[:-1]), (distinct[0], distinct[1:])):
        nines = NINES.fullmatch(word(float(odd))) and len(others) > 2
        if nines and np.abs(others - odd).min() > np.ptp(others):
            return float(odd)
    return None
