"""A stranger's package, installed for real: its components are chosen by name, and broken ones harm nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path
from textwrap import dedent

import pytest

from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.component.options import options_of
from ccigkit.component.registry import Registry, registry
from ccigkit.errors import ConfigError
from ccigkit.interfaces import SCM
from ccigkit.plugins import Plugin
from tests.helpers import TINY, Outcome, ccigkit, process

TOY = '''
    """A structure learner that goes by the order of the columns, and an SCM of halves."""

    import numpy as np
    import torch
    from torch import Tensor

    from ccigkit import CausalGraph, Knowledge, Table, hookimpl
    from ccigkit.interfaces import SCM, StructureLearner


    class ToyOrder(StructureLearner):
        """Each attribute causes those after it, as far as `reach` says.

        Args:
            reach: how many columns an effect may lie behind its cause.
        """

        name = "toy-order"

        def __init__(self, names: tuple[str, ...], *, reach: int = 1) -> None:
            self.names, self.reach = names, reach

        def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
            size = len(table.names)
            near = np.triu(np.ones((size, size)), 1) - np.triu(np.ones((size, size)), 1 + self.reach)
            wanted = near * knowledge.allowed(table.names) + knowledge.required_edges(table.names)
            return CausalGraph(table.names, (wanted > 0).astype(float))


    class ToySCM(SCM):
        """z_j = share * tanh(sum of causes) + u_j.

        Args:
            share: how much of an effect its causes make.
        """

        name = "toy-scm"

        def __init__(self, size: int, *, share: float = 0.5) -> None:
            super().__init__(size)
            self.share = torch.nn.Parameter(torch.tensor(share))

        def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
            return self.share * torch.tanh(z @ adjacency) + u

        def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
            return z - self.share * torch.tanh(z @ adjacency)


    @hookimpl
    def ccigkit_components() -> list[type]:
        return [ToyOrder, ToySCM]
'''
MISSING = "import a_library_that_nobody_has\n"
SWAPPED = '''
    from ccigkit import hookimpl
    from ccigkit.causal.scm.linear import LinearSCM


    class Swapped(LinearSCM):
        """One whose constructor ccigkit cannot call."""

        name = "swapped"

        def __init__(self, width: int, depth: int) -> None:
            super().__init__(width)


    @hookimpl
    def ccigkit_components() -> list[type]:
        return [Swapped]
'''


def write_wheel(folder: Path, name: str, source: str) -> Path:
    """A wheel of one module and one entry point, as a build backend writes it."""
    info = f"{name}-1.2.3.dist-info"
    content = {
        f"{name}.py": dedent(source),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\nRequires-Dist: ccigkit\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: by-hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[ccigkit]\n{name.replace('_', '-')} = {name}\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]) + "\n"
    wheel = folder / f"{name}-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(path, text)
    return wheel


def _digest(text: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def install(wheels: list[Path], target: Path) -> None:
    """Install wheels into a folder, by pip or by uv, whichever is here; nothing is fetched."""
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--target", target]
    uv = ["uv", "pip", "install", "--offline", "--no-deps", "--quiet", "--python", sys.executable, "--target", target]
    has_pip = subprocess.run([sys.executable, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    if not has_pip and not shutil.which("uv"):
        pytest.skip("neither pip nor uv is here to install with")
    subprocess.run([*map(str, pip if has_pip else uv), *map(str, wheels)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three plugins installed: one that works, and two that are broken."""
    folder = tmp_path_factory.mktemp("plugins")
    sources = {"toy_plugin": TOY, "missing_plugin": MISSING, "swapped_plugin": SWAPPED}
    install([write_wheel(folder, name, source) for name, source in sources.items()], folder / "target")
    return folder / "target"


@pytest.fixture(scope="module")
def listed(target: Path) -> Outcome:
    return process("components", folder=target, env={"PYTHONPATH": str(target)})


def test_what_is_installed_is_listed(listed: Outcome) -> None:
    assert listed.code == 0, listed.err
    lines = listed.out.splitlines()
    for kind, name in (("structure", "toy-order"), ("scm", "toy-scm")):
        row = next(line for line in lines if f" {name} " in line)
        assert kind in row
        assert "toy-plugin 1.2.3" in row
    assert "Each attribute causes those after it" in listed.out


def test_broken_plugins_are_set_aside_with_their_reasons(listed: Outcome) -> None:
    assert "plugin 'missing-plugin' was set aside: ModuleNotFoundError: No module named" in listed.out
    assert "a_library_that_nobody_has" in listed.out
    assert "plugin 'swapped-plugin' was set aside" in listed.out
    assert "takes ('width', 'depth') before the *, but a scm is given ('size',)" in " ".join(listed.out.split())
    assert " notears " in listed.out  # and everything else goes on


def test_what_is_installed_trains_with_its_options(target: Path, tmp_path: Path) -> None:
    words = ("--structure", "toy-order", "--scm", "toy-scm", "--objective", "dear", "--steps", 1, "--run", "run")
    options = ("structure.reach=3", "scm.share=0.25")
    plugged = {"PYTHONPATH": str(target)}
    done = process("train", "--data", "pendulum", *TINY, *words, *options, folder=tmp_path, env=plugged)
    assert done.code == 0, done.err
    assert "learned by toy-order" in done.out
    made = json.loads((tmp_path / "run" / "versions.json").read_text())["components"]
    assert made["scm"] == {"name": "toy-scm", "plugin": "toy-plugin", "version": "1.2.3"}
    config = (tmp_path / "run" / "config.toml").read_text()
    assert "reach = 3" in config
    assert "share = 0.25" in config
    edges = (tmp_path / "run" / "graph.toml").read_text()
    assert edges.count("->") == 6  # every later column: with a reach of one there would be three
    asked = process("sample", "run", "--do", "angle=0.3", folder=tmp_path, env=plugged)
    assert asked.code == 0, asked.err
    said = ccigkit("sample", tmp_path / "run").refusal()  # here it is not installed
    assert "needs the scm 'toy-scm' of the plugin toy-plugin 1.2.3: it is not installed" in said


def test_a_broken_plugins_name_is_answered_with_the_reason(target: Path, tmp_path: Path) -> None:
    done = process("train", "--scm", "swapped", "--dry-run", folder=tmp_path, env={"PYTHONPATH": str(target)})
    said = done.refusal()
    assert "unknown scm 'swapped'" in said
    assert "plugin 'swapped-plugin' was set aside" in said
    assert "a_library_that_nobody_has" in said


# --- the registry, without installing anything ------------------------------------------------------------------------


class Mine(LinearSCM):
    name = "mine"


class Ours(LinearSCM):
    name = "mine"


def test_a_name_is_taken_once_and_the_second_plugin_is_set_aside_whole() -> None:
    found = Registry(dict(registry().kinds))
    found.add(Plugin("first", "1", (Mine,)))
    found.add(Plugin("second", "1", (type("Other", (LinearSCM,), {"name": "other"}), Ours)))
    assert found.get("scm", "mine") is Mine
    assert "already taken by plugin 'first'" in found.broken["second"]
    with pytest.raises(ConfigError, match=r"unknown scm 'other'.*second"):
        found.get("scm", "other")


@pytest.mark.parametrize(
    ("component", "reason"),
    [
        (int, "not a class that subclasses one of ccigkit's interfaces"),
        ("linear", "not a class"),
        (type("Nameless", (LinearSCM,), {"name": "No Name"}), "needs a class attribute `name`"),
        (type("Unfinished", (SCM,), {"name": "unfinished"}), "does not implement inverse, mechanism"),
    ],
)
def test_what_is_no_component_is_set_aside(component: object, reason: str) -> None:
    found = Registry(dict(registry().kinds))
    found.add(Plugin("theirs", "1", (component,)))
    assert reason in found.broken["theirs"]
    assert not list(found)


def test_an_option_needs_a_type_and_a_default() -> None:
    class Untyped(LinearSCM):
        name = "untyped"

        def __init__(self, size: int, *, width=3) -> None:  # type: ignore[no-untyped-def]
            super().__init__(size)

    class Bare(LinearSCM):
        name = "bare"

        def __init__(self, size: int, *, width: int) -> None:
            super().__init__(size)

    class Loose(LinearSCM):
        name = "loose"

        def __init__(self, size: int, **more: int) -> None:
            super().__init__(size)

    for component in (Untyped, Bare, Loose):
        found = Registry(dict(registry().kinds))
        found.add(Plugin("theirs", "1", (component,)))
        assert component.__name__ in found.broken["theirs"]


def test_our_own_come_through_the_same_door() -> None:
    origins = {origin.name for origin in registry().origins.values()}
    assert "builtin" in origins
    assert all(options_of(component) or component.__init__ for component in registry())
