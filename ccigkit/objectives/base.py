"""Objectives: what is minimised, phase by phase."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ccigkit.component.component import Component
from ccigkit.image.base import Discriminator
from ccigkit.model.model import CausalImageModel


@dataclass(frozen=True)
class Batch:
    """Images [b, c, h, w] in [-1, 1] and their attributes [b, d] on the latent scale."""

    image: Tensor
    attributes: Tensor


@dataclass(frozen=True)
class Phase:
    """One update: which parts move, and the named terms whose sum they descend."""

    name: str
    updates: tuple[str, ...]
    loss: Callable[[Batch], Mapping[str, Tensor]]
    every: int = 1


class Objective(Component):
    """What is minimised: a list of phases over the parts of a model. One loop plays them all."""

    kind = "objective"
    default = "ccig"
    flag = "What is minimised."
    wiring = ("model", "discriminator", "latents")

    def __init__(self, model: CausalImageModel, discriminator: Discriminator, latents: Tensor) -> None:
        self.model = model
        self.discriminator = discriminator
        self.latents = latents  # the whole training table [n, d] on the latent scale

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The phases of one step, in order."""

    @abstractmethod
    def rates(self) -> Mapping[str, float]:
        """Each part's learning rate (Adam)."""

    def parts(self) -> dict[str, nn.Module]:
        """Everything that learns, by name. An objective with parts of its own adds them here."""
        return {
            "encoder": self.model.encoder,
            "generator": self.model.generator,
            "scm": self.model.scm,
            "structure": self.model.structure,
            "discriminator": self.discriminator,
        }

    def begin(self) -> None:
        """Called once, before the first step of a training (not on resuming one)."""

    def between(self, step: int) -> None:
        """Called after every step, for what is not descended: multipliers, refitted noise."""
