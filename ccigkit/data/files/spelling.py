"""How one cell of a table spells a number, a truth, a word or nothing, whatever program and language wrote it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np

from ccigkit.names import UNSEEN

HOLES = frozenset(  # as people, spreadsheets, statistics programs and data bases write nothing
    [
        *("", "?", "na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "+nan", "nat", "null", "(null)", "none", "nil"),
        *("#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!", "#n/a n/a", "#nv", "#wert!", "#bezug!", "#zahl!"),
        *("-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "..", "...", r"\n", "n.a.", "n. a.", "k.a.", "k. a."),
        *("*", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind", "nan(ind)", "-nan(ind)"),
    ]
)
NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|infinity)", re.IGNORECASE)
COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d+(e[+-]?\d+)?", re.IGNORECASE)  # 1,5 and 1.234,5
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")  # 1,234 and 1,234.5
GAPS = "'\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}\N{RIGHT SINGLE QUOTATION MARK}"
GAPPED = re.compile(rf"[+-]?[1-9]\d{{0,2}}([{GAPS}])\d{{3}}(\1\d{{3}})*([.,]\d+)?")  # 1'234.5
PERCENT = re.compile(rf"(.*\d[.,]?)[ {GAPS}]?%")
PADDED = re.compile(r"[+-]?0\d+")  # 007, which may be a code
DRESSED = re.compile(rf"[,%{GAPS}]|^[+-]?0\d")  # what only a whole column gives its meaning
MINUS = "\N{MINUS SIGN}"


def word(cell: object) -> str:
    """A cell as text: what a file writes, or what it would write for a typed one; less what is not seen around it."""
    if isinstance(cell, str):
        return bare(cell)
    if cell is None:
        return ""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, float | np.floating):
        value = float(cell)
        return "" if math.isnan(value) else f"{value:.0f}" if value.is_integer() and abs(value) < 1e16 else repr(value)
    return bare(str(cell))


def bare(text: str) -> str:
    """A text without blanks and unseen letters around it, and with the minus of print as that of a key."""
    text = text.strip()
    if text.isascii():
        return text
    while text != (less := text.strip(UNSEEN).strip()):
        text = less
    keyed = text.replace(MINUS, "-")
    return keyed if MINUS in text and any(map(str.isdigit, text)) and not any(map(str.isalpha, text)) else text


def is_hole(text: str) -> bool:
    """Whether a text says that there is nothing."""
    return text.lower() in HOLES


def is_number(text: str, *, comma: bool = False) -> bool:
    """Whether a text is a number, with a decimal comma too if wanted; 1_000 is a word."""
    return bool(NUMBER.fullmatch(text) or (comma and COMMA.fullmatch(text)))


def undressed(texts: Iterable[str]) -> dict[str, str]:
    """Numbers without their percent signs and the gaps between their thousands; empty where a text is no such number.

    All have percent signs, or none: what 5 means among 5% is not certain.
    """
    less: dict[str, str] = {}
    for text in texts:
        told = PERCENT.fullmatch(text)
        plain = told[1] if told else text
        if GAPPED.fullmatch(plain):
            plain = plain.translate({ord(gap): None for gap in GAPS})
        if not is_number(plain, comma=True):
            return {}
        less[text] = plain
    percents = sum(text.endswith("%") for text in less)
    return less if percents in (0, len(less)) and any(text != plain for text, plain in less.items()) else {}
