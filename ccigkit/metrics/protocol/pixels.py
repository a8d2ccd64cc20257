"""How far two images are apart, pixel by pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from ccigkit.pixels import to_float

WINDOW, SIGMA = 11, 1.5  # of SSIM's Gaussian window, as published
BEST = 100.0  # the PSNR of equal images: in truth it is infinite, which no mean survives


def l1(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute difference [n] of images [n, c, h, w], in the 255 levels of a pixel.

    Images may be uint8 or float in [-1, 1]. Bytes are never subtracted as bytes: 3 - 5 is 254 then.
    """
    return absolute(a, b).flatten(1).mean(dim=1)


def absolute(a: Tensor, b: Tensor) -> Tensor:
    """The absolute difference [n, c, h, w] of images, in levels."""
    return (_float(a) - _float(b)).abs() * 127.5


def mse(a: Tensor, b: Tensor) -> Tensor:
    """The mean squared difference [n], with black at 0 and white at 1."""
    return (_float(a) - _float(b)).div(2).square().flatten(1).mean(dim=1)


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """The peak signal-to-noise ratio [n] in decibels: -10 log10 MSE, at most 100."""
    return (-10 * mse(a, b).log10()).clamp(max=BEST)


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """The structural similarity [n] (Wang et al., 2004): 1 for equal images.

    Gaussian windows of 11 pixels and deviation 1.5 wherever they fit; images smaller than that have none, hence NaN.
    """
    x, y = (_float(image).add(1).div(2) for image in (a, b))
    if min(x.shape[-2:]) < WINDOW:
        return torch.full((len(x),), torch.nan)
    mean_x, mean_y, xx, yy, xy = _blur(torch.stack([x, y, x * x, y * y, x * y])).unbind()
    var_x, var_y, covariance = xx - mean_x.square(), yy - mean_y.square(), xy - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    light = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return (light * structure).flatten(1).mean(dim=1)


def _blur(maps: Tensor) -> Tensor:
    """Maps [..., h, w] under the Gaussian window, where it fits.

    Rows and columns are each one product with a banded matrix, which a processor does several times as fast as a
    convolution of a single channel.
    """
    height, width = (_window(side).to(maps) for side in maps.shape[-2:])
    return height @ maps @ width.T


def _window(side: int) -> Tensor:
    """The window's weights [places, side] at every place of a line where it fits."""
    taps = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2) / SIGMA).square() / 2)
    places = side - WINDOW + 1
    band = torch.zeros(places, side)
    for place in range(places):
        band[place, place : place + WINDOW] = taps / taps.sum()
    return band


def _float(image: Tensor) -> Tensor:
    return image if image.is_floating_point() else to_float(image)
