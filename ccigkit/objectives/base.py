"""Objectives: what is minimised, phase by phase."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.component.component import Component
from ccigkit.image.base import Discriminator
from ccigkit.model.model import CausalImageModel


@dataclass(frozen=True)
class Batch:
    """Images [b, c, h, w] in [-1, 1] and their attributes [b, d] on the latent scale.

    Args:
        image: [b, c, h, w].
        attributes: [b, d].
        whole: the attributes [n, d] of all rows of the step, where these are a part of them.
    """

    image: Tensor
    attributes: Tensor
    whole: Tensor | None = None

    @property
    def step_attributes(self) -> Tensor:
        """The attributes [n, d] of all rows of the step: for terms that are no mean over rows."""
        return self.attributes if self.whole is None else self.whole


@dataclass(frozen=True)
class Phase:
    """One update: which parts it trains, and the named terms whose sum it minimises.

    Args:
        name: what its terms are called in the log, "name.term".
        updates: the parts that it trains, by their names in `Objective.parts`.
        loss: a batch to the terms by name.
        every: it is played at every so many steps.
    """

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
        self.latents = latents  # [n, d], of the training rows in which nothing was set

    @abstractmethod
    def phases(self) -> list[Phase]:
        """The phases of one step, in order."""

    @abstractmethod
    def rates(self) -> Mapping[str, float]:
        """Each part's learning rate (Adam)."""

    def parts(self) -> dict[str, nn.Module]:
        """Everything that learns, by name. An objective with parts of its own adds them here."""
        return {**self.model.parts(), "structure": self.model.structure, "discriminator": self.discriminator}

    def begin(self) -> None:
        """Called before the first step of a training (not on resuming one), and where its graph was learned again."""

    def between(self, step: int) -> None:
        """Called after every step, for what no gradient updates: multipliers, refitted noise."""

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        model, discriminator = lab.toy_model()
        latents = torch.as_tensor(lab.toy_table().latents).float()
        objective = build(model, discriminator, latents)
        parts = objective.parts()
        phases = objective.phases()
        assert phases, "an objective has at least one phase"
        for phase in phases:
            assert set(phase.updates) <= set(parts), f"phase {phase.name} updates parts that exist"
            assert set(phase.updates) <= set(objective.rates()), f"what phase {phase.name} updates has a rate"
        training = lab.Training(objective, steps=4, device=torch.device("cpu"), dtype=torch.float32)
        batch = Batch(torch.rand(8, *lab.SHAPE) * 2 - 1, latents[:8])
        objective.begin()
        for phase in phases:
            before = {part: [p.detach().clone() for p in module.parameters()] for part, module in parts.items()}
            for module in parts.values():
                module.zero_grad(set_to_none=True)
            terms = training._play(phase, batch)
            assert all(torch.isfinite(term).all() for term in terms.values()), f"phase {phase.name} has finite terms"
            for part, module in parts.items():
                if part in phase.updates:
                    continue
                assert all(p.grad is None for p in module.parameters()), f"law 7: {phase.name} gives {part} no gradient"
                still = all(torch.equal(p, q) for p, q in zip(module.parameters(), before[part], strict=True))
                assert still, f"law 7: {phase.name} does not move {part}"
        objective.between(100)
