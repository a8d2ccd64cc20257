"""Names and words that users bring, on their way into files, lines of text and pictures of other programs' making."""

from __future__ import annotations

import hashlib
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import tomli_w

BREAKS = re.compile(r"\s*[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]\s*")  # line breaks and tabs, with the blanks around them
RESERVED = re.compile(
    r'[<>:"/\\|?*\x00-\x1f\x7f]|%(?=[0-9A-Fa-f]{2})'
)  # in no file name on some system; and our escape
BARE = re.compile(r"[A-Za-z0-9_-]+")  # a key of TOML that needs no quotes
TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
# Letters of no width, and what turns the direction of writing: copied along from web pages and dialogues.
UNSEEN = "\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
LONGEST = 200  # bytes of a file's name: file systems take 255, and some go to what is written beside it
SHOWN = 48  # letters of a name in a picture


def fault(name: str) -> str:
    """What keeps a text from being a name, to be said behind it; empty where nothing does."""
    if not name.strip():
        return "is empty"
    odd = next((letter for letter in name if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")), "")
    if BREAKS.search(odd):
        return "has a line break or a tab in it"
    return f"has the unprintable character {odd!a} in it" if odd else ""


def heading(text: str) -> str:
    """A column's heading as a name: in one line, as spreadsheets break long headings, and without what is not seen.

    Letters with accents are composed, so that a name is found however it is typed.
    """
    name = BREAKS.sub(" ", text).strip()
    while name != (less := name.strip(UNSEEN).strip()):
        name = less
    return composed(name)


def composed(text: str) -> str:
    """A text whose accents are of one letter with what they stand on, as keyboards write them; others as they are."""
    return unicodedata.normalize("NFC", text) if any(map(unicodedata.combining, text)) else text


def quoted(text: str) -> str:
    """A text as a string of TOML, in one line whatever it holds."""
    return tomli_w.dumps({"x": text}).removeprefix("x = ").rstrip("\n")


def setting(option: str, choices: Mapping[str, str]) -> str:
    """OPTION={name = "choice"}, as it is typed in a shell."""
    entries = (f"{name if BARE.fullmatch(name) else quoted(name)} = {quoted(to)}" for name, to in choices.items())
    return shlex.quote(f"{option}={{{', '.join(entries)}}}")


def one_line(text: str) -> str:
    """A text in one line, for people: breaks as blanks, and what would steer a terminal as its number."""
    folded = BREAKS.sub(" ", text)
    return "".join(f"\\x{ord(c):02x}" if unicodedata.category(c) in ("Cc", "Cs") else c for c in folded)


def shown(name: str, most: int = SHOWN) -> str:
    """A name as it stands in a picture: blanks for underscores, and not too long."""
    return elided(name.replace("_", " "), most)


def elided(text: str, most: int = SHOWN) -> str:
    """A text in one line of at most so many letters, its middle left out where it is longer."""
    text = one_line(text)
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-(most // 2 - 1) :]}"


def number(text: str) -> float | None:
    """A number as people write it, not as Python does (1_000); None where the text is no number."""
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def width(text: str) -> int:
    """How many letters' room a text takes: ideographs and the like take two."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


def in_file_name(text: str) -> str:
    """A text as part of a file's name: what some system forbids there as %2F, the end of a long one as a hash."""
    safe = RESERVED.sub(lambda found: f"%{ord(found[0]):02X}", text)
    coded = safe.encode("utf-8", "surrogatepass")
    if len(coded) <= LONGEST:
        return safe
    return coded[:LONGEST].decode("utf-8", "ignore") + "…" + hashlib.sha256(coded).hexdigest()[:8]


def labels(paths: Sequence[Path]) -> list[str]:
    """A word for each file: its stem, and where several share that, its whole name, or as many folders as it takes."""
    whole = [path.absolute() for path in paths]
    left = list(dict.fromkeys(whole))
    found: dict[Path, str] = {}
    deepest = max((len(path.parts) for path in whole), default=0)
    for depth in range(-1, deepest):  # -1 for the stem, 0 for the name, then with so many of its folders
        words = {path: _label(path, depth) for path in left}
        # Some systems do not tell capitals from small letters.
        often = Counter(word.casefold() for word in (*words.values(), *found.values()))
        found |= {path: word for path, word in words.items() if often[word.casefold()] == 1}
        left = [path for path in left if path not in found]
    found |= {path: f"{path.stem} {count}" for count, path in enumerate(left, 1)}
    return [found[path] for path in whole]


def _label(path: Path, depth: int) -> str:
    words = [path.name] if depth == 0 else [*path.parts[-1 - max(depth, 0) : -1], path.stem]
    return " ".join(words)
