"""Minimality: does a counterfactual change no more than it must?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor
from torch.distributions import Normal

from ccigkit.causal.attributes import Attribute
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule
from ccigkit.metrics.base import ImageModel
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric, Scorer
from ccigkit.metrics.protocol.questions import Question
from ccigkit.metrics.readers.predictor import STEPS, Pictures, ReadsPictures
from ccigkit.metrics.readers.vae import STEPS as VAE_STEPS
from ccigkit.metrics.readers.vae import divergence, gaussians
from ccigkit.pixels import to_float

WEIGHTS = (0.8, 0.2)  # the benchmark's (Melistas et al., 2024)


class Minimality(ReadsPictures, CounterfactualMetric):
    """How much counterfactuals change, beside how much they must.

    `cld` is the counterfactual latent divergence (Sanchez and Tsaftaris, 2022, as weighted by Melistas et al., 2024):
    log(0.8 exp P(S* <= D) + 0.2 exp P(S >= D)), where D is the divergence between an image x and its counterfactual,
    S that between x and real images which have the attribute as x has it, and S* that between x and those which have it
    as it was set (continuous: in the same bin). Changing nothing gets 0.2954, which no honest edit is far below: read
    it beside effectiveness. `invariance` is by how much the attributes that must stay have moved, the mean in per cent
    of their ranges, as the predictor reads them.

    Args:
        n: questions asked: pairs of a test image and a do().
        seed: seed of the questions, of the predictor and of the VAE that measures divergence.
        bins: bins of equally many training images for a continuous attribute.
        references: real training images that a counterfactual is held against.
        predictor_steps: training steps of the predictor.
        vae_steps: training steps of the VAE.
    """

    name = "minimality"

    def __init__(
        self,
        *,
        n: Count = 2000,
        seed: Seed = 0,
        bins: Annotated[int, Ge(2)] = 5,
        references: Count = 2000,
        predictor_steps: Count = STEPS,
        vae_steps: Count = VAE_STEPS,
    ) -> None:
        self.n, self.seed, self.bins, self.references = n, seed, bins, references
        self.predictor_steps, self.vae_steps = predictor_steps, vae_steps

    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        read = self.predictor(data)
        encode = gaussians(data, seed=self.seed, steps=self.vae_steps, device=self.device)
        train = data.load("train")
        values = torch.as_tensor(train.values).float()
        shown = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))[: self.references]
        known = encode(to_float(train.images[shown]))
        edges = [self.edges(attribute, values[:, j]) for j, attribute in enumerate(data.attributes)]

        def coded(pictures: Pictures) -> Normal:
            return pictures.by(encode.fingerprint, encode)

        def away(image: Tensor) -> Tensor:
            """The divergence [b, m] of images from the references."""
            code = encode(image)
            return divergence(Normal(code.mean[:, None], code.stddev[:, None]), known)

        def score(question: Question, pictures: Pictures) -> Mapping[str, Tensor]:
            j = question.target
            bin_of = torch.bucketize(values[shown, j], edges[j])
            before, after = (torch.bucketize(v.contiguous(), edges[j]) for v in (question.values[:, j], question.drawn))
            factual, changed = coded(question.pictures), coded(pictures)
            apart = question.pictures.by(f"{encode.fingerprint} {self.references}", away)
            moved = read.percent(pictures.view(read).attributes - question.pictures.view(read).attributes)
            return {
                "cld": cld(
                    divergence(factual, changed),
                    apart,
                    bin_of[None] == before[:, None],
                    bin_of[None] == after[:, None],
                ),
                "invariance": moved[:, question.others].mean(dim=1),
            }

        return score

    def edges(self, attribute: Attribute, values: Tensor) -> Tensor:
        """The inner borders of an attribute's bins, from its training values [n]."""
        if attribute.kind == "continuous":
            return torch.quantile(values, torch.arange(1, self.bins) / self.bins)
        return torch.arange(0.5, max(1, len(attribute.categories) - 1))


def cld(moved: Tensor, apart: Tensor, same: Tensor, other: Tensor) -> Tensor:
    """The divergence [b] of counterfactuals against those [b, m] of references.

    `same` and `other` [b, m] mark the references which have the attribute as it was, and as it was set.
    """
    near = share(apart <= moved[:, None], other)
    far = share(apart >= moved[:, None], same)
    return (WEIGHTS[0] * near.exp() + WEIGHTS[1] * far.exp()).log()


def share(holds: Tensor, among: Tensor) -> Tensor:
    """The share [b] of those marked [b, m] for which something [b, m] holds, NaN where none is marked."""
    return (holds & among).double().sum(dim=1) / among.double().sum(dim=1)
