"""Networks of an image mechanism: encoder, generator, discriminator."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.component.component import Component


class Encoder(Component, nn.Module):
    """Image to latent: the first d latents are the attributes' z, the other k - d the residual."""

    kind = "encoder"
    default = "resnet"
    flag = "The encoder alone."
    backbone = saved = averaged = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor) -> Normal:
        """Images [b, c, h, w] in [-1, 1] to a distribution over latents [b, k]."""

    if TYPE_CHECKING:
        __call__ = forward


class Generator(Component, nn.Module):
    """Latent to image. Deterministic, so that factual and counterfactual differ only by their latents."""

    kind = "generator"
    default = "resnet"
    flag = "The generator alone."
    backbone = saved = averaged = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, latent: Tensor) -> Tensor:
        """Latents [b, k] to images [b, c, h, w] in [-1, 1]."""

    if TYPE_CHECKING:
        __call__ = forward


class Discriminator(Component, nn.Module):
    """Tells encoder pairs (image, E(image)), positive, from generator pairs (G(latent), latent)."""

    kind = "discriminator"
    default = "resnet"
    flag = "The discriminator alone."
    backbone = True
    wiring = ("image_shape", "latent_size")

    @abstractmethod
    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        """Logits [b] for pairs of images [b, c, h, w] and latents [b, k]; without latents, for the images alone."""

    if TYPE_CHECKING:
        __call__ = forward
