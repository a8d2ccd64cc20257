"""Words and tables on a terminal, as they stand: a user's own may look like the markup of the library that prints."""

from __future__ import annotations

from typing import Any

from rich.box import HEAVY_HEAD, Box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ccigkit.names import one_line


def plain(text: str, style: str = "") -> Text:
    """A text of which nothing is markup; its own lines stay, what would steer the terminal does not."""
    return Text("\n".join(map(one_line, text.split("\n"))), style)


def say(console: Console, *texts: str | Text, soft_wrap: bool = False) -> None:
    """Print texts one after another in a line, those of type str as they stand."""
    line = Text().join(plain(text) if isinstance(text, str) else text for text in texts)
    console.print(line, soft_wrap=soft_wrap)


def new_table(*headings: str, title: str | None = None, box: Box = HEAVY_HEAD, **options: Any) -> Table:
    """An empty table whose title and headings stand as they are."""
    made = Table(title=None if title is None else cell(title, "table.title"), box=box, **options)
    for heading in headings:
        add_column(made, heading)
    return made


def add_column(made: Table, heading: str, **options: Any) -> None:
    """Add a column to a table."""
    made.add_column(cell(heading), **options)


def add_row(made: Table, *cells: str, style: str = "") -> None:
    """Add a row to a table."""
    made.add_row(*map(cell, cells), style=style)


def cell(text: str, style: str = "") -> Text:
    """A text in a table."""
    return Text(one_line(text), style)
