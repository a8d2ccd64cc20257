"""The contract of each kind, for us and for third parties: `check(MyComponent)` raises where a law is broken.

    def test_contract() -> None:
        ccigkit.testing.check(MyLearner)

The laws are those of docs/concepts.md. They are properties, checked on small random instances; passing them is
necessary, not sufficient.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.inputs import Inputs
from ccigkit.causal.model import CausalModel
from ccigkit.causal.structure import Structure
from ccigkit.component.component import Component
from ccigkit.component.registry import Assembly, Choice, registry, signature_fault
from ccigkit.data.base import RenderedData, Split, SplitName
from ccigkit.image.base import Discriminator
from ccigkit.model.model import CausalImageModel
from ccigkit.model.placement import Prior
from ccigkit.training.loop import Training  # noqa: F401  what an objective is played with

SHAPE, LATENT = (3, 32, 32), 10
CHAIN = CausalGraph.from_edges(("a", "b", "c", "d"), ["a -> b : 0.9", "b -> c : -0.8", "d -> c : 0.7"])


def check(component: type[Component], **options: Any) -> None:
    """Hold a component class to the laws of its kind, with these options (the others at their defaults).

    Args:
        component: the class.
        options: options of the component.

    Raises:
        AssertionError: naming the law that does not hold.

    Examples:
        >>> from ccigkit.causal.scm.linear import LinearSCM
        >>> check(LinearSCM)
    """
    fault = signature_fault(component)
    assert fault is None, fault
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        component.contract(lambda *wiring: component(*wiring, **options), sys.modules[__name__])


def toy_table(n: int = 1500, seed: int = 0) -> Table:
    """Rows of the linear model CHAIN with uniform noise, its columns standardised.

    Args:
        n: how many rows.
        seed: seed of the noise.

    Examples:
        >>> toy_table().names, toy_table(n=100).values.shape
        (('a', 'b', 'c', 'd'), (100, 4))
    """
    random = np.random.default_rng(seed)
    strengths, z = CHAIN.strengths, random.uniform(-1.7, 1.7, (n, 4))
    for j in (1, 2):
        z[:, j] = z @ strengths[:, j] + 0.5 * z[:, j]
    return Table.fit([Attribute(name, "continuous") for name in CHAIN.names], z / z.std(axis=0), CHAIN)


def toy_model(
    shape: tuple[int, int, int] = SHAPE, table: Table | None = None
) -> tuple[CausalImageModel, Discriminator]:
    """A small untrained model over a toy table, and a discriminator for it.

    Args:
        shape: channels, height and width of the images.
        table: the table whose attributes and graph it has; a toy table, where none is given.

    Examples:
        >>> model, _ = toy_model()
        >>> model.graph.edges
        [('a', 'b'), ('b', 'c'), ('d', 'c')]
    """
    table = table or toy_table()
    graph = table.truth or CausalGraph(table.names, np.zeros((len(table.names),) * 2))
    made = parts(shape, len(table.names), Inputs(table.attributes).size)
    causal = CausalModel(table.attributes, Structure(graph, learns=True), made["scm"])
    return CausalImageModel(causal, made["image"], Prior()), made["discriminator"]


def parts(shape: tuple[int, int, int] = SHAPE, size: int = 4, inputs: int | None = None) -> Assembly:
    """Components by kind, each as a configuration has it by default, the networks small ones."""
    found = registry()
    choices = {kind: Choice.of(kind, {"name": found.kinds[kind].default}) for kind in found.chosen}
    choices |= {kind: Choice.of(kind, {"name": "dcgan", "width": 8}) for kind in found.backbone}
    return Assembly(
        choices, {"size": size, "inputs": inputs or size, "image_shape": shape, "latent_size": (inputs or size) + 6}
    )


class ToyData(RenderedData):
    """Two grey levels side by side, the left the cause of the right, and a bar below them, by itself: there or not.

    It has all that a metric may ask of data: a known truth, numbers and a label.
    """

    name = "toy"
    attributes = (Attribute("left", "continuous"), Attribute("right", "continuous"), Attribute("bar", "binary"))
    image_shape = (3, 16, 16)
    truth = CausalGraph.from_edges(("left", "right", "bar"), ["left -> right"])

    def load(self, split: SplitName) -> Split:
        return self.counterfactual(self.sample_noise(64, torch.Generator().manual_seed(int(split == "test"))), {})

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 3, generator=generator)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        left = torch.as_tensor(do.get("left", noise[:, 0])).expand(len(noise))
        right = torch.as_tensor(do.get("right", (left + noise[:, 1]) / 2)).expand(len(noise))
        bar = torch.as_tensor(do.get("bar", noise[:, 2])).expand(len(noise))
        return torch.stack([left, right, bar], dim=1)

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        levels = (values * 255).to(torch.uint8)[:, None, None, :]
        images = levels[..., :2].repeat_interleave(8, dim=3).expand(-1, 3, 16, -1).contiguous()
        images[:, :, 12:] = levels[..., 2:]
        return images
