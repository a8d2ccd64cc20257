"""Paper that matplotlib prints, in dots or as SVG: inches from the upper left, and every text as it stands."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from ccigkit.errors import DataError
from ccigkit.files import writing

INK, FAINT, FRAME, WASH, WHITE = "#26262e", "#787884", "#d6d6de", "#eef2fb", "#ffffff"
BLUE, RED, ORANGE, GREY = "#3f51b5", "#c62828", "#c77700", "#9a9aa8"
DPI, LONGEST, LARGEST = 130, 12_000, 24_000_000  # of a picture: at most so long, and so many pixels
FORMS = ("png", "jpg", "jpeg", "webp", "svg")
USUAL = "DejaVu Sans"


class Paper:
    """A sheet to draw on: `axes` are in inches and take any artist of matplotlib."""

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        self.figure = Figure()
        canvas: Any = FigureCanvasAgg(self.figure)
        self.renderer = canvas.get_renderer()
        self.axes = self.figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.axes.set_axis_off()

    def cut(self, width: float, height: float, left: float = 0.0, top: float = 0.0) -> Paper:
        """Give the sheet its size; what lies left of `left` or above `top` is not on it."""
        self.figure.set_size_inches(width, height)
        self.axes.set_xlim(left, left + width)
        self.axes.set_ylim(top + height, top)
        return self

    def write(self, x: float, y: float, text: str, size: float, **look: Any) -> Any:
        """Write one line of text, `size` in points; `look` is what `Axes.text` takes."""
        look = {"color": INK, "va": "center", **look}
        return self.axes.text(x, y, text, fontsize=size, parse_math=False, family=fonts(text), **look)

    def length(self, text: str, size: float) -> float:
        """How many inches a text takes."""
        with _boxes_for_lacking_letters():
            written = self.write(0, 0, text, size)
            found = written.get_window_extent(self.renderer).width / self.figure.dpi
            written.remove()
        return float(found)

    def save(self, path: Path, dpi: float = DPI) -> None:
        """Write the sheet whole or not at all, in at most so many dots per inch.

        Raises:
            DataError: where the name's ending is no image format.
        """
        form = path.suffix.lower().removeprefix(".")
        if form not in FORMS:
            raise DataError(f"{path} does not end in an image format; use .png, .jpg or .svg")
        wide, high = self.figure.get_size_inches()
        most = min(dpi, LONGEST / max(wide, high), (LARGEST / (wide * high)) ** 0.5)
        printed = self._printed(form, dpi=most)
        with writing(path) as temporary:
            temporary.write_bytes(printed)

    def inline(self, kind: str, label: str, colours: Mapping[str, str]) -> str:
        """The sheet as an element of an HTML page: of the class `kind`, without ids, in colours that the page gives.

        An artist's gid "CLASSES: WORDS" becomes its classes, and "WORDS" its title.
        """
        self.figure.patch.set_visible(False)
        text = re.sub("[\ufffe\uffff]", "\ufffd", self._printed("svg").decode())  # that no XML may have
        root = ElementTree.fromstring(text)  # noqa: S314  written just now
        for child in list(root):
            if not child.tag.endswith("}g"):  # what is for all of a file, such as its style
                root.remove(child)
        for element in list(root.iter()):
            element.tag = element.tag.rpartition("}")[2]
            classes, _, words = element.attrib.pop("id", "").partition(": ")
            if words:
                element.set("class", classes)
                title = ElementTree.Element("title")
                title.text = words
                element.insert(0, title)
            for ours, theirs in colours.items():
                if ours in (style := element.get("style", "")):
                    element.set("style", style.replace(ours, theirs))
        wide = round(96 * self.figure.get_figwidth())
        root.attrib = {"class": kind, "viewBox": root.attrib["viewBox"], "style": f"width:{wide}px"}
        root.attrib |= {"role": "img", "aria-label": label}
        return ElementTree.tostring(root, encoding="unicode")

    def _printed(self, form: str, **options: Any) -> bytes:
        from matplotlib import rc_context

        # what would differ the next time, and what would name a server
        same: dict[str, Any] = {"metadata": dict.fromkeys(("Creator", "Date", "Format", "Type"))}
        buffer = BytesIO()
        with (
            _boxes_for_lacking_letters(),
            rc_context({"svg.fonttype": "none", "svg.hashsalt": "ccigkit", "path.simplify": False}),
        ):
            self.figure.savefig(buffer, format=form, **(same if form == "svg" else {}), **options)
        return buffer.getvalue()


@contextmanager
def _boxes_for_lacking_letters() -> Iterator[None]:
    """Say nothing where no font has a letter: an empty box for it is all that can be done."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield


@cache
def _letters(path: str) -> frozenset[int]:
    from matplotlib.font_manager import get_font

    with suppress(RuntimeError, OSError):  # a font that matplotlib cannot draw, such as one of colours
        return frozenset(get_font(path).get_charmap())
    return frozenset()


@cache
def fonts(text: str) -> list[str]:
    """Font families that have the letters of a text between them, as far as this machine has such fonts."""
    from matplotlib.font_manager import fontManager

    lacking = set(map(ord, text)) - _letters(fontManager.findfont(USUAL))
    chosen = [USUAL]
    for entry in fontManager.ttflist if lacking else ():
        if entry.style == "normal" and (has := lacking & _letters(entry.fname)):
            chosen, lacking = [*chosen, entry.name], lacking - has
        if not lacking:
            break
    return chosen
