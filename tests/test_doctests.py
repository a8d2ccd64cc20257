"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import ccigkit

HOUSE = Path(ccigkit.__file__).parent
WITH_EXAMPLES = sorted(path for path in HOUSE.rglob("*.py") if ">>>" in path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(HOUSE)))
def test_every_example_does_what_it_shows(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = path.relative_to(HOUSE.parent).with_suffix("").parts
    failed, tried = doctest.testmod(import_module(".".join(parts).removesuffix(".__init__")))
    assert tried, f"{path.name} has >>> where no example is run"
    assert not failed, capsys.readouterr().out
