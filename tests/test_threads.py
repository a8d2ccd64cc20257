"""Threads give way where others work on the machine."""

from __future__ import annotations

import os
from unittest.mock import patch

import pytest

from ccigkit.commands import app


@pytest.mark.parametrize(
    ("load", "given", "waits"),
    [
        (3.0, {}, "PASSIVE"),
        (0.1, {}, None),
        (3.0, {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        (3.0, {"GOMP_SPINCOUNT": "9"}, None),
    ],
)
def test_threads_wait_asleep_beside_others(
    load: float, given: dict[str, str], waits: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    with patch.dict(os.environ):
        app._wait_asleep()
        assert os.environ.get("OMP_WAIT_POLICY") == waits
