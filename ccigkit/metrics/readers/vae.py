"""Images as Gaussians: the unconditional VAE in whose latent space minimality measures how far images are apart."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from ccigkit.data.base import DataModule
from ccigkit.descend import descend, one_cycle
from ccigkit.image.dcgan import DCGANEncoder, DCGANGenerator
from ccigkit.metrics.readers.cached import fingerprint, train_once
from ccigkit.training.batches import batch_rows, read_batch
from ccigkit.training.devices import choose_device

SIDE, LATENT, WIDTH = 32, 16, 16  # pictures are seen small: asked for is which of two are nearer, not their detail
STEPS, BATCH, RATE, DECAY, VERSION = 1000, 64, 2e-3, 0.01, 1
DEVIATION = 0.2  # of a pixel from the drawing, in [-1, 1]: what a difference of pixels weighs against the prior


class VAE(nn.Module):
    """A small variational autoencoder that is told no attributes (Kingma and Welling, 2014)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = DCGANEncoder((channels, SIDE, SIDE), LATENT, width=WIDTH)
        self.generator = DCGANGenerator((channels, SIDE, SIDE), LATENT, width=WIDTH)

    def loss(self, image: Tensor) -> Tensor:
        """The negative evidence bound, up to a constant, of small images [b, c, 32, 32]."""
        code: Normal = self.encoder(image)
        error = (self.generator(code.rsample()) - image).square().flatten(1).sum(dim=1) / (2 * DEVIATION**2)
        prior = Normal(torch.zeros_like(code.mean), torch.ones_like(code.mean))
        return (error + divergence(code, prior)).mean()


class Gaussians:
    """The VAE's codes: one diagonal Gaussian per image. `fingerprint` is the name of its file in the cache."""

    def __init__(self, network: VAE, device: torch.device, fingerprint: str) -> None:
        self.network, self.device, self.fingerprint = network.eval().to(device), device, fingerprint

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Normal:
        """Gaussians over [n, 16] for images [n, c, h, w] in [-1, 1]."""
        codes = [self.network.encoder(small(chunk.to(self.device))) for chunk in image.split(256)]
        mean, stddev = (torch.cat([getattr(code, part).cpu() for code in codes]) for part in ("mean", "stddev"))
        return Normal(mean, stddev)


def gaussians(data: DataModule, *, seed: int = 0, steps: int = STEPS, device: str | torch.device = "auto") -> Gaussians:
    """The VAE of a data set: from the cache if it was trained on these very images, else trained now.

    Raises:
        UserError: where there is no such device.
    """
    split, device = data.load("train"), choose_device(str(device))
    latents = torch.empty(len(split), 0)
    name = fingerprint(split, seed, steps, BATCH, RATE, VERSION)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = VAE(data.image_shape[0])

        def loss(step: int) -> Tensor:
            batch = read_batch(split, latents, batch_rows(len(split), BATCH, step, seed), device)
            return network.loss(small(batch.image))

        def train() -> None:
            network.to(device)
            descend(network.parameters(), loss, steps=steps, rate=RATE, decay=DECAY, schedule=one_cycle)

        train_once(network, "vaes", name, train)
    return Gaussians(network, device, name)


def divergence(p: Normal, q: Normal) -> Tensor:
    """KL(p || q) of diagonal Gaussians over [..., k], summed over k."""
    return kl_divergence(p, q).sum(dim=-1)


def small(image: Tensor) -> Tensor:
    """Images [b, c, h, w] at 32 pixels a side."""
    return F.adaptive_avg_pool2d(image, SIDE)
