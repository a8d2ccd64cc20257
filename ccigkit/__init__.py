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
    from ccigkit.causal.attributes import Attribute as Attribute
    from ccigkit.causal.attributes import Attributes as Attributes
    from ccigkit.causal.attributes import Table as Table
    from ccigkit.causal.graph import CausalGraph as CausalGraph
    from ccigkit.causal.graph import Knowledge as Knowledge
    from ccigkit.causal.interventions import normal as normal
    from ccigkit.causal.interventions import shift as shift
    from ccigkit.causal.interventions import soft as soft
    from ccigkit.causal.model import CausalModel as CausalModel
    from ccigkit.component.plugins import hookimpl as hookimpl
    from ccigkit.component.registry import use_plugin as use_plugin
    from ccigkit.errors import UserError as UserError
    from ccigkit.evaluation.measure import evaluate as evaluate
    from ccigkit.model.files import load as load
    from ccigkit.model.model import CausalImageModel as CausalImageModel
    from ccigkit.pixels import read_image as read_image
    from ccigkit.show.images import save_image as save_image

_HOMES = {
    "Attribute": "causal.attributes",
    "Attributes": "causal.attributes",
    "Table": "causal.attributes",
    "UserError": "errors",
    "CausalGraph": "causal.graph",
    "Knowledge": "causal.graph",
    "read_image": "pixels",
    "save_image": "show.images",
    "CausalImageModel": "model.model",
    "CausalModel": "causal.model",
    "normal": "causal.interventions",
    "shift": "causal.interventions",
    "soft": "causal.interventions",
    "evaluate": "evaluation.measure",
    "load": "model.files",
    "hookimpl": "component.plugins",
    "use_plugin": "component.registry",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    # Imported when first asked for, so that `ccigkit --help` does not wait for torch.
    if name not in _HOMES:
        raise AttributeError(f"module 'ccigkit' has no attribute {name!r}")
    module = import_module(f"ccigkit.{_HOMES[name]}")
    return getattr(module, name)
