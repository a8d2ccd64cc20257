"""What every test has: a place of its own for a user's decisions, and a registry without the files of other tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ccigkit.component.registry import registry


@pytest.fixture(autouse=True, scope="session")
def _apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))
        yield


@pytest.fixture(autouse=True)
def _forgetting() -> Iterator[None]:
    yield
    if registry().files:
        registry.cache_clear()


@pytest.fixture
def _nothing_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user who never named a plugin file."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
