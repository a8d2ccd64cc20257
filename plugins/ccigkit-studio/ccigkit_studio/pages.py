"""Pages that other plugins bring."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from html import escape

from ccigkit import CausalImageModel
from ccigkit.component.plugins import load_plugins

Page = Callable[[CausalImageModel], str]
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
HEAD = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'


def pages() -> dict[str, Page]:
    """What plugins bring by the hook ccigkit_studio_pages: by title a function from the model to HTML.

    What is wrong with a plugin is said, and its pages are left out.
    """
    found: dict[str, Page] = {}
    for plugin in load_plugins():
        try:
            for batch in plugin.hooks.ccigkit_studio_pages() if plugin.hooks else ():
                found |= batch
        except Exception as error:  # noqa: BLE001  whatever a stranger's code raises
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"the pages of plugin {plugin.name!r} are left out: {reason}", stacklevel=2)
    return found


def whole(title: str, page: Page, model: CausalImageModel) -> str:
    """A page as a document; of one that fails, why."""
    try:
        body = page(model)
    except Exception as error:  # noqa: BLE001  whatever a stranger's code raises
        body = f"<p>This page failed: {escape(f'{type(error).__name__}: {error}')}</p>"
    return f"{HEAD}<title>{escape(title)}</title><body>{body}"
