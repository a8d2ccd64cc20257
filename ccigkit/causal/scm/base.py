"""Structural causal models: noise to attributes and back, and what do() means."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccigkit.causal import copula
from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.component.component import Component
from ccigkit.component.options import options_of


@dataclass(frozen=True)
class Intervention:
    """Latents held fixed: `mask` says which, `values` at what; both [d] for a whole batch or [b, d] per sample.

    Examples:
        >>> z = torch.zeros(2, 3)
        >>> Intervention.of({1: 0.5}, z).apply(z).tolist()
        [[0.0, 0.5, 0.0], [0.0, 0.5, 0.0]]
    """

    mask: Tensor
    values: Tensor

    @classmethod
    def of(cls, do: Mapping[int, float | Tensor], like: Tensor) -> Intervention:
        """{position: latent, a number or [b]} for a batch shaped like z [b, d].

        Args:
            do: what each position is held at, one value for all rows or one [b] for each.
            like: latents z [b, d], for their shape and device.
        """
        mask = torch.zeros(like.shape[-1], dtype=torch.bool, device=like.device)
        values = torch.zeros_like(like)
        for position, latent in do.items():
            mask[position] = True
            values[:, position] = torch.as_tensor(latent).to(values)
        return cls(mask, values)

    def apply(self, z: Tensor) -> Tensor:
        """Z [b, d] with the held latents in place."""
        return torch.where(self.mask, self.values.to(z.dtype), z)


Abduction = Callable[[Tensor], Tensor]  # z [b, d] to the noise [b, m] that made them
Prediction = Callable[[Tensor, Tensor], Tensor]  # z [b, d] and noise [b, m] to z [b, d], some columns made anew


class SCM(Component, nn.Module):
    """A structural causal model over latents: z_j = f_j(parents of j, u_j), and back.

    The adjacency [d, d] is an argument, not a part: the same mechanisms answer under another graph, and a learner's
    differentiable one flows through. It must be acyclic. A subclass writes `mechanism` and `inverse`; the rest, with
    the meaning of do(), is written here once for all.
    """

    kind = "scm"
    default = "mixed"
    flag = "The structural causal model over the latent."
    saved = True
    wiring = ("size",)
    quantiles: Tensor
    correlation: Tensor | None  # [d, d], of the noise's normal scores, where some attributes are confounded

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        levels = (torch.arange(1001, dtype=torch.float64) + 0.5) / 1001
        normal = torch.special.ndtri(levels).float()
        self.register_buffer("quantiles", normal[:, None].repeat(1, size))
        self.register_buffer("correlation", None)
        self._pairs: list[tuple[int, int]] = []

    def describe(self, attributes: Attributes) -> None:
        """Take the attributes' kinds and levels, before anything is fitted or loaded; the same again changes nothing.

        An SCM whose mechanisms depend on an attribute's kind builds them here; others ignore it.
        """

    def correlate(self, confounding: Tensor) -> None:
        """Let the noise of pairs be correlated where `confounding` [d, d] is true; the same again changes nothing.

        The joint distribution of their noise is a Gaussian copula, and `fit_noise` fits it. How noise makes attributes,
        what do() means and what is abducted is as without.
        """
        pairs = [(i, j) for i, j in confounding.nonzero().tolist() if i < j]
        if pairs != self._pairs:
            self._pairs = pairs
            size = torch.eye(self.size, dtype=torch.float64, device=self.quantiles.device)
            self.register_buffer("correlation", size if pairs else None)

    @property
    def noise_size(self) -> int:
        """How many columns the noise has: d, and more where an attribute needs more than one."""
        return self.size

    @abstractmethod
    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        """All d mechanisms at once, z [b, d] and noise u [b, m] to new z [b, d]; z_j may use z_i only through
        adjacency[i, j]. The noise has one column for each attribute, m = d, unless `noise_size` says otherwise.
        """

    @abstractmethod
    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """The noise u [b, m] with mechanism(z, adjacency, u) == z."""

    def unfitted(self) -> SCM:
        """A new SCM of the same make and options, that is fitted to nothing yet.

        So an SCM keeps each of its options under the option's own name; one that does not, overrides this.
        """
        options = {option: getattr(self, option) for option in options_of(type(self))}
        return type(self)(self.size, **options)

    def loss(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """How badly the mechanisms explain observed z [b, d]: the mean square of the noise.

        That is the likelihood of additive noise; an SCM whose noise enters otherwise writes its own.
        """
        return self.inverse(z, adjacency).square().mean()

    def forward(self, u: Tensor, adjacency: Tensor, intervention: Intervention | None = None) -> Tensor:
        """Noise u [b, m] to z [b, d], under an intervention if one is given."""
        with torch.autocast(u.device.type, enabled=False):
            z = u.new_zeros(len(u), self.size)
            for columns in generations(adjacency):
                z = self.generation(z, adjacency, u, columns)
                z = intervention.apply(z) if intervention else z
            return z

    def generation(self, z: Tensor, adjacency: Tensor, u: Tensor, columns: Tensor) -> Tensor:
        """Z [b, d] with the mechanisms of `columns` [d] applied, whose causes stand in z already.

        Applying all mechanisms is correct too, as the others' columns are not used; an SCM overrides this to save time.
        """
        return self.mechanism(z, adjacency, u)

    def along(self, adjacency: Tensor) -> tuple[Abduction, list[Prediction]]:
        """The mechanisms along one graph [d, d] that stays: abduction, and the prediction of each generation in turn.

        Both work with nothing left to decide by what the tensors hold, so that a compiler can follow them; an SCM whose
        `inverse` and `generation` decide by the adjacency overrides this.
        """

        def predict(columns: Tensor) -> Prediction:
            return lambda z, u: self.generation(z, adjacency, u, columns)

        return lambda z: self.inverse(z, adjacency), [predict(columns) for columns in generations(adjacency)]

    def abduct(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """Endogenous z [b, d] back to the noise [b, m] that made them."""
        with torch.autocast(z.device.type, enabled=False):
            return self.inverse(self._own(z), adjacency)

    def draw_noise(self, z: Tensor, adjacency: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise [b, m] drawn from all that could have made z [b, d]: where z leaves no choice, `abduct`'s."""
        return self.abduct(z, adjacency)

    def counterfactual(
        self, z: Tensor, adjacency: Tensor, intervention: Intervention, noise: Tensor | None = None
    ) -> Tensor:
        """Z [b, d] as it would have been: abduct, act, predict (Pearl, 2009, section 7.1).

        The noise is `abduct`'s unless one that made z is given, from `draw_noise` for instance. What the intervention
        does not reach, past what it holds, keeps its value bit for bit.

        Args:
            z: latents [b, d] as they are.
            adjacency: [d, d], row causes column, acyclic.
            intervention: what is held.
            noise: [b, m] that made z.

        Examples:
            >>> from ccigkit.causal.scm.linear import LinearSCM
            >>> adjacency = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
            >>> z = torch.tensor([[1.0, 2.5]])
            >>> LinearSCM(2).counterfactual(z, adjacency, Intervention.of({0: 0.0}, z)).tolist()
            [[0.0, 0.5]]
        """
        z = self._own(z)
        noise = self.abduct(z, adjacency) if noise is None else noise
        changed = self(noise, adjacency, intervention).to(z.dtype)
        return torch.where(self._reached(z, adjacency, intervention), changed, z)

    def _reached(self, z: Tensor, adjacency: Tensor, intervention: Intervention) -> Tensor:
        """Which of z [b, d] an intervention changes: what it holds at another value, and the descendants of that."""
        support, free = torch.as_tensor(_support(adjacency), device=z.device, dtype=z.dtype), ~intervention.mask
        reached = intervention.mask & (intervention.values.to(z.dtype) != z)
        for _ in range(longest_path(adjacency)):
            reached = reached | (((reached.to(z.dtype) @ support) > 0) & free)
        return reached

    def _own(self, z: Tensor) -> Tensor:
        """Z in the precision of the SCM's own numbers: a double SCM answers in double."""
        return z.to(self.quantiles.dtype)

    def sample_noise(self, n: int) -> Tensor:
        """Noise [n, d] from the fitted quantiles, standard normal before any fit.

        Columns are independent, but for those of pairs that are confounded.
        """
        return self._quantile(self._ranks(n))

    def _ranks(self, n: int) -> Tensor:
        """The ranks [n, d], in [0, 1], that new noise has."""
        ranks = torch.rand(n, self.size, device=self.quantiles.device).to(self.quantiles)
        return ranks if self.correlation is None else copula.correlated(ranks, self.correlation, self._confounded())

    def _quantile(self, ranks: Tensor) -> Tensor:
        """The fitted noise [n, d] of these ranks."""
        at = ranks * (len(self.quantiles) - 1)
        below = at.long().clamp(max=len(self.quantiles) - 2)
        low, high = self.quantiles.gather(0, below), self.quantiles.gather(0, below + 1)
        return torch.lerp(low, high, at - below)

    @torch.no_grad()
    def fit_noise(self, z: Tensor, adjacency: Tensor) -> None:
        """Take the noise's distribution, column by column, from observed z [n, d]; then the correlations."""
        levels = torch.linspace(0, 1, len(self.quantiles), device=z.device)
        self.quantiles.copy_(torch.quantile(self.abduct(z, adjacency), levels, dim=0))
        self._fit_correlation(z, adjacency)

    def _fit_correlation(self, z: Tensor, adjacency: Tensor) -> None:
        """Fit the correlations of confounded pairs, each by the likelihood of its two columns of z [n, d]."""
        if self.correlation is not None:
            low, high = self.noise_range(z, adjacency)
            self.correlation.copy_(copula.fitted(low, high, self._pairs))

    def noise_range(self, z: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor]:
        """Between which ranks, [b, d] each, the noise lies that made z [b, d], by its fitted distribution.

        The two are one where z says exactly which noise it was. A label of few values says less.
        """
        return copula.ranks(self.abduct(z, adjacency)[:, : self.size], self.quantiles)

    def _confounded(self) -> Tensor:
        """The columns that are confounded with some other."""
        return torch.tensor(sorted({j for pair in self._pairs for j in pair}), device=self.quantiles.device)

    def calibrate(self, z: Tensor, latents: Tensor) -> None:
        """Take from an encoder's readings z [n, d] of rows, latents [n, d], at which degrees it reads labels.

        An SCM to which a degree is a number like any other need not know.
        """

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        scm = build(4)
        with torch.no_grad():
            for parameter in scm.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        adjacency, u = torch.tensor(lab.CHAIN.strengths).float(), torch.randn(64, 4)
        z = scm(u, adjacency)
        assert torch.allclose(scm.abduct(z, adjacency), u, atol=1e-4), "law 1: abduct(scm(u)) == u"
        assert torch.allclose(scm(scm.abduct(z, adjacency), adjacency), z, atol=1e-4), "law 1: scm(abduct(z)) == z"
        for held in ({0: 2.0}, {1: -1.5}, {0: 2.0, 3: -2.0}, {2: 0.5}):
            intervention = Intervention.of(held, z)
            for changed in (scm(u, adjacency, intervention), scm.counterfactual(z, adjacency, intervention)):
                scm._hold(changed, z, u, adjacency, held, lab.CHAIN)
        nothing = Intervention.of({}, z)
        assert torch.equal(scm.counterfactual(z, adjacency, nothing), z), "law 3: a null intervention changes nothing"
        jacobian: Tensor = torch.autograd.functional.jacobian(
            lambda x: scm.mechanism(x, adjacency, u[:1]).sum(dim=0), z[:1]
        )[:, 0]
        free = (adjacency == 0) & ~torch.eye(4, dtype=torch.bool)
        assert (jacobian.T[free] == 0).all(), "law 4: z_j depends on z_i only through adjacency[i, j]"
        scm.fit_noise(z, adjacency)
        drawn = scm.sample_noise(4000)
        assert drawn.shape == (4000, 4), "noise is [n, d]"
        assert torch.allclose(drawn.mean(0), u.mean(0), atol=0.15), "sampled noise follows the fitted noise"
        assert all(hasattr(scm, option) for option in options_of(cls)), "an SCM keeps its options by their names"
        shapes = [[tuple(p.shape) for p in one.parameters()] for one in (scm, scm.unfitted())]
        assert shapes[0] == shapes[1], "an SCM that is built of its options again has the same mechanisms"

    def _hold(
        self, changed: Tensor, z: Tensor, u: Tensor, adjacency: Tensor, held: Mapping[int, float], graph: CausalGraph
    ) -> None:
        """Hold what do() made of z [b, d], `changed` [b, d] of the same noise u [b, d], to what do() means."""
        for position, value in held.items():
            assert (changed[:, position] == value).all(), "law 2: do(x = v) holds v exactly"
        names = graph.names
        reached = {name for position in held for name in graph.descendants(names[position])}
        for j, name in enumerate(names):
            if j in held:
                continue
            if name in reached:
                again = self.mechanism(changed, adjacency, u)[:, j]
                assert torch.allclose(changed[:, j], again, atol=1e-4), "law 2: every descendant is recomputed"
                assert not torch.allclose(changed[:, j], z[:, j]), "law 2: every descendant is recomputed"
            else:
                assert torch.equal(changed[:, j], z[:, j]), "law 2: every non-descendant is bit-identical"


def _support(adjacency: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray((adjacency.detach() != 0).cpu().numpy())


def longest_path(adjacency: Tensor) -> int:
    """The number of edges on the longest directed path of an acyclic adjacency [d, d]."""
    return len(generations(adjacency)) - 1


def generations(adjacency: Tensor) -> list[Tensor]:
    """The columns [d], true or false, of an acyclic adjacency [d, d] that have no cause, whose causes are those, ...

    Generation g holds what a longest path of g edges leads to.
    """
    support = _support(adjacency)
    depth, length = np.zeros(len(support), dtype=int), 0
    ends = support.any(axis=0)
    while ends.any():  # `ends` marks where a path of length + 1 edges ends
        length += 1
        depth[ends] = length
        ends = support[ends].any(axis=0)
        if length > len(support):
            raise ValueError("a structural causal model needs an acyclic adjacency; project it first")
    return [torch.as_tensor(depth == g, device=adjacency.device) for g in range(length + 1)]
