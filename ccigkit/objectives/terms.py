"""Terms that several objectives share: supervision by the attributes, and the mechanisms' fit to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccigkit.attributes import Attributes
from ccigkit.interfaces import SCM, JointStructure, Structure


def supervision(z: Tensor, latents: Tensor, attributes: Attributes) -> Tensor:
    """How far the encoder's z [b, d] are from the attributes' latents [b, d].

    Squared error, and for a binary attribute the cross entropy of the probabilities they stand for on top: near 0 and
    1 the latent runs off to where the square alone would chase differences nobody can see.
    """
    total = (z - latents).square().mean()
    binary = [j for j, attribute in enumerate(attributes) if attribute.kind == "binary"]
    if binary:
        spread = torch.tensor([attributes[j].spread for j in binary], device=z.device, dtype=z.dtype)
        center = torch.tensor([attributes[j].center for j in binary], device=z.device, dtype=z.dtype)
        logits, targets = z[:, binary] * spread + center, (latents[:, binary] * spread + center).sigmoid()
        entropy = F.binary_cross_entropy(targets, targets)  # subtracted, so that a perfect reading scores 0
        total = total + F.binary_cross_entropy_with_logits(logits, targets) - entropy
    return total


def structure_terms(structure: nn.Module, latents: Tensor) -> Mapping[str, Tensor]:
    """What a structure that is still being learned descends on attributes [b, d]; nothing for a settled one."""
    return structure.learner.loss(latents) if isinstance(structure, JointStructure) else {}


def fit_mechanisms(scm: SCM, structure: Structure | JointStructure, latents: Tensor, steps: int = 800) -> None:
    """Fit an SCM's mechanisms, and its noise, to the training table [n, d] under the structure as it stands.

    Seconds on two cores; every later step of training starts from mechanisms that already explain the labels.
    """
    adjacency = structure.adjacency().detach()
    parameters = list(scm.parameters())
    optimizer = torch.optim.Adam(parameters, lr=1e-2)
    with torch.enable_grad(), torch.autocast(latents.device.type, enabled=False):
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * (1 - step / steps)
            rows = torch.randint(len(latents), (512,), device=latents.device)
            optimizer.zero_grad()
            scm.loss(latents[rows], adjacency).backward()
            optimizer.step()
    optimizer.zero_grad()
    scm.fit_noise(latents[:4096], adjacency)


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without reaching its parameters."""
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    yield
    for parameter, want in wanted:
        parameter.requires_grad_(want)
