"""The image mechanism of CCIG and DEAR: an encoder and a generator, trained against a joint discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ccigkit.image.base import Discriminator, Encoder, Generator, ImageMechanism
from ccigkit.pixels import ImageShape


class BiGAN(ImageMechanism):
    """An encoder reads attributes and style off an image, a generator draws it again (Donahue et al., 2017).

    Its latent [b, k] is the attributes y [b, m] and then the style [b, k - m]. The discriminator is there in
    training alone.
    """

    name = "bigan"
    wiring = (*ImageMechanism.wiring, "encoder", "generator", "discriminator")

    def __init__(
        self,
        image_shape: ImageShape,
        inputs: int,
        latent_size: int,
        encoder: Encoder,
        generator: Generator,
        discriminator: Discriminator | None = None,
    ) -> None:
        super().__init__(image_shape, inputs, latent_size)
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator

    def abduct(self, image: Tensor, y: Tensor) -> Tensor:
        return self.read(image)[1]

    def render(self, y: Tensor, style: Tensor) -> Tensor:
        return self.generator(torch.cat([y, style], dim=1))

    def sample(self, n: int) -> Tensor:
        device = next(self.generator.parameters()).device
        return torch.randn(n, self.latent_size - self.inputs, device=device)  # DEAR, Shen et al. 2022, section 4.1

    def read(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Y [b, m] and style [b, k - m] of images [b, c, h, w]: the means of the encoder's distribution."""
        return self.split(self.encoder(image).mean)

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [b, k] as y [b, m] and style [b, k - m]."""
        return latent[:, : self.inputs], latent[:, self.inputs :]

    def parts(self) -> dict[str, nn.Module]:
        there = {"encoder": self.encoder, "generator": self.generator, "discriminator": self.discriminator}
        return {kind: part for kind, part in there.items() if part is not None}
