"""What objectives of a bidirectional GAN share: its parts at hand, and latents of the prior."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Normal

from ccigkit.errors import ConfigError
from ccigkit.image.base import Discriminator
from ccigkit.image.bigan import BiGAN
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.base import Objective


class BidirectionalObjective(Objective):
    """An objective that trains an encoder and a generator as one bidirectional GAN.

    Raises:
        ConfigError: where the model's image mechanism is another.
    """

    def __init__(self, model: CausalImageModel, discriminator: Discriminator, latents: Tensor) -> None:
        super().__init__(model, discriminator, latents)
        if not isinstance(model.image, BiGAN):
            raise ConfigError(
                f"objective.name={self.name} trains an encoder and a generator, and the image mechanism "
                f"{model.image.name!r} has none; choose --image bigan, or another objective"
            )
        self.encoder, self.generator, self.split = model.image.encoder, model.image.generator, model.image.split
        self.inputs = model.causal.inputs

    def prior(self, n: int) -> Tensor:
        """Latents [n, k]: attributes from the SCM, and a new style."""
        return torch.cat([self.inputs.of(self.model.causal.draw(n)), self.model.image.sample(n)], dim=1)

    def sampled(self, encoded: Normal) -> Tensor:
        """Latents [n, k] drawn from what the encoder says of images, every category decided."""
        y, style = self.split(encoded.rsample())
        return torch.cat([self.inputs.chosen(y), style], dim=1)
