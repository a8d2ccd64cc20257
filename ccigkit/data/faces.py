"""Cartoon faces with CelebA's attribute names and a causal model that is known."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ccigkit.attributes import Attribute
from ccigkit.data.drawing import in_chunks
from ccigkit.data.faces_drawing import ATTRIBUTES, IDENTITY, draw_faces
from ccigkit.data.rendered import Rendered, held
from ccigkit.graph import CausalGraph, Knowledge

ROOTS = ("Male", "Young", "Smiling")
EFFECTS = {  # cause, effect: by how much a full degree of the cause moves the effect's score, either way
    ("Male", "No_Beard"): -1.5,
    ("Male", "Bald"): 1.0,
    ("Male", "Wearing_Lipstick"): -1.5,
    ("Young", "Bald"): -1.0,
    ("Young", "Gray_Hair"): -1.5,
    ("Young", "Eyeglasses"): -1.5,
    ("Smiling", "Mouth_Slightly_Open"): 1.5,
    ("Smiling", "High_Cheekbones"): 1.5,
    ("High_Cheekbones", "Narrow_Eyes"): 1.5,
}
BIAS = {"Bald": -0.4}
ROOT_SCORE, ROOT_SPREAD = 1.5, 0.4
NOISE = 1.9  # with the weights: no degree so near 0 or 1 that the noise behind it cannot be seen


class Faces(Rendered):
    """Cartoon faces: eleven of CelebA's attributes, drawn by degree, over an identity that no attribute touches.

    Every attribute is a degree in [0, 1], the sigmoid of a score: for the roots Male, Young and Smiling the score is
    1.5 either way with spread 0.4, for the others s_j = b_j + sum_i w_ij (2 degree_i - 1) + u_j with u_j uniform
    between -1.9 and 1.9, and the weights of `EFFECTS`. The label is 1 where the degree is above a half. One face in
    five goes against its cause, and by how much shows in the picture (how wide a smile, how grey a head), so that
    every do() has one true answer that the data can teach.

    Args:
        n: images in the training split; the test split has a fifth of that.
        size: pixels a side.
        seed: seed of the images.
    """

    name = "faces"
    attributes = tuple(Attribute(name, "binary") for name in ATTRIBUTES)
    truth = CausalGraph.from_edges(ATTRIBUTES, [f"{a} -> {b} : {w}" for (a, b), w in EFFECTS.items()])
    knowledge = Knowledge(tiers=(ROOTS, tuple(name for name in ATTRIBUTES if name not in ROOTS)))

    def __init__(self, *, n: int = 10_000, size: int = 64, seed: int = 0) -> None:
        super().__init__(n, size, seed)

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 11 + identity]: the noise on every score, then the identity in [0, 1]."""
        scores = (2 * torch.rand(n, len(ATTRIBUTES), generator=generator) - 1) * NOISE
        side = torch.randint(0, 2, (n, len(ROOTS)), generator=generator) * 2 - 1
        spread = torch.randn(n, len(ROOTS), generator=generator).clamp(-2, 2) * ROOT_SPREAD
        scores[:, [ATTRIBUTES.index(root) for root in ROOTS]] = ROOT_SCORE * side + spread
        return torch.cat([scores, torch.rand(n, len(IDENTITY), generator=generator)], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        degree: dict[str, Tensor] = {}
        for name in self.truth.order:
            score = noise[:, ATTRIBUTES.index(name)] + BIAS.get(name, 0.0)
            for cause in self.truth.parents(name):
                score = score + EFFECTS[cause, name] * (2 * degree[cause] - 1)
            degree[name] = held(do, name, score.sigmoid())
        return torch.stack([degree[name] for name in ATTRIBUTES], dim=1)

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        identity = noise[:, len(ATTRIBUTES) :]
        return torch.cat([draw_faces(v.float(), i, self.size) for v, i in in_chunks(values, identity)])
