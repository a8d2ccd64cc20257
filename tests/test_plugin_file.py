"""A plugin of one file: named on the command line, remembered by its hash, and never run where nobody named it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

import ccigkit
from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError
from tests.helpers import TINY, Outcome, process
from tests.helpers import ccigkit as command

SOURCE = '''
    """Half of each cause."""

    import torch
    from torch import Tensor

    from ccigkit.interfaces import SCM, Weight


    class Halves(SCM):
        """z_j = share * tanh(sum of causes) + u_j.

        Args:
            share: how much of an effect its causes make.
        """

        name = "halves"

        def __init__(self, size: int, *, share: Weight = 0.5) -> None:
            super().__init__(size)
            self.share = torch.nn.Parameter(torch.tensor(share))

        def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
            return self.share * torch.tanh(z @ adjacency) + u

        def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
            return z - self.share * torch.tanh(z @ adjacency)
'''
LEARNER = '''
    import numpy as np

    from ccigkit import CausalGraph, Knowledge, Table
    from ccigkit.interfaces import StructureLearner


    class InOrder(StructureLearner):
        """Each attribute causes the next, however the columns stand."""

        name = "in-order"

        def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
            return CausalGraph(table.names, np.diag(np.ones(len(table.names) - 1), 1))

        def __init__(self, names: tuple[str, ...]) -> None:
            self.names = names
'''
WORDS = ("--scm", "halves", "--data", "pendulum", "--structure", "known", *TINY)
pytestmark = pytest.mark.usefixtures("_nothing_named")


def written(path: Path, source: str = SOURCE) -> Path:
    path.write_text(dedent(source), encoding="utf-8")
    return path


def afresh(*words: object) -> Outcome:
    """A command in a process that has used no file yet."""
    registry.cache_clear()
    return command(*words)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run, and the file that it was trained with, for tests to copy."""
    folder = tmp_path_factory.mktemp("trained")
    file = written(folder / "my_scm.py")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        done = command("train", "--plugin", file, *WORDS, "--steps", 1, "--run", folder / "run")
    assert done.code == 0, done.err
    return folder / "run", file


def test_a_file_is_chosen_from_like_what_is_installed(tmp_path: Path) -> None:
    file = written(tmp_path / "my_scm.py")
    assert "how much of an effect its causes make" in command("components", "scm", "halves", "--plugin", file).out
    assert "my_scm.py" in command("components", "scm", "--plugin", file).out
    assert "share = 0.25" in command("train", "--plugin", file, *WORDS, "scm.share=0.25", "--dry-run").out
    assert "unknown scm 'halves'" in afresh("components", "scm", "halves").refusal()


def test_a_run_remembers_the_file_and_its_hash(trained: tuple[Path, Path]) -> None:
    run, file = trained
    versions = json.loads((run / "versions.json").read_text())["components"]["scm"]
    assert versions["plugin"] == "my_scm.py"
    assert versions["version"].startswith("sha256:")
    assert f'file = "{file}"' in (run / "config.toml").read_text()
    described = json.loads((run / "model.json").read_text())["plugins"]
    assert described == {"scm": {key: versions[key] for key in ("plugin", "version")}}
    assert str(file.parent) not in json.dumps(described)  # a model travels; its maker's folders do not


def test_a_run_is_asked_without_naming_the_file_where_it_was_named_before(trained: tuple[Path, Path]) -> None:
    run, file = trained
    command("components", "--plugin", file)
    answered = afresh("sample", run, "--out", run.parent / "sample.png")
    assert answered.code == 0, answered.err
    assert f"uses the plugin file {file}" in answered.err
    assert afresh("train", "--config", run / "config.toml", "--dry-run").code == 0


@pytest.mark.parametrize("ask", [("sample",), ("graph",), ("evaluate",), ("train", "--dry-run", "--config")])
def test_what_nobody_named_here_is_not_run(trained: tuple[Path, Path], tmp_path: Path, ask: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    trap = tmp_path / "ran"
    foreign = written(tmp_path / "foreign.py", SOURCE + f"\n    open({str(trap)!r}, 'w')\n")
    config = (run / "config.toml").read_text()
    entry = config[: config.index("\n\n")]
    (run / "config.toml").write_text(f'plugins = ["{foreign}"]' + config.removeprefix(entry))
    said = afresh(*ask, run / "config.toml" if "--config" in ask else run).refusal()
    assert "give --plugin" in said
    assert ("nobody here has let run yet" in said) == (ask != ("sample",))  # a model names a file, not where it lies
    assert not trap.exists()


def test_a_changed_file_is_not_run_unless_it_is_named_and_then_that_is_said(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    run, original = trained
    file = written(tmp_path / "my_scm.py", SOURCE + "\n    # changed\n")
    command("components", "--plugin", original)
    original.rename(tmp_path / "away")
    shutil.copy(file, original)
    try:
        said = afresh("sample", run).refusal()
        assert "is another now" in said
        assert "restore it, or give --plugin" in said
        named = afresh("sample", run, "--plugin", file, "--out", tmp_path / "sample.png")
        assert named.code == 0
        assert "was made with another my_scm.py" in named.err
        resumed = tmp_path / "run"
        shutil.copytree(run, resumed)
        again = afresh("train", "--plugin", file, *WORDS, "--steps", 2, "--run", resumed)
        assert again.code == 0, again.err
        assert "was made with another my_scm.py" in again.err
    finally:
        (tmp_path / "away").replace(original)


def test_a_missing_file_is_named_with_its_hash_and_a_copy_elsewhere_will_do(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    run, original = trained
    copy = Path(shutil.copy(original, tmp_path / "copy.py"))
    original.rename(tmp_path / "away")
    try:
        said = afresh("sample", run).refusal()
        assert "my_scm.py (sha256 " in said
        assert "is not at hand; give --plugin FILE" in said
        answered = afresh("sample", run, "--plugin", copy, "--out", tmp_path / "sample.png")
        assert (answered.code, answered.err) == (0, "")
    finally:
        (tmp_path / "away").replace(original)


def test_a_configuration_names_files_beside_itself(tmp_path: Path) -> None:
    file = written(tmp_path / "my_scm.py")
    config = tmp_path / "mine.toml"
    config.write_text('plugins = ["my_scm.py"]\n[scm]\nname = "halves"\n')
    assert "nobody here has let run yet" in command("train", "--config", config, "--dry-run").refusal()
    assert command("train", "--config", config, "--plugin", file, "--dry-run").code == 0
    assert afresh("train", "--config", config, "--dry-run").code == 0
    config.write_text("plugins = 3\n")
    assert "plugins must be a list of files" in command("train", "--config", config, "--dry-run").refusal()
    config.write_text("plugins = [3]\n")
    assert "3 is not the path of a file" in command("train", "--config", config, "--dry-run").refusal()


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = 1\n\n\nx.nothing\n", "my.py, line 4: AttributeError: 'int' object has no attribute 'nothing'"),
        ("import torch\nimport a_library_that_nobody_has\n", "line 2: ModuleNotFoundError: No module named"),
        ("def broken(:\n    pass\n", "line 1: SyntaxError: invalid syntax"),
        ("from ccigkit.interfaces import SCM\n", "brings no component: a class that subclasses one of"),
        (SOURCE.replace('"halves"', '"linear"'), "the scm 'linear' is already taken by plugin 'builtin'"),
        (SOURCE.replace("size: int, *", "width: int, *"), "takes ('width',) before the *, but a scm is given"),
        ("ccigkit_api = 99\nimport a_library_that_nobody_has\n", "written for plugin API 99, and this ccigkit has 1"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_line(tmp_path: Path, source: str, reason: str) -> None:
    assert reason in command("components", "--plugin", written(tmp_path / "my.py", source)).refusal()
    assert "linear" in registry().names("scm")


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "is not there; check the path" in command("components", "--plugin", tmp_path / "none.py").refusal()
    assert "is no file that ends in .py" in command("components", "--plugin", "ccigkit_lingam").refusal()
    (tmp_path / "folder.py").mkdir()
    assert "cannot be read" in command("components", "--plugin", tmp_path / "folder.py").refusal()


def test_a_hook_in_the_file_says_what_it_brings(tmp_path: Path) -> None:
    hook = "\n    import ccigkit\n\n    @ccigkit.hookimpl\n    def ccigkit_components():\n        return [Halves]\n"
    assert command("components", "scm", "halves", "--plugin", written(tmp_path / "my.py", SOURCE + hook)).code == 0


def test_an_edited_file_takes_the_place_of_what_it_was_in_the_same_process(tmp_path: Path) -> None:
    file = written(tmp_path / "my_scm.py")
    ccigkit.use_plugin(file)
    first = registry().get("scm", "halves")
    ccigkit.use_plugin(file)
    assert registry().get("scm", "halves") is first
    written(file, SOURCE.replace("0.5", "0.75"))
    ccigkit.use_plugin(file)
    assert registry().get("scm", "halves") is not first
    with pytest.raises(ConfigError, match=r"is already taken by plugin 'my_scm\.py'"):
        ccigkit.use_plugin(written(tmp_path / "other.py"))


def test_other_processes_have_the_file_too(tmp_path: Path) -> None:
    file = written(tmp_path / "learner.py", LEARNER)
    rows = "a,b,c\n" + "".join(f"{i % 7},{(i * 5) % 11},{(i * 3) % 13}\n" for i in range(60))
    (tmp_path / "table.csv").write_text(rows)
    words = ("table.csv", "--structure", "in-order", "--bootstrap", 3, "--workers", 2)
    done = process("graph", *words, "--plugin", file, folder=tmp_path)
    assert done.code == 0, done.err
    assert "learned by in-order" in done.out or "a -> b" in done.out


def test_a_hash_that_is_none_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "state" / "ccigkit" / "plugins").mkdir(parents=True)
    (tmp_path / "planted.json").write_text(json.dumps({"file": str(written(tmp_path / "planted.py"))}))
    config = tmp_path / "mine.toml"
    config.write_text('plugins = [{file = "my.py", sha256 = "../../../planted"}]\n')
    said = command("train", "--config", config, "--dry-run").refusal()
    assert "is not at hand" in said
    assert "planted.py" not in said
