"""DEAR: everything, the causal model included, learned through the joint discriminator (Shen et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ccigkit.component.options import Positive, Weight
from ccigkit.image.base import Discriminator
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.adversarial import Divergence, discriminator_loss, encoder_loss, generator_loss
from ccigkit.objectives.base import Batch, Phase
from ccigkit.objectives.bidirectional import BidirectionalObjective
from ccigkit.objectives.terms import supervision


class DEAR(BidirectionalObjective):
    """Bidirectional GAN training of encoder, generator and SCM prior, with the encoder supervised by the attributes.

    The released recipe (Shen et al. 2022, algorithm 1): one step of the discriminator, one of the encoder, one of
    generator, SCM and edge weights, which learn through both arguments of D(G(z), z). The graph at hand is the
    super-graph; its weights start where the structure learner left them and learn only with `train.schedule=finetune`.

    Args:
        divergence: hinge, or the f-divergence that the discriminator estimates; the paper's is kl.
        clamp: bound on the f-divergences' weights, from 1/clamp to clamp.
        supervision: weight of the encoder's error on the attributes.
        rate: learning rate of generator, encoder and SCM; the discriminator's is twice that.
        structure_rate: learning rate of the edge weights.
    """

    name = "dear"

    def __init__(
        self,
        model: CausalImageModel,
        discriminator: Discriminator,
        latents: Tensor,
        *,
        divergence: Divergence = "kl",
        clamp: Annotated[float, Ge(1)] = 2.0,
        supervision: Weight = 5.0,
        rate: Positive = 2e-4,
        structure_rate: Positive = 1e-3,
    ) -> None:
        super().__init__(model, discriminator, latents)
        self.divergence, self.clamp, self.supervision = divergence, clamp, supervision
        self.rate, self.structure_rate = rate, structure_rate

    def rates(self) -> Mapping[str, float]:
        return {
            "encoder": self.rate,
            "generator": self.rate,
            "scm": self.rate,
            "discriminator": 2 * self.rate,
            "structure": self.structure_rate,
        }

    def phases(self) -> list[Phase]:
        return [
            Phase("discriminator", ("discriminator",), self._discriminator),
            Phase("encoder", ("encoder",), self._encoder),
            Phase("generator", ("generator", "scm", "structure"), self._generator),
        ]

    def _discriminator(self, batch: Batch) -> Mapping[str, Tensor]:
        with torch.no_grad():
            latent = self.sampled(self.encoder(batch.image))
            prior = self.prior(len(batch.image))
            drawn = self.generator(prior)
        real, fake = self.discriminator(batch.image, latent), self.discriminator(drawn, prior)
        return {"pairs": discriminator_loss(real, fake, self.divergence)}

    def _encoder(self, batch: Batch) -> Mapping[str, Tensor]:
        encoded = self.encoder(batch.image)
        real = self.discriminator(batch.image, self.sampled(encoded))
        y, _ = self.split(encoded.mean)
        return {
            "adversarial": encoder_loss(real, self.divergence, self.clamp),
            "supervision": self.supervision * supervision(y, batch.attributes, self.inputs),
        }

    def _generator(self, batch: Batch) -> Mapping[str, Tensor]:
        prior = self.prior(len(batch.image))  # not detached: the prior learns through both arguments
        fake = self.discriminator(self.generator(prior), prior)
        return {
            "adversarial": generator_loss(fake, self.divergence, self.clamp),
            **self.model.structure.terms(batch.step_attributes),
        }
