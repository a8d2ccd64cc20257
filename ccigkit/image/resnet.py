"""The ResNet backbone: residual blocks and self-attention, as in CCIG's and DEAR's joint discriminator."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.component.options import Count
from ccigkit.image.base import Discriminator, Encoder, Generator
from ccigkit.image.layers import (
    SLOPE,
    Attention,
    Doubling,
    Head,
    JointHead,
    Modulation,
    Residual,
    Seed,
    gaussian,
    group_norm,
    halve,
    levels,
    normalise_spectra,
    perceptron,
    widths,
)
from ccigkit.pixels import ImageShape

ATTEND_AT = 16  # pixels a side where attention sits: global enough, and cheap enough for two cores


def trunk(image_shape: ImageShape, sizes: list[int], norm: bool = True) -> nn.Sequential:
    """From an image [b, c, h, w] to features [b, sizes[-1], 4, 4]: halve, then a residual block, at every level.

    The first level has no block: at half the image's size it would cost more than all the others together.
    """
    layers: list[nn.Module] = [halve(image_shape[0], sizes[0])]
    side = image_shape[1] // 2
    for into, out in pairwise(sizes):
        side //= 2
        layers += [nn.LeakyReLU(SLOPE), halve(into, out), Residual(out, group_norm(out) if norm else nn.Identity())]
        layers += [Attention(out)] if side == ATTEND_AT else []
    return nn.Sequential(*layers, group_norm(sizes[-1]) if norm else nn.Identity(), nn.LeakyReLU(SLOPE))


class ResNetEncoder(Encoder):
    """Residual blocks and attention to the mean and the spread of each latent.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 24) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = trunk(image_shape, sizes)
        self.head = Head(sizes[-1], 2 * latent_size)

    def forward(self, image: Tensor) -> Normal:
        return gaussian(self.head(self.trunk(image)))


class ResNetGenerator(Generator):
    """Residual blocks and attention from the latent to the image, the latent an input of every block.

    Modulating each block by the latent (Perez et al. 2018; Karras et al. 2019) lets an attribute that moves one edge
    reach that edge without passing through all the blocks before: at the same cost it halves the error of a drawn face.

    Args:
        width: channels before the last convolutions; earlier ones have up to four times as many.
        style: size of the embedding of the latent that modulates every block.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 32, style: Count = 128) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))[::-1]
        self.seed = Seed(latent_size, sizes[0])
        self.style = perceptron(latent_size, style, style)
        self.blocks = nn.ModuleList(Residual(size, Modulation(size, style)) for size in sizes[:-1])
        self.attend = nn.ModuleList(
            Attention(size) if 4 << level == ATTEND_AT else nn.Identity() for level, size in enumerate(sizes[:-1])
        )
        self.doublings = nn.ModuleList(Doubling(into, out) for into, out in pairwise(sizes))
        self.last = Modulation(sizes[-1], style)
        fine = sizes[-1] // 2  # a last block at full size, for edges; narrow, as every channel is expensive there
        self.draw = nn.Sequential(
            nn.LeakyReLU(SLOPE),
            Doubling(sizes[-1], fine),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(fine, image_shape[0], 3, padding=1),
        )

    def forward(self, latent: Tensor) -> Tensor:
        features, style = self.seed(latent), self.style(latent)
        for block, attend, doubling in zip(self.blocks, self.attend, self.doublings, strict=True):
            features = doubling(attend(block(features, style)))
        return torch.tanh(self.draw(self.last(features, style)).float())


class ResNetDiscriminator(Discriminator):
    """The joint discriminator: residual blocks and attention under spectral normalisation, the latent in the head.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 16) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = nn.Sequential(trunk(image_shape, sizes, norm=False), Head(sizes[-1], 256), nn.LeakyReLU(SLOPE))
        self.head = JointHead(256, latent_size)
        normalise_spectra(self)

    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.trunk(image), latent)
        return logits.float()
