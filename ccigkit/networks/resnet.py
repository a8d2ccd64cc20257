"""The ResNet backbone: residual blocks and self-attention, as in CCIG's and DEAR's joint discriminator."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.interfaces import Discriminator, Encoder, Generator, ImageShape
from ccigkit.networks.layers import (
    SLOPE,
    Attention,
    Head,
    JointHead,
    Residual,
    Seed,
    double,
    gaussian,
    group_norm,
    halve,
    levels,
    normalise_spectra,
    widths,
)

ATTEND_AT = 16  # pixels a side where attention sits: global enough, and cheap enough for two cores


def trunk(image_shape: ImageShape, sizes: list[int], norm: bool = True) -> nn.Sequential:
    """From an image [b, c, h, w] to features [b, sizes[-1], 4, 4]: halve, then a residual block, at every level.

    The first level has no block: at half the image's size it would cost more than all the others together.
    """
    layers: list[nn.Module] = [halve(image_shape[0], sizes[0])]
    side = image_shape[1] // 2
    for into, out in pairwise(sizes):
        side //= 2
        layers += [nn.LeakyReLU(SLOPE), halve(into, out), Residual(out, norm)]
        layers += [Attention(out)] if side == ATTEND_AT else []
    return nn.Sequential(*layers, group_norm(sizes[-1]) if norm else nn.Identity(), nn.LeakyReLU(SLOPE))


class ResNetEncoder(Encoder):
    """Residual blocks and attention to the mean and the spread of each latent.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: int = 24) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = trunk(image_shape, sizes)
        self.head = Head(sizes[-1], 2 * latent_size)

    def forward(self, image: Tensor) -> Normal:
        return gaussian(self.head(self.trunk(image)))


class ResNetGenerator(Generator):
    """The encoder's mirror image: residual blocks and attention from the latent to the image.

    Args:
        width: channels before the last convolution; earlier ones have up to four times as many.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: int = 32) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))[::-1]
        self.seed = Seed(latent_size, sizes[0])
        layers: list[nn.Module] = []
        side = 4
        for into, out in pairwise(sizes):
            layers += [Residual(into), *([Attention(into)] if side == ATTEND_AT else []), double(into, out)]
            side *= 2
        fine = sizes[-1] // 2  # a last look at full size, for edges; narrow, since every channel there is dear
        layers += [group_norm(sizes[-1]), nn.LeakyReLU(SLOPE), double(sizes[-1], fine), nn.LeakyReLU(SLOPE)]
        layers += [nn.Conv2d(fine, image_shape[0], 3, padding=1)]
        self.trunk = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.trunk(self.seed(latent)).float())


class ResNetDiscriminator(Discriminator):
    """The joint discriminator: residual blocks and attention under spectral normalisation, the latent in the head.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "resnet"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: int = 16) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = nn.Sequential(trunk(image_shape, sizes, norm=False), Head(sizes[-1], 256), nn.LeakyReLU(SLOPE))
        self.head = JointHead(256, latent_size)
        normalise_spectra(self)

    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.trunk(image), latent)
        return logits.float()
