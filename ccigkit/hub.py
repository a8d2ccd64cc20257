"""Models on a hub of models: what is fetched is a description and tensors, never code."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ccigkit.errors import ConfigError, UserError

PREFIX = "hub:"
NEEDED = ("model.safetensors", "model.json")
TOLD = ("graph.toml", "graph.png", "config.toml", "metrics.json", "versions.json", "README.md")
"""What stands beside a model, where it is there."""


class HubError(UserError):
    """The hub cannot be reached, or has no such model."""


def repository(where: str) -> tuple[str, str | None]:
    """User/name, and the revision, of "hub:user/name@revision"; without the prefix, too.

    Raises:
        ConfigError: where that is no name on a hub.

    Examples:
        >>> repository("hub:somebody/faces@v1")
        ('somebody/faces', 'v1')
    """
    name, _, revision = where.removeprefix(PREFIX).partition("@")
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        raise ConfigError(f"{where} is no model on a hub: that is {PREFIX}USER/NAME, or {PREFIX}USER/NAME@REVISION")
    return name, revision or None


def fetch(where: str) -> Path:
    """The folder, in the hub's own cache, of a model "hub:user/name"; nothing but the files named here is fetched.

    Raises:
        ConfigError: where the name is none, or the library is not installed.
        HubError: where the hub has no such model, or cannot be reached.
    """
    name, revision = repository(where)
    with library():
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(name, revision=revision, endpoint=endpoint(), allow_patterns=[*NEEDED, *TOLD]))


def endpoint() -> str | None:
    """The hub's address where HF_ENDPOINT says another than the usual one."""
    return os.environ.get("HF_ENDPOINT") or None


@contextmanager
def library() -> Iterator[None]:
    """Say in a line what the hub's library says.

    Raises:
        ConfigError: where it is not installed.
        HubError: for whatever it could not do.
    """
    if find_spec("huggingface_hub") is None:
        raise ConfigError("models on a hub need huggingface_hub: pip install 'ccigkit[hub]'")
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    utils: Any = import_module("huggingface_hub.utils")
    silenced = not (sys.stderr.isatty() or utils.are_progress_bars_disabled())
    if silenced:  # bars are for a terminal
        utils.disable_progress_bars()
    try:
        yield
    except GatedRepoError:
        raise HubError("the hub gives this model to those who asked for it alone: ask for it on its page") from None
    except RepositoryNotFoundError:
        raise HubError("the hub has no such model, or not for you: check its name, and hf auth whoami") from None
    except LocalEntryNotFoundError:
        raise HubError("the hub cannot be reached, and the model was not fetched before; try again later") from None
    except UserError:
        raise
    except Exception as error:  # the library's, its HTTP client's and the connection's have no common class
        raise HubError(f"the hub: {type(error).__name__}: {error}".splitlines()[0]) from error
    finally:
        if silenced:
            utils.enable_progress_bars()
