"""The commands push and pull: a model to a hub of models, and back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w
from rich.console import Console

from ccigkit.commands.config import PLUGINS, Config
from ccigkit.commands.run import Run
from ccigkit.component.options import Role, sentence
from ccigkit.data.base import RenderedData
from ccigkit.errors import ConfigError
from ccigkit.files import writing
from ccigkit.hub import NEEDED, TOLD, endpoint, fetch, library, repository
from ccigkit.model.files import load
from ccigkit.model.place import located
from ccigkit.names import one_line
from ccigkit.show.terminal import say

PEOPLE = """The model shows what it believes, not what would have been: of a photograph nobody knows the true
counterfactual. Its attributes are labels that somebody gave, and its graph is one of labels. Do not decide about people
with it."""
PHOTOGRAPHS = """It was trained on pictures from files. Where these show people, their faces may be recognised in what
it draws: publish it only where they, and the licence of the data, allow that."""


def push(folder: Path, where: str, console: Console, *, public: bool = False) -> None:
    """Put a run's model on a hub, with a card: a private repository unless it is to be public.

    Pictures of data (samples, interventions) stay here, and so do the paths in its configuration.

    Raises:
        CheckpointError: where the folder holds no model.
        HubError: where the hub does not take it.
    """
    name, revision = repository(where)
    if revision:
        raise ConfigError(f"{where} names a revision; a push makes a new one")
    load(folder)  # refuses what is damaged
    with TemporaryDirectory() as staged:
        stage(Run(located(folder)), name, Path(staged))
        with library(), console.status(f"sending {folder} to {name}"):
            from huggingface_hub import HfApi

            hub = HfApi(endpoint=endpoint())
            hub.create_repo(name, private=not public, exist_ok=True)
            hub.upload_folder(repo_id=name, folder_path=staged, commit_message=f"ccigkit push {folder.name}")
    say(console, f"sent {folder} to {name}: ccigkit sample hub:{name}")


def pull(where: str, out: Path | None, console: Console) -> Path:
    """Fetch a model from a hub into a folder, that commands take like a run's.

    Raises:
        ConfigError: where the folder is there already.
        HubError: where the hub has no such model.
        CheckpointError: where what came is damaged, or no model of ccigkit.
    """
    name, _ = repository(where)
    target = out or Path(name.rpartition("/")[2])
    if target.exists():
        raise ConfigError(f"{target} is there already; choose another --out")
    with console.status(f"fetching {name}"):
        fetched = fetch(where)
    load(fetched)  # refuses what is damaged, or no model
    for file in (*TOLD, *NEEDED):
        if (fetched / file).is_file():
            with writing(target / file) as temporary:
                shutil.copyfile(fetched / file, temporary)
    say(console, f"fetched {name} into {target}: ccigkit sample {target}")
    return target


def stage(run: Run, name: str, folder: Path) -> None:
    """Put what is to be sent into a folder."""
    for file in (*NEEDED, *TOLD):
        if (run.folder / file).is_file() and file not in ("config.toml", "README.md"):
            shutil.copyfile(run.folder / file, folder / file)
    config = run.config if (run.folder / "config.toml").is_file() else None
    if config:
        (folder / "config.toml").write_text(tomli_w.dumps(travelling(config)), encoding="utf-8")
    (folder / "README.md").write_text(card(run, name, config), encoding="utf-8")


def travelling(config: Config) -> dict[str, Any]:
    """A configuration without what is of one machine: places, and the folders of plugin files."""
    tables = {
        kind: {
            key: value
            for key, value in table.items()
            if value is not None and (key == "name" or config.options(kind)[key].role is not Role.PLACE)
        }
        for kind, table in config.tables.items()
    }
    plugins = [{"file": file.path.name, "sha256": file.sha256} for file in config.plugins]
    return ({PLUGINS: plugins} if plugins else {}) | tables


def card(run: Run, name: str, config: Config | None) -> str:
    """The model's page on the hub, in Markdown."""
    content = json.loads((run.folder / "model.json").read_text(encoding="utf-8"))
    images = "image_shape" in content
    parts = [
        "---\nlibrary_name: ccigkit\ntags:\n- ccigkit\n- causality\n- counterfactual\n---",
        f"# {name.rpartition('/')[2]}",
        f"A causal model of {'images' if images else 'a table'}, made with ccigkit.",
        f'    import ccigkit\n\n    model = ccigkit.load("hub:{name}")',
    ]
    parts += ["## Before you use it", PEOPLE]
    if config:
        component = config["data"].component
        parts += [] if issubclass(component, RenderedData) else [PHOTOGRAPHS]
        parts += ["## Data", f"`{component.name}`: {sentence(component)}"]
    parts += ["## Attributes", "\n".join(described(content["attributes"]))]
    if (run.folder / "graph.png").is_file():
        parts += ["## What causes what", "![The causal graph](graph.png)"]
    if tables := evaluated(run.folder / "evaluation.json"):
        parts += ["## Evaluation", "Beside the controls; what the rows mean is in ccigkit's documentation.", *tables]
    parts += ["## Made of", "\n".join(made_of(content))]
    return "\n\n".join(parts) + "\n"


def described(attributes: list[dict[str, Any]]) -> list[str]:
    """A line of Markdown for each attribute."""
    return [
        f"- {plain(a['name'])}: {a['kind']}"
        + (f", {', '.join(map(plain, a['categories']))}" if a.get("categories") else "")
        for a in attributes
    ]


def made_of(content: Mapping[str, Any]) -> list[str]:
    """A line of Markdown for each component, with the plugin that it comes from."""
    plugins = content.get("plugins", {})
    return [
        f"- {kind}: `{table['name']}`"
        + (f", of the plugin `{plugins[kind]['plugin']}` {plugins[kind]['version']}" if kind in plugins else "")
        for kind, table in content["components"].items()
    ]


def evaluated(path: Path) -> list[str]:
    """The tables of a run's last evaluation, in Markdown; none where there was none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["evaluations"][0]["metrics"]
        return [f"### {metric['metric']}\n\n{table(metric['rows'])}" for metric in found if metric.get("rows")]
    except (OSError, ValueError, LookupError, TypeError):
        return []


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table in Markdown."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [columns, ["---"] * len(columns), *([figure(row.get(key, "")) for key in columns] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def figure(value: Any) -> str:
    """A cell: a figure with its standard error, or a word."""
    if isinstance(value, dict):
        value = value.get("mean", value.get("value", ""))
    return f"{value:.4g}" if isinstance(value, float) else plain(str(value))


def plain(text: object) -> str:
    """A user's own word, that Markdown takes as it stands."""
    return one_line(str(text)).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
