"""A package begun with new-plugin works at once, of every kind; installed for real, of one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ccigkit.commands.new_plugin import kinds
from ccigkit.component.registry import registry
from tests.helpers import ccigkit as command
from tests.helpers import environment, process


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package of every kind."""
    folder = tmp_path_factory.mktemp("new")
    for kind in kinds():
        done = command("new-plugin", f"my-{kind}", "--kind", kind, "--out", folder)
        assert done.code == 0, done.err
    return folder


def test_there_is_a_skeleton_of_every_kind() -> None:
    assert set(kinds()) == set(registry().kinds)


def test_the_tests_of_every_kind_pass(written: Path) -> None:
    packages = sorted(written.glob("ccigkit-*"))
    assert len(packages) == len(kinds())
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--import-mode=importlib"]
    path = os.pathsep.join(map(str, packages))
    tests = [str(test) for package in packages for test in (package / "tests").glob("test_*.py")]
    done = subprocess.run(
        [*words, *tests], cwd=written, env=environment(PYTHONPATH=path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{2 * len(packages)} passed" in done.stdout


def test_the_component_alone_is_a_plugin_of_one_file(written: Path) -> None:
    for kind in kinds():
        file = written / f"ccigkit-my-{kind}" / f"ccigkit_my_{kind}" / f"{kind}.py"
        done = command("components", kind, f"my-{kind}", "--plugin", file)
        assert done.code == 0, done.err
    assert set(registry().names("scm")) >= {"my-scm", "mixed"}


def test_it_is_formatted_as_this_house_is(written: Path) -> None:
    if not shutil.which("ruff"):
        pytest.importorskip("ruff")
    for words in (["check", "--select", "B,E,F,N,UP,W"], ["format", "--check"]):
        lines = ["--no-cache", "--isolated", "--config", "line-length=120", str(written)]
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, *lines], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


def test_installed_by_pip_it_is_there_and_gone_with_it(written: Path, tmp_path: Path) -> None:
    """Into a clean folder, with the build back end that its pyproject names; skipped where that cannot be had."""
    target, package = tmp_path / "target", written / "ccigkit-my-scm"
    pip = [sys.executable, "-m", "pip", "install"] if find_spec("pip") else ["uv", "pip", "install"]
    words = ["--quiet", "--no-deps", "--target", str(target), str(package)]
    done = subprocess.run([*pip, *words], capture_output=True, text=True, check=False)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("no build back end can be had here")
    assert done.returncode == 0, done.stderr
    env = {"PYTHONPATH": str(target)}
    listed = process("components", "scm", folder=tmp_path, env=env)
    assert "my-scm" in listed.out
    assert "0.1.0" in listed.out
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(package / "tests")]
    done = subprocess.run(tests, cwd=tmp_path, env=environment(**env), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    chosen = process("train", "--scm", "my-scm", "scm.share=0.25", "--dry-run", folder=tmp_path, env=env)
    assert "share = 0.25" in chosen.out
    assert "unknown scm 'my-scm'" in process("components", "scm", "my-scm", folder=tmp_path).refusal()


def test_what_cannot_be_begun_is_one_line(tmp_path: Path) -> None:
    assert "unknown kind 'smc': did you mean 'scm'?" in command("new-plugin", "mine", "--kind", "smc").refusal()
    assert "is no name of a plugin" in command("new-plugin", "My Thing", "--kind", "scm").refusal()
    assert "there is a scm 'linear' already" in command("new-plugin", "linear", "--kind", "scm").refusal()
    (tmp_path / "ccigkit-mine").mkdir()
    assert "is there already" in command("new-plugin", "mine", "--kind", "scm", "--out", tmp_path).refusal()
