"""The adversarial terms of a bidirectional GAN: hinge, or an f-divergence whose gradient the discriminator estimates.

The discriminator takes encoder pairs (x, E(x)) as positives, so at its optimum D = log r with
r = q_E(x, z) / p_G(x, z). The gradient of D_f(q, p) is then that of s_E(r) D(x, E(x)) for the encoder and that of
-s_G(r) D(G(z), z) for generator and prior, with s_E = r f''(r) and s_G = r^2 f''(r), both held fixed (Shen et al.
2022, section 3.2).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Divergence = Literal["hinge", "kl", "rkl", "js", "hellinger", "chi2"]


def discriminator_loss(real: Tensor, fake: Tensor, divergence: Divergence) -> Tensor:
    """The discriminator's loss, from its logits [b] for encoder pairs and generator pairs."""
    if divergence == "hinge":
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()
    return F.softplus(-real).mean() + F.softplus(fake).mean()  # logistic regression, whatever the f


def encoder_loss(real: Tensor, divergence: Divergence, clamp: float) -> Tensor:
    """The encoder's loss, from the logits [b] of its pairs."""
    return (_encoder_scale(real.detach(), divergence, clamp) * real).mean()


def generator_loss(fake: Tensor, divergence: Divergence, clamp: float) -> Tensor:
    """The loss of generator and prior, from the logits [b] of their pairs."""
    return -(_generator_scale(fake.detach(), divergence, clamp) * fake).mean()


def _encoder_scale(logit: Tensor, divergence: Divergence, clamp: float) -> Tensor:
    match divergence:
        case "hinge" | "kl":  # f = r log r
            scale = torch.ones_like(logit)
        case "rkl":  # f = -log r
            scale = (-logit).exp()
        case "js":  # f = r log r - (r + 1) log((r + 1) / 2)
            scale = torch.sigmoid(-logit)
        case "hellinger":  # f = (sqrt r - 1)^2
            scale = (-logit / 2).exp() / 2
        case "chi2":  # f = (r - 1)^2
            scale = 2 * logit.exp()
    return scale.clamp(1 / clamp, clamp)


def _generator_scale(logit: Tensor, divergence: Divergence, clamp: float) -> Tensor:
    match divergence:
        case "hinge" | "rkl":
            scale = torch.ones_like(logit)
        case "kl":
            scale = logit.exp()
        case "js":
            scale = torch.sigmoid(logit)
        case "hellinger":
            scale = (logit / 2).exp() / 2
        case "chi2":
            scale = 2 * (2 * logit).exp()
    return scale.clamp(1 / clamp, clamp)
