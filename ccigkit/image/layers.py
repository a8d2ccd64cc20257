"""What the backbones share: the residual block, the attention block, and the head that judges pairs."""

from __future__ import annotations

import math
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from ccigkit.errors import ConfigError
from ccigkit.pixels import ImageShape

SLOPE = 0.2  # of the leaky rectifiers, as in DCGAN


def levels(image_shape: ImageShape, smallest: int = 4) -> int:
    """How many times an image halves until its side is `smallest`.

    Raises:
        ConfigError: where its side is not `smallest` times a power of two, or it is not square.
    """
    _, height, width = image_shape
    count = round(math.log2(max(height, 1) / smallest))
    if height != width or count < 2 or smallest << count != height:
        raise ConfigError(f"this backbone draws squares of 16, 32, 64, 128 or 256 pixels, not {height} x {width}")
    return count


def widths(width: int, count: int) -> list[int]:
    """Channels at each level from the image inwards: doubling, at most four times the first."""
    return [width * min(2**level, 4) for level in range(count)]


def halve(into: int, out: int) -> nn.Conv2d:
    """A convolution [b, into, h, w] to [b, out, h/2, w/2]."""
    return nn.Conv2d(into, out, 4, stride=2, padding=1)


class Doubling(nn.Module):
    """Every pixel of [b, into, h, w] becomes four, then a 3 x 3 convolution: [b, out, 2h, 2w].

    The two are one transposed convolution, whose 4 x 4 kernel is the 3 x 3 one laid four times, one pixel apart: four
    products where the two steps take nine. A flat field stays flat, where a free 4 x 4 kernel leaves a checkerboard
    (Odena et al. 2016).
    """

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        bound = (9 * into) ** -0.5
        self.weight = nn.Parameter(torch.empty(into, out, 3, 3).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.kernel(), self.bias, stride=2, padding=1)

    def kernel(self) -> Tensor:
        """The kernel [into, out, 4, 4] of the transposed convolution."""
        if self.weight.shape[-1] == 4:
            return self.weight
        return 4 * F.avg_pool2d(F.pad(self.weight, (1, 1, 1, 1)), 2, stride=1)  # the sums: ONNX knows no other divisor

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        saved = state.get(f"{prefix}weight")
        if saved is not None and saved.shape[-2:] == (4, 4):  # free kernels, which earlier versions had, stay as such
            self.weight.data = self.weight.data.new_empty(saved.shape)
        super()._load_from_state_dict(state, prefix, *rest)


def group_norm(channels: int) -> nn.GroupNorm:
    """Normalisation without running statistics, which suit neither joint discriminators nor averaged weights."""
    return nn.GroupNorm(math.gcd(channels, 8), channels)


class Modulation(nn.Module):
    """Normalised features [b, c, h, w], each channel scaled and shifted as a style [b, s] says (Perez et al. 2018)."""

    def __init__(self, channels: int, style: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.affine = nn.Linear(style, 2 * channels)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scale, shift = rearrange(self.affine(style), "b (two c) -> two b c 1 1", two=2)
        modulated: Tensor = torch.addcmul(shift, self.norm(x), 1 + scale)
        return modulated


class Residual(nn.Module):
    """x + two 3 x 3 convolutions of x [b, c, h, w] (pre-activation, He et al. 2016); `norm` comes before them."""

    def __init__(self, channels: int, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, *style: Tensor) -> Tensor:
        hidden: Tensor = self.first(F.leaky_relu(self.norm(x, *style), SLOPE))
        change: Tensor = self.second(F.leaky_relu(hidden, SLOPE))
        return x + change


class Attention(nn.Module):
    """Self-attention over the pixels of x [b, c, h, w] (SAGAN, Zhang et al. 2019), faded in from zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 4, 1)
        self.key = nn.Conv2d(channels, channels // 4, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(x, 2)  # SAGAN pools keys and values: a quarter of the work
        query, key, value = (
            layer(y).flatten(2).transpose(1, 2)
            for layer, y in ((self.query, x), (self.key, pooled), (self.value, pooled))
        )
        seen = F.scaled_dot_product_attention(query, key, value)
        return x + self.gain * seen.transpose(1, 2).reshape(x.shape)


class Head(nn.Sequential):
    """Features [b, c, 4, 4] to a vector [b, size] through one hidden layer."""

    def __init__(self, channels: int, size: int, hidden: int = 256) -> None:
        super().__init__(nn.Flatten(), nn.Linear(channels * 16, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, size))


class Seed(nn.Module):
    """Latents [b, k] to the features [b, channels, 4, 4] that a generator grows its image from."""

    def __init__(self, latent_size: int, channels: int, hidden: int = 256) -> None:
        super().__init__()
        self.channels = channels
        self.layers = nn.Sequential(
            nn.Linear(latent_size, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, channels * 16)
        )

    def forward(self, latent: Tensor) -> Tensor:
        features: Tensor = self.layers(latent).view(-1, self.channels, 4, 4)
        return features.contiguous(memory_format=torch.channels_last)


def gaussian(parameters: Tensor) -> Normal:
    """Normal distributions over latents from the output [b, 2k] of an encoder's head: means, then log deviations."""
    mean, spread = parameters.float().chunk(2, dim=1)
    return Normal(
        mean, (spread - 2).clamp(-7, 2).exp()
    )  # narrow to begin with, so that samples follow the encoder's means


class JointHead(nn.Module):
    """Scores for the image, for the latent and for both together, averaged (DEAR's joint discriminator)."""

    def __init__(self, features: int, latent_size: int, hidden: int = 256) -> None:
        super().__init__()
        self.of_latent = perceptron(latent_size, hidden, hidden)
        self.score_image = nn.Linear(features, 1)
        self.score_latent = nn.Linear(hidden, 1)
        self.score_pair = nn.Sequential(perceptron(features + hidden, hidden, hidden), nn.Linear(hidden, 1))

    def forward(self, features: Tensor, latent: Tensor | None) -> Tensor:
        """Logits [b] of image features [b, f] and latents [b, k], or of the images alone."""
        image: Tensor = self.score_image(features)
        if latent is None:
            return image[:, 0]
        hidden = self.of_latent(latent)
        pair: Tensor = self.score_pair(torch.cat([features, hidden], dim=1))
        average: Tensor = (image + self.score_latent(hidden) + pair) / 3
        return average[:, 0]


def perceptron(into: int, hidden: int, out: int) -> nn.Sequential:
    """Two linear layers [b, into] to [b, out], a leaky rectifier after each."""
    return nn.Sequential(nn.Linear(into, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, out), nn.LeakyReLU(SLOPE))


def normalise_spectra(module: nn.Module) -> None:
    """Spectral normalisation (Miyato et al. 2018) on every linear map inside a discriminator."""
    for layer in list(module.modules()):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            spectral_norm(layer)
