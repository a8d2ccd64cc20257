"""The graph autoencoder: CCIG's own structure module."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import Matrix
from ccigkit.component.options import Count, Positive, Seed, Weight
from ccigkit.descend import descend
from ccigkit.structure.continuous.weighted import WeightedLearner
from ccigkit.structure.tables import evenly, rounded


class GraphAutoencoder(WeightedLearner):
    """Every attribute is decoded from its causes' encodings: x_j = g2(sum_i A_ij g1(x_i)), g1 and g2 shared.

    Ng et al. (2019), as in CCIG (2024). As published, g2 takes over the scale of A, so that A shrinks until its cycles
    cost nothing; here messages g1(x) have unit size and g2 cannot amplify, which leaves the scale to A.

    Args:
        hidden: width of the encoder's and the decoder's hidden layer.
        message: size of what one attribute sends to another.
        rate: learning rate (Adam).
        rounds: how often the penalty on cycles is raised.
        steps: steps of each round.
        rows: how many rows are looked at, evenly spread over the sorted table.
        seed: of the first weights.
        faithful: keep the published scale: free messages and decoder, and a threshold relative to the largest weight.
    """

    name = "gae"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        hidden: Count = 16,
        message: Count = 4,
        l1: Weight = 0.02,
        threshold: Weight = 0.2,
        rate: Positive = 1e-2,
        rounds: Count = 8,
        steps: Count = 100,
        rows: Count = 2000,
        seed: Seed = 0,
        faithful: bool = False,
    ) -> None:
        super().__init__(names, l1, threshold)
        self.rate, self.rounds, self.steps, self.rows = rate, rounds, steps, rows
        self.seed, self.faithful = seed, faithful
        with torch.random.fork_rng(devices=[]):
            self.encoder = _network(1, hidden, message, nn.Linear)
            self.decoder = _network(message, hidden, 1, nn.Linear if faithful else BoundedLinear)
            self._begin()

    def _begin(self) -> None:
        torch.default_generator.manual_seed(self.seed)  # the CPU's alone: the fork restores no other
        for module in self.modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
        nn.init.uniform_(self.weights, -0.1, 0.1)  # not zero: there neither A nor g1 has a gradient

    def fit(self, table: Table) -> tuple[str, ...]:
        """Rounds of Adam on the same few rows, each with a higher penalty on cycles; the global seed stays as it is."""
        with torch.random.fork_rng(devices=[]):
            self._begin()
        latents = torch.as_tensor(rounded(evenly(table.latents, self.rows))).to(self.weights)
        for _ in range(self.rounds):
            descend(
                self.parameters(),
                lambda _: torch.stack(list(self.loss(latents).values())).sum(),
                steps=self.steps,
                rate=self.rate,
            )
            self.tighten()
        return ()

    def reconstruction(self, latents: Tensor, weights: Tensor) -> Tensor:
        """1/2 |x - g2(A' g1(x))|^2 per row, latents [b, d]."""
        messages = self.encoder(latents[..., None])
        if not self.faithful:
            messages = messages / messages.square().sum(dim=-1).mean().sqrt().clamp(min=1e-6)
        decoded = self.decoder(torch.einsum("bim,ij->bjm", messages, weights))[..., 0]
        error: Tensor = 0.5 * (latents - decoded).square().sum(dim=1).mean()
        return error

    def scaled(self) -> Matrix:
        """[d, d], the weights on the scale of the threshold."""
        weights = super().scaled()
        return weights / max(abs(weights).max(), 1e-12) if self.faithful else weights


class BoundedLinear(nn.Linear):
    """A linear map that amplifies nothing: its weight is divided by its largest singular value."""

    def forward(self, x: Tensor) -> Tensor:
        """[..., features in] to [..., features out]."""
        return functional.linear(x, self.weight / torch.linalg.matrix_norm(self.weight, 2), self.bias)


def _network(size: int, hidden: int, out: int, linear: type[nn.Linear]) -> nn.Sequential:
    return nn.Sequential(linear(size, hidden), nn.LeakyReLU(0.05), linear(hidden, out))
