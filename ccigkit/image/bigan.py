"""The image mechanism of CCIG and DEAR: an encoder and a generator, trained against a joint discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ccigkit.image.base import Discriminator, Encoder, Generator, ImageMechanism
from ccigkit.pixels import ImageShape


class BiGAN(ImageMechanism):
    """An encoder reads attributes and style off an image, a generator draws it again (Donahue et al., 2017).

    Its latent [b, k] is z [b, d] and then the style [b, k - d]. The discriminator is there while it is trained.
    """

    name = "bigan"
    wiring = (*ImageMechanism.wiring, "encoder", "generator", "discriminator")

    def __init__(
        self,
        image_shape: ImageShape,
        size: int,
        latent_size: int,
        encoder: Encoder,
        generator: Generator,
        discriminator: Discriminator | None = None,
    ) -> None:
        super().__init__(image_shape, size, latent_size)
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator

    def abduct(self, image: Tensor, z: Tensor) -> Tensor:
        return self.read(image)[1]

    def render(self, z: Tensor, style: Tensor) -> Tensor:
        return self.generator(torch.cat([z, style], dim=1))

    def sample(self, n: int) -> Tensor:
        device = next(self.generator.parameters()).device
        return torch.randn(n, self.latent_size - self.size, device=device)  # DEAR, Shen et al. 2022, section 4.1

    def read(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Z [b, d] and style [b, k - d] of images [b, c, h, w]: the means of the encoder's distribution."""
        return self.split(self.encoder(image).mean)

    def split(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """Latents [b, k] as z [b, d] and style [b, k - d]."""
        return latent[:, : self.size], latent[:, self.size :]

    def parts(self) -> dict[str, nn.Module]:
        there = {"encoder": self.encoder, "generator": self.generator, "discriminator": self.discriminator}
        return {kind: part for kind, part in there.items() if part is not None}
