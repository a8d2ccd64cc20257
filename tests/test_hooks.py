"""What plugins bring beside components: commands, sections of reports; a broken one is said, and harms nothing."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

import ccigkit
from ccigkit.commands.evaluate import sections
from ccigkit.commands.plugged import packages
from ccigkit.component.known import KNOWN
from ccigkit.component.registry import registry
from ccigkit.testing import ToyData, toy_model
from tests.helpers import Outcome, process
from tests.helpers import ccigkit as command
from tests.test_plugins import MISSING, install, write_wheel

HELLO = '''
    """A command and nothing else."""

    from pathlib import Path

    import ccigkit

    ccigkit_api = 1


    def hello(name: str, loud: bool = False) -> None:
        """Greet somebody."""
        if name == "nobody":
            raise ccigkit.UserError("nobody is there; name somebody")
        print(f"hello {name}" + "!" * loud)


    @ccigkit.hookimpl
    def ccigkit_commands():
        return {"hello": hello, "train": hello}
'''
BROKEN = "import ccigkit\n\n\n@ccigkit.hookimpl\ndef ccigkit_commands():\n    return {'bad': 1 / 0}\n"
LATER = "import a_library_of_then\n\nccigkit_api = 2\n\n\ndef ccigkit_commands():\n    return {}\n"
UNKNOWN = "import ccigkit\n\n\n@ccigkit.hookimpl\ndef ccigkit_comands():\n    return []\n"
SECTIONS = """
    import ccigkit


    @ccigkit.hookimpl
    def ccigkit_report_sections(name, model, data):
        return {"Attributes": f"<p id='mine'>{name}: {', '.join(data.table().names)}</p>"}
"""


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with plugins installed: one that works, and four that are broken in as many ways."""
    folder = tmp_path_factory.mktemp("hooks")
    sources = {"hello": HELLO, "broken": BROKEN, "later": LATER, "unknown": UNKNOWN, "missing": MISSING}
    wheels = [write_wheel(folder, f"plugin_{name}", source) for name, source in sources.items()]
    install(wheels, folder / "target")
    return folder / "target"


def run(target: Path, *words: object) -> Outcome:
    return process(*words, folder=target, env={"PYTHONPATH": str(target)})


def test_a_command_of_a_plugin_is_one_of_ours_in_every_way(target: Path) -> None:
    assert run(target, "hello", "you", "--loud").out == "hello you!\n"
    refused = run(target, "hello", "nobody")
    assert (refused.code, refused.err.splitlines()[-1]) == (2, "ccigkit: nobody is there; name somebody")
    said = run(target, "--help")
    assert "Greet somebody" in said.out
    assert "Train a model" in said.out  # ours come first


def test_a_broken_plugin_is_said_and_everything_else_goes_on(target: Path) -> None:
    said = run(target, "--help").err
    assert "the commands of plugin 'plugin-broken' are left out: ZeroDivisionError: division by zero" in said
    assert "plugin 'plugin-later' are left out: it is written for plugin API 2, and this ccigkit has 1" in said
    listed = run(target, "components")
    assert "plugin 'plugin-unknown' was set aside: PluginValidationError: unknown hook 'ccigkit_comands'" in listed.out
    assert "plugin 'plugin-later' was set aside: it is written for plugin API 2" in listed.out
    assert " notears " in listed.out


def test_a_command_of_a_file_comes_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / "hello.py"
    file.write_text(dedent(HELLO))
    assert command("--plugin", file, "hello", "you").out == "hello you\n"
    registry.cache_clear()
    assert "No such command 'hello'" in command("hello", "you").refusal()


def test_the_help_imports_no_plugin_without_commands() -> None:
    packages.cache_clear()
    assert {plugin.name for plugin in packages()} <= {"studio"}  # lingam, where it is installed, brings none


def test_a_report_has_the_sections_of_plugins_but_of_a_broken_one(tmp_path: Path) -> None:
    """The page with them is in test_report.py."""
    (tmp_path / "mine.py").write_text(dedent(SECTIONS))
    (tmp_path / "bad.py").write_text(dedent(SECTIONS).replace("return", "return 1 / 0,"))
    ccigkit.use_plugin(tmp_path / "bad.py")
    ccigkit.use_plugin(tmp_path / "mine.py")
    data = ToyData()
    with pytest.warns(UserWarning, match="the report sections of plugin 'bad.py' are left out: ZeroDivisionError"):
        found = sections("m", toy_model(data.image_shape, data.table())[0], data)
    assert found == {"Attributes": "<p id='mine'>m: left, right, bar</p>"}


def test_known_plugins_that_are_not_here_are_listed_with_the_line_that_installs_them() -> None:
    folders = (Path(__file__).parents[1] / "plugins").glob("ccigkit-*")
    assert {folder.name.removeprefix("ccigkit-") for folder in folders} <= {plugin.name for plugin in KNOWN}
    here = {plugin.name for plugin in registry().plugins} | set(registry().broken)
    listed = command("components").out
    for plugin in KNOWN:
        assert (plugin.install in listed) == (plugin.name not in here)


def test_what_a_known_plugin_brings_is_answered_with_that_line(monkeypatch: pytest.MonkeyPatch) -> None:
    found = registry()
    monkeypatch.delitem(found.components, ("structure", "lingam"), raising=False)
    said = command("train", "--structure", "lingam", "--dry-run").refusal()
    assert "it comes with ccigkit-lingam, in a copy of ccigkit's repository: pip install ./plugins/ccigkit-" in said
    if "studio" not in {plugin.name for plugin in found.plugins}:
        assert "it comes with ccigkit-studio" in command("studio", "run").refusal()
