"""The mixed SCM: to each attribute the mechanism that fits its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn
from torch.nn import functional as F

from ccigkit.causal import copula
from ccigkit.causal.attributes import Attribute, Attributes
from ccigkit.causal.scm.base import SCM, Abduction, Intervention, Prediction, generations
from ccigkit.causal.scm.families import Choices, Curves, Family, Labels, Levels
from ccigkit.component.options import Count
from ccigkit.errors import ConfigError
from ccigkit.names import setting

NEAR = 0.15  # of the step between two levels: a cause read this near to its level says what the level says
CELLS = 1 << 14  # rows times attributes answered at a time: their hidden units stay in the processor's cache


@dataclass(frozen=True)
class _Reader:
    """The hidden layer of n effects: reads their causes' latents, of labels the level."""

    causes: Tensor
    low: Tensor
    step: Tensor
    stepped: Tensor
    plain: Tensor
    weights: Tensor
    bias: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """Z [b, d] to what it excites [b, n, h]."""
        if not len(self.causes):
            return F.silu(self.bias).expand(z.shape[0], *self.bias.shape)
        latent = z[:, self.causes, None].to(self.weights.dtype)
        climbed = ((latent - self.low) / self.step - NEAR) / (1 - 2 * NEAR)
        says = torch.where(self.stepped, 2 * climbed.clamp(0, 1) - 1, torch.where(self.plain, latent, 0))
        excited = torch.addmm(self.bias.flatten(), says.flatten(1), self.weights.flatten(1))
        return F.silu(excited).view(-1, *self.bias.shape)

    def double(self) -> _Reader:
        """The same in double precision."""
        return replace(self, weights=self.weights.double(), bias=self.bias.double())


@dataclass(frozen=True)
class _Part:
    """Attributes of one family, `own` [n] among it and `at` [n] among all, and what reads their causes."""

    family: Family
    own: Tensor
    at: Tensor
    read: _Reader


class MixedSCM(SCM):
    """Labels by thresholds on a shared noise, categories by Gumbel-max, continuous attributes by a conditional flow.

    One hidden layer per effect reads its causes, weighed by the adjacency; what is made of it depends on the kind of
    the effect (`Curves`, `Labels`, `Choices`), as `describe` is told it. Fitted by maximum likelihood. A cause that is
    a label speaks by its level: a degree beside or beyond the level says no more.

    Args:
        hidden: width of each mechanism's hidden layer.
        bins: pieces of the spline that shapes the noise of a continuous attribute.
    """

    name = "mixed"
    low: Tensor
    step: Tensor
    stepped: Tensor
    labels: Tensor

    def __init__(
        self,
        size: int,
        *,
        hidden: Count = 32,
        bins: Annotated[int, Ge(2)] = 8,
    ) -> None:
        super().__init__(size)
        self.hidden, self.bins = hidden, bins
        self._attributes: Attributes | None = None
        self._build([None] * size, [() for _ in range(size)])

    # --- what the columns are -----------------------------------------------------------------------------------------

    def describe(self, attributes: Attributes) -> None:
        if self._attributes is not None and self._attributes.to_json() == attributes.to_json():
            return
        self._attributes = attributes
        self._build([self._kind(a) for a in attributes], [a.levels for a in attributes])
        self.to(self.quantiles.device)
        for parameter in self.parameters():
            parameter.data = self._own(parameter.data)

    def correlate(self, confounding: Tensor) -> None:
        for family in self._families():
            if isinstance(family, Choices) and (hidden := confounding[family.columns].nonzero()).numel():
                one, other = int(family.columns[hidden[0, 0]]), int(hidden[0, 1])
                raise ConfigError(
                    f"{self._name(one)} <-> {self._name(other)}: noise of an unordered category cannot be correlated; "
                    f"if its categories have an order, say so ({setting('data.kinds', {self._name(one): 'ordered'})}), "
                    "or leave the <-> out"
                )
        super().correlate(confounding)

    def _kind(self, attribute: Attribute) -> type[Levels] | None:
        if attribute.unordered:
            return Choices
        return Labels if attribute.kind == "categorical" or attribute.labelled else None

    def _build(self, kinds: list[type[Levels] | None], levels: list[tuple[float, ...]]) -> None:
        """Mechanisms for columns of these kinds (None: continuous) with these levels."""
        d, steps = self.size, max(1, *(len(own) - 1 for own, kind in zip(levels, kinds, strict=True) if kind), 1)
        self.into = nn.Parameter(torch.randn(d, steps, d, self.hidden) / d**0.5)
        self.bias = nn.Parameter(torch.randn(d, self.hidden))
        families: list[Family] = []
        curves = [j for j, kind in enumerate(kinds) if kind is None]
        if curves:
            families.append(Curves(curves, self.hidden, self.bins))
        for family in (Labels, Choices):
            columns = [j for j, kind in enumerate(kinds) if kind is family]
            if columns:
                families.append(family(columns, self.hidden, [levels[j] for j in columns]))
        self.families = nn.ModuleList(families)
        low, step, used = torch.zeros(d, steps), torch.ones(d, steps), torch.zeros(d, steps, dtype=torch.bool)
        for j, kind in enumerate(kinds):
            for c in range(len(levels[j]) - 1 if kind else 0):
                low[j, c], step[j, c], used[j, c] = levels[j][c], levels[j][c + 1] - levels[j][c], True
        labels = torch.tensor([kind is Labels for kind in kinds])
        for key, value in (("low", low), ("step", step), ("stepped", used), ("labels", labels)):
            self.register_buffer(key, value, persistent=False)

    # --- the mechanisms -----------------------------------------------------------------------------------------------

    @property
    def noise_size(self) -> int:
        return self.size + sum(len(f.columns) * (f.width - 1) for f in self._families())

    def loss(self, z: Tensor, adjacency: Tensor) -> Tensor:
        """Minus the mean log-likelihood of z [b, d], up to a constant."""
        hidden = self._hidden(z, adjacency, torch.arange(self.size, device=z.device))
        terms = [f.loss(hidden[:, f.columns], z[:, f.columns]) for f in self._families()]
        return torch.cat(terms, dim=1).mean()

    def mechanism(self, z: Tensor, adjacency: Tensor, u: Tensor) -> Tensor:
        return self.generation(z, adjacency, u, torch.ones(self.size, dtype=torch.bool, device=z.device))

    def generation(self, z: Tensor, adjacency: Tensor, u: Tensor, columns: Tensor) -> Tensor:
        return self._predict(self._own(z), adjacency, u, columns)

    def along(self, adjacency: Tensor) -> tuple[Abduction, list[Prediction]]:
        """As every SCM's: what reads which causes is settled beforehand."""
        families, start, noise_of, places = self._families(), self.size, list[_Part](), list[int]()
        for family in families:
            own = torch.arange(len(family.columns), device=family.columns.device)
            noise_of.append(_Part(family, own, family.columns, self._reader(adjacency, family.columns).double()))
            places.append(start)
            start += len(own) * (family.width - 1)

        def abduct(z: Tensor) -> Tensor:
            z = z.double()
            found = [part.family.noise(part.read(z), z[:, part.at], part.own) for part in noise_of]
            return self._joined(found, z)

        def predict(parts: list[tuple[int, _Part]]) -> Prediction:
            def of(z: Tensor, u: Tensor) -> Tensor:
                for start, part in parts:
                    more, n = part.family.width - 1, len(part.family.columns)
                    noise = u[:, part.at, None]
                    if more:
                        rest = u[:, start : start + n * more].unflatten(1, (n, more))
                        noise = torch.cat([noise, rest[:, part.own]], dim=-1)
                    latent = part.family.latent(part.read(z), noise.double(), part.own)
                    z = z.index_copy(1, part.at, latent.to(z.dtype))
                return z

            return of

        steps = []
        for columns in generations(adjacency):
            parts = []
            for family, place in zip(families, places, strict=True):
                own = columns[family.columns].nonzero()[:, 0]
                if len(own):
                    at = family.columns[own]
                    parts.append((place, _Part(family, own, at, self._reader(adjacency, at).double())))
            steps.append(predict(parts))
        return abduct, steps

    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        return self._infer(z, adjacency, lambda family, *given: family.noise(*given))

    def counterfactual(
        self, z: Tensor, adjacency: Tensor, intervention: Intervention, noise: Tensor | None = None
    ) -> Tensor:
        """As every SCM's, but nothing is abducted or predicted that the intervention cannot reach."""
        with torch.autocast(z.device.type, enabled=False):
            z = self._own(z)
            reached = self._reached(z, adjacency, intervention)
            wanted = (reached & ~intervention.mask).any(dim=0)
            if noise is None:
                noise = self._infer(z, adjacency, lambda family, *given: family.noise(*given), wanted)
            changed = intervention.apply(z)
            for columns in generations(adjacency):
                changed = intervention.apply(self.generation(changed, adjacency, noise, columns & wanted))
            return torch.where(reached, changed, z)

    @torch.no_grad()
    def draw_noise(self, z: Tensor, adjacency: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Noise [b, m] drawn from all that could have made z [b, d].

        A label at its level says that its noise lies in a range, and it is drawn there; a degree beside the level says
        where. The Gumbel noise of a category is drawn from its posterior.
        """
        with torch.autocast(z.device.type, enabled=False):
            noise = self._infer(self._own(z), adjacency, lambda family, *given: family.draw(*given, generator))
            return noise if self.correlation is None else self._drawn_together(noise, z, adjacency, generator)

    def _drawn_together(self, noise: Tensor, z: Tensor, adjacency: Tensor, generator: torch.Generator | None) -> Tensor:
        """Noise [b, m] that was drawn from its range column by column, with confounded labels drawn anew, together."""
        assert self.correlation is not None
        at = self._confounded()
        low, high = (end[:, at] for end in self.noise_range(z, adjacency))
        between = self.labels[at] & (high > low)
        low, high = (torch.where(between, end, (low + high) / 2) for end in (low, high))
        start = torch.where(between, torch.special.ndtr(noise[:, at].double()), low)
        ranks = copula.redrawn(start, low, high, self.correlation[at][:, at], generator)
        return noise.index_copy(1, at, torch.where(between, torch.special.ndtri(ranks).to(noise), noise[:, at]))

    @torch.no_grad()
    def probability(
        self,
        z: Tensor,
        adjacency: Tensor,
        intervention: Intervention,
        column: int,
        *,
        draws: int = 64,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """P(attribute `column` is at each of its levels | z [b, d], do), [b, k], for a label or a category.

        Exact given the causes in the other world; the mean over draws of the noise where those are uncertain. Of a
        confounded label, whose noise others tell of, the share of draws that come out at each level.

        Raises:
            ConfigError: where the attribute is continuous.
        """
        family, own = self._family_of(column)
        z, at = self._own(z).double(), torch.tensor([column], device=z.device)
        level, before = family.level(z[:, [column]], own), self._hidden(z, adjacency, at)
        total, together = z.new_zeros(len(z), 1), any(column in pair for pair in self._pairs)
        for _ in range(draws if together or self._uncertain(z, adjacency, intervention, column) else 1):
            changed = self.counterfactual(z, adjacency, intervention, self.draw_noise(z, adjacency, generator))
            if together:
                drawn = family.level(changed[:, [column]].double(), own)[:, 0]
                total = total + F.one_hot(drawn, family.levels.shape[1])
                continue
            after = self._hidden(changed.double(), adjacency, at)
            total = total + family.overlap(before, after, level, own)[:, 0]
        answer = total / total.sum(dim=-1, keepdim=True)
        held = intervention.mask[..., column].expand(len(z))
        fixed = family.level(intervention.apply(z)[:, [column]], own)[:, 0]
        return torch.where(held[:, None], F.one_hot(fixed, answer.shape[1]).to(answer), answer)

    # --- its noise ----------------------------------------------------------------------------------------------------

    def sample_noise(self, n: int) -> Tensor:
        """Noise [n, m]: continuous attributes' from the fitted quantiles, labels' normal, categories' Gumbel."""
        ranks = self._ranks(n)
        fitted = self._quantile(ranks)
        noise = self._joined([f.prior(fitted[:, f.columns]) for f in self._families()], fitted)
        if self.correlation is None:
            return noise
        at = self._confounded()
        at = at[self.labels[at]]  # whose noise has no quantiles, it is normal
        return noise.index_copy(1, at, copula.normal_scores(ranks[:, at]).to(noise))

    @torch.no_grad()
    def fit_noise(self, z: Tensor, adjacency: Tensor) -> None:
        """Take from observed z [n, d] the noise of the continuous attributes, and the others' rates."""
        z = self._own(z)
        for family in self._families():
            at = family.columns
            if isinstance(family, Levels):
                family.settle(self._hidden(z, adjacency, at), z[:, at])
            else:
                levels = torch.linspace(0, 1, len(self.quantiles), device=z.device, dtype=z.dtype)
                noise = self._infer(z, adjacency, lambda one, *given: one.noise(*given))[:, at]
                self.quantiles[:, at] = torch.quantile(self._own(noise), levels, dim=0)
        self._fit_correlation(z, adjacency)

    def noise_range(self, z: Tensor, adjacency: Tensor) -> tuple[Tensor, Tensor]:
        """As every SCM's, of the columns that are confounded; of a label, whose range its causes tell, exactly."""
        z, wanted = self._own(z).double(), torch.zeros(self.size, dtype=torch.bool, device=z.device)
        wanted[self._confounded()] = True
        noise = self._infer(z, adjacency, lambda family, *given: family.noise(*given), wanted)
        low, high = copula.ranks(noise[:, : self.size], self.quantiles)
        for family in self._families():
            own = wanted[family.columns].nonzero()[:, 0]
            if isinstance(family, Labels) and len(own):
                at = family.columns[own]
                ends = family.range(self._reader(adjacency, at).double()(z), z[:, at], own)
                low, high = low.index_copy(1, at, ends[..., 0]), high.index_copy(1, at, ends[..., 1])
        return low, high

    @torch.no_grad()
    def calibrate(self, z: Tensor, latents: Tensor) -> None:
        for family in self._families():
            if isinstance(family, Labels):
                levels = family.ladder.level(latents[:, family.columns].double())
                family.knots.copy_(family.ladder.calibrated(z[:, family.columns].double(), levels).knots)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _families(self) -> list[Family]:
        return list(self.families)  # type: ignore[arg-type]

    def _reader(self, adjacency: Tensor, columns: Tensor) -> _Reader:
        """What reads for `columns` [n] those of the other attributes that have an effect there."""
        weighed = adjacency[:, columns]
        causes = (weighed.detach() != 0).any(dim=1).nonzero()[:, 0]
        weights = weighed[causes, None, :, None].to(self.into.dtype) * self.into[causes][:, :, columns]
        first = torch.arange(self.low.shape[1], device=causes.device) == 0
        stepped = self.stepped[causes]
        plain = ~stepped.any(dim=1, keepdim=True) & first
        steps = self.low[causes], self.step[causes]
        return _Reader(causes, *steps, stepped, plain, weights.flatten(0, 1), self.bias[columns])

    def _hidden(self, z: Tensor, adjacency: Tensor, columns: Tensor) -> Tensor:
        return self._reader(adjacency, columns)(z)

    def _predict(self, z: Tensor, adjacency: Tensor, u: Tensor, columns: Tensor) -> Tensor:
        answer, start = z, self.size
        for family in self._families():
            own, more = columns[family.columns].nonzero()[:, 0], len(family.columns) * (family.width - 1)
            if len(own):
                at = family.columns[own]
                rest = u[:, start : start + more].reshape(len(u), len(family.columns), family.width - 1)
                noise = torch.cat([u[:, at, None], rest[:, own]], dim=-1).double()
                read, rows = self._reader(adjacency, at).double(), max(1, CELLS // len(own))
                parts = zip(z.split(rows), noise.split(rows), strict=True)
                latents = [family.latent(read(causes), given, own) for causes, given in parts]
                answer = answer.index_copy(1, at, torch.cat(latents).to(answer.dtype))
            start += more
        return answer

    def _infer(self, z: Tensor, adjacency: Tensor, ask: Callable[..., Tensor], columns: Tensor | None = None) -> Tensor:
        """The noise [b, m] of z [b, d], as `ask`ed of each family; of `columns` [d] alone where they are given."""
        found, z = [], z.double()
        for family in self._families():
            own = torch.arange(len(family.columns), device=z.device)
            own = own if columns is None else own[columns[family.columns]]
            noise = z.new_zeros(len(z), len(family.columns), family.width)
            if len(own):
                at = family.columns[own]
                read = self._reader(adjacency, at).double()
                parts = z.split(max(1, CELLS // len(at)))
                answers = torch.cat([ask(family, read(part), part[:, at], own) for part in parts])
                noise = answers if len(own) == len(family.columns) else noise.index_copy(1, own, answers)
            found.append(noise)
        return self._joined(found, self._own(z) if self._exact() else z)

    def _exact(self) -> bool:
        """Whether single precision holds the noise: that of a reading between two levels lies at a threshold."""
        return all(isinstance(family, Curves) for family in self._families())

    def _joined(self, parts: list[Tensor], like: Tensor) -> Tensor:
        """Noise of every family [b, n, w] as one [b, m]: a column for each attribute, then what some have more."""
        u = like.new_zeros(like.shape[0], self.size)  # which an export keeps open, unlike len()
        for family, part in zip(self._families(), parts, strict=True):
            u = u.index_copy(1, family.columns, part[..., 0].to(u.dtype))
        return torch.cat([u, *(part[..., 1:].flatten(1).to(u.dtype) for part in parts)], dim=1)

    def _family_of(self, column: int) -> tuple[Levels, Tensor]:
        for family in self._families():
            own = (family.columns == column).nonzero()[:, 0]
            if len(own) and isinstance(family, Levels):
                return family, own
        raise ConfigError(f"attribute {self._name(column)} is continuous: it has no probability, ask for its value")

    def _name(self, column: int) -> str:
        return self._attributes.names[column] if self._attributes else str(column)

    def _uncertain(self, z: Tensor, adjacency: Tensor, intervention: Intervention, column: int) -> bool:
        """Whether a cause of the attribute is reached by the intervention without being held by it."""
        reached = self._reached(z, adjacency, intervention) & ~intervention.mask
        return bool((reached & (adjacency[:, column] != 0)).any())
