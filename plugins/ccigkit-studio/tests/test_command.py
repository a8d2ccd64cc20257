"""The command `ccigkit studio`, as a person runs it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from urllib.request import urlopen

import ccigkit_studio
import pytest
from ccigkit_studio import studio

from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError

CCIGKIT = (sys.executable, "-m", "ccigkit")


def test_it_is_found_through_its_entry_point() -> None:
    (point,) = entry_points(group="ccigkit", name="studio")
    assert point.load() is ccigkit_studio
    assert ccigkit_studio.ccigkit_commands() == {"studio": studio}


def test_what_is_no_run_is_refused_in_a_line(tmp_path: Path) -> None:
    done = subprocess.run([*CCIGKIT, "studio", tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ccigkit: {tmp_path} holds neither a run nor a model")
    assert len(done.stderr.splitlines()) == 1


def test_without_a_run_it_opens_the_model_to_begin_with(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr("ccigkit_studio.server.serve", lambda run, **_: opened.append(run))
    studio()
    assert opened == [Path("demo")]


def test_without_a_run_and_that_model_it_names_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry(), "plugins", [p for p in registry().plugins if p.name != "demo"])
    with pytest.raises(ConfigError, match=r"pip install \./plugins/ccigkit-demo"):
        studio()


def test_it_serves_a_run_until_it_is_stopped_and_refuses_a_port_that_is_taken(run: Path) -> None:
    command = [sys.executable, "-u", "-m", "ccigkit", "studio", str(run), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", server.stdout.readline())
            assert found
            assert b"ccigkit studio" in urlopen(found[0], timeout=60).read()
            again = [*CCIGKIT, "studio", str(run), "--port", found[1]]
            second = subprocess.run(again, capture_output=True, text=True, check=False)
            assert second.returncode == 2
            assert f"port {found[1]} of 127.0.0.1 is taken" in second.stderr.splitlines()[-1]
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) in (0, 130)
