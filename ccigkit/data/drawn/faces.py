"""Cartoon faces with CelebA's attribute names and a causal model that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Literal

import torch
from annotated_types import Ge, Lt
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.component.options import Natural, Share, Weight
from ccigkit.data.base import SplitName
from ccigkit.data.drawn.faces_drawing import ATTRIBUTES, IDENTITY, draw_faces
from ccigkit.data.drawn.labels import Degrees, HardLabels
from ccigkit.data.drawn.scene import Images, Pixels, Rendered, Scene, held
from ccigkit.errors import ConfigError

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
CONFOUNDED = ("Eyeglasses", "Wearing_Lipstick")  # two attributes without a cause in common, but for the hidden one
SHORTCUT = "Smiling"


class FacesScene(Scene):
    """Degrees from scores, and faces from degrees over an identity; see `Faces`."""

    attributes = tuple(Attribute(name, "binary") for name in ATTRIBUTES)
    truth = CausalGraph.from_edges(ATTRIBUTES, [f"{a} -> {b} : {w}" for (a, b), w in EFFECTS.items()])
    knowledge = Knowledge(tiers=(ROOTS, tuple(name for name in ATTRIBUTES if name not in ROOTS)))

    def __init__(self, noise: float = NOISE, confounder: float = 0.0, shortcut: float = 0.0) -> None:
        self.noise, self.confounder, self.shortcut = noise, confounder, shortcut
        if confounder:
            self.truth = replace(self.truth, confounded=frozenset({frozenset(CONFOUNDED)}))

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 11 + identity]: the noise on every score, then the identity in [0, 1]."""
        scores = (2 * torch.rand(n, len(ATTRIBUTES), generator=generator) - 1) * self.noise
        side = torch.randint(0, 2, (n, len(ROOTS)), generator=generator) * 2 - 1
        spread = torch.randn(n, len(ROOTS), generator=generator).clamp(-2, 2) * ROOT_SPREAD
        scores[:, [ATTRIBUTES.index(root) for root in ROOTS]] = ROOT_SCORE * side + spread
        identity = torch.rand(n, len(IDENTITY), generator=generator)
        if self.confounder:
            hidden = (2 * torch.rand(n, 1, generator=generator) - 1) * self.noise
            both = [ATTRIBUTES.index(name) for name in CONFOUNDED]
            scores[:, both] = torch.lerp(scores[:, both], hidden, self.confounder)
        return torch.cat([scores, identity], dim=1)

    def split_noise(self, split: SplitName, n: int, seed: int) -> Tensor:
        """The noise of a split, the backgrounds of the training split leaning to the side of the shortcut."""
        noise = super().split_noise(split, n, seed)
        if split == "train" and self.shortcut:
            background = len(ATTRIBUTES) + IDENTITY.index("background")
            warm = noise[:, ATTRIBUTES.index(SHORTCUT)] > 0
            noise[:, background] = leaning(noise[:, background], warm, self.shortcut)
        return noise

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        degree: dict[str, Tensor] = {}
        for name in self.truth.order:
            score = noise[:, ATTRIBUTES.index(name)] + BIAS.get(name, 0.0)
            for cause in self.truth.parents(name):
                score = score + EFFECTS[cause, name] * (2 * degree[cause] - 1)
            degree[name] = held(do, name, score.sigmoid())
        return torch.stack([degree[name] for name in ATTRIBUTES], dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        noise = values.logit()
        for j, name in enumerate(ATTRIBUTES):
            noise[:, j] -= BIAS.get(name, 0.0)
            for cause in self.truth.parents(name):
                noise[:, j] -= EFFECTS[cause, name] * (2 * values[:, ATTRIBUTES.index(cause)] - 1)
        return noise

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        return draw_faces(values.float(), noise[:, len(ATTRIBUTES) :], size)


class Faces(Rendered):
    """Cartoon faces: eleven of CelebA's attributes, drawn by degree, over an identity that is independent of them.

    Every attribute is a degree in [0, 1], the sigmoid of a score: for the roots Male, Young and Smiling the score is
    1.5 either way with spread 0.4, for the others s_j = b_j + sum_i w_ij (2 degree_i - 1) + u_j with u_j uniform
    between -1.9 and 1.9, and the weights of `EFFECTS`. The label is 1 where the degree is above a half. One face in
    five goes against its cause, and by how much shows in the picture (how wide a smile, how grey a head), so that
    every do() has one true answer that the data can teach.

    Args:
        n: images in the training split; the test split has a fifth of that.
        size: pixels a side.
        noise: how far the noise moves the score of an effect, either way; 0 for effects that follow their causes.
        confounder: share in [0, 1] of the noise of Eyeglasses and Wearing_Lipstick that is one hidden cause of both;
            the true graph then has their "<->".
        shortcut: how surely, from 0 to 1, a training image that smiles has a warm background and another a cold one;
            in test images background and smile are independent.
        labels: degree, or hard: the table says yes or no, as tables of photographs do, and the degrees stay hidden.
        wrong: share of the hard labels that are the wrong one, in both splits; true answers are without such errors.
        seed: seed of the images.
    """

    name = "faces"
    attributes, truth, knowledge = FacesScene.attributes, FacesScene.truth, FacesScene.knowledge

    def __init__(
        self,
        *,
        n: Images = 10_000,
        size: Pixels = 64,
        noise: Weight = NOISE,
        confounder: Share = 0.0,
        shortcut: Share = 0.0,
        labels: Literal["degree", "hard"] = "degree",
        wrong: Annotated[float, Ge(0), Lt(0.5)] = 0.0,
        seed: Natural = 0,
    ) -> None:
        if wrong and labels == "degree":
            raise ConfigError(f"data.wrong={wrong:g} is a share of wrong labels; it needs data.labels=hard")
        scene = FacesScene(noise, confounder, shortcut)
        super().__init__(scene, n, size, seed, saying(labels, scene, n, wrong, seed))


def saying(labels: str, scene: Scene, n: int, wrong: float, seed: int) -> Degrees:
    """What the table of n training pictures of a scene says of them."""
    if labels == "degree":
        return Degrees()

    def hidden() -> Tensor:
        return scene.values(scene.split_noise("train", n, seed).double(), {})

    return HardLabels(hidden, tuple(a.name for a in scene.attributes), wrong, seed)


def leaning(place: Tensor, upper: Tensor, strength: float) -> Tensor:
    """Places [n], uniform in [0, 1], moved to the upper half where `upper` and to the lower half elsewhere.

    The upper half's share becomes (1 + strength) / 2; within either half the places stay uniform.
    """
    share = (1 - strength) / 2  # of the half that is avoided
    place = torch.where(upper, place, 1 - place)
    moved = torch.where(place < share, place / max(1 - strength, 1e-9), 0.5 + (place - share) / (1 + strength))
    return torch.where(upper, moved, 1 - moved)
