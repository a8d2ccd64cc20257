"""ccigkit: causal generative models of images.

import ccigkit
model = ccigkit.load("runs/faces")
image2 = model.counterfactual(ccigkit.read_image("me.png", model), do={"Smiling": 1})
faces = model.sample(16, do={"Smiling": 1})
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ccigkit.attributes import Attribute as Attribute
    from ccigkit.attributes import Attributes as Attributes
    from ccigkit.attributes import Table as Table
    from ccigkit.errors import UserError as UserError
    from ccigkit.evaluation import evaluate as evaluate
    from ccigkit.graph import CausalGraph as CausalGraph
    from ccigkit.graph import Knowledge as Knowledge
    from ccigkit.images import read_image as read_image
    from ccigkit.images import save_image as save_image
    from ccigkit.model import CausalImageModel as CausalImageModel
    from ccigkit.model import load_model as load  # noqa: F401
    from ccigkit.plugins import hookimpl as hookimpl

_HOMES = {
    "Attribute": "attributes",
    "Attributes": "attributes",
    "Table": "attributes",
    "UserError": "errors",
    "CausalGraph": "graph",
    "Knowledge": "graph",
    "read_image": "images",
    "save_image": "images",
    "CausalImageModel": "model",
    "evaluate": "evaluation",
    "load": "model",
    "hookimpl": "plugins",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    # Imported when first asked for, so that `ccigkit --help` does not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'ccigkit' has no attribute {name!r}")
    module = import_module(f"ccigkit.{_HOMES[name]}")
    return getattr(module, {"load": "load_model"}.get(name, name))
