"""Where a model lies: in a folder, in a plugin that brings it under a name, or on a hub."""

from __future__ import annotations

from pathlib import Path

from ccigkit.component.known import KNOWN
from ccigkit.component.registry import registry
from ccigkit.errors import ConfigError
from ccigkit.hub import PREFIX, fetch

EXAMPLE = "example.png"  # a picture to try, beside a model


def located(where: str | Path) -> Path:
    """The folder of a model: the one named, that of a plugin's model, or that of what is fetched from a hub.

    A folder that holds a model or a run comes first: a name is that of a plugin's model only where no such folder is.

    Args:
        where: a folder, the name of a model that a plugin brings (see `ccigkit_models`), or "hub:USER/NAME".

    Raises:
        ConfigError: where a plugin that is known to bring a model of that name is not installed.
        HubError: where the hub has no such model, or cannot be reached.
    """
    name, folder = str(where), Path(where)
    if name.startswith(PREFIX):
        return fetch(name)
    if folder.name != name or any((folder / file).is_file() for file in ("model.safetensors", "config.toml")):
        return folder
    found = registry().ask("ccigkit_models", "models")
    if name in found:
        return Path(found[name])
    for plugin in KNOWN:
        if name in plugin.models:
            reason = registry().broken.get(plugin.name)
            aside = f" (plugin {plugin.name!r} was set aside: {reason})" if reason else ""
            raise ConfigError(f"no folder {name} holds a model here, and none is installed: {plugin.remedy}{aside}")
    return folder


def example(where: str | Path) -> Path | None:
    """The picture to try that lies beside a model, or None."""
    picture = located(where) / EXAMPLE
    return picture if picture.is_file() else None
