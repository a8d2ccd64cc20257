"""The detail of an image that its drawing lacks, and where it is kept."""

from __future__ import annotations

import torch
from torch import Tensor

CHANGED = 0.25  # a pixel's change, of 2 from black to white, that takes most of its old detail away


def keep_detail(image: Tensor, drawn: Tensor, changed: Tensor) -> Tensor:
    """The drawing after a change [b, c, h, w], with the detail of the image that the drawing before it lacked.

    x' = G(z') + w (x - G(z)), with w as in `unchanged`: where a drawing has changed, the old one's detail is gone with
    it. Nothing changed gives x itself, bit for bit.
    """
    weight = unchanged(drawn, changed)
    return (torch.lerp(changed, image, weight) + weight * (changed - drawn)).clamp(-1, 1)


def unchanged(before: Tensor, after: Tensor, scale: float = CHANGED) -> Tensor:
    """How far each pixel of two images [b, c, h, w] is the same: exp(-(|after - before| / scale)^2), [b, 1, h, w]."""
    return torch.exp(-((after - before).abs().amax(dim=1, keepdim=True) / scale).square())
