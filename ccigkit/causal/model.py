"""The causal model: attributes, the graph over them and the mechanisms along it; of images it knows nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attributes, Table
from ccigkit.causal.effects import Effects, effects_of
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.inputs import Inputs
from ccigkit.causal.interventions import Do, settled
from ccigkit.causal.regimes import undisturbed
from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.strengths import fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.descend import descend, falling
from ccigkit.errors import ConfigError, DataError

STEPS, RATE, BATCH = 800, 1e-2, 512  # of the fit of mechanisms


@runtime_checkable
class TellsProbability(Protocol):
    """An SCM whose noise gives a label its probability, as `mixed`."""

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
        """P(attribute `column` is at each of its levels | z [b, d], do), [b, k]."""
        ...


class CausalModel(nn.Module):
    """Attributes of a table, the graph over them, the mechanisms along it: samples, interventions, counterfactuals.

    Values [n, d] are in the attributes' own units: numbers, labels 0 and 1, codes of categories. Interventions are
    {attribute: value}, one value for all rows or one [n] for each, or a policy: `ccigkit.soft(0.3)`,
    `ccigkit.normal(5, 1)`, `ccigkit.shift(2)`. Underneath everything is on the latent scale, z.

    Args:
        attributes: the columns, with their kinds, ranges and scales: those of a `Table`.
        structure: the graph over them: `Structure(graph)`.
        scm: the mechanisms along its edges.

    Examples:
        >>> from ccigkit import CausalGraph, CausalModel, Table
        >>> from ccigkit.causal.scm.linear import LinearSCM
        >>> table = Table.of({"sun": [1.0, 2.0, 3.0, 4.0], "ice": [2.1, 3.9, 6.2, 7.8]})
        >>> graph = CausalGraph.from_edges(table.names, ["sun -> ice"])
        >>> model = CausalModel(table.attributes, Structure(graph), LinearSCM(2)).fit(table)
        >>> model.counterfactual(table.values[:1], do={"sun": 4.0}).round(decimals=1).tolist()
        [[4.0, 7.9]]
    """

    def __init__(self, attributes: Attributes, structure: Structure, scm: SCM) -> None:
        super().__init__()
        scm.describe(attributes)
        scm.correlate(structure.confounding)
        self.attributes, self.structure, self.scm = attributes, structure, scm
        self.inputs = Inputs(attributes)

    @property
    def graph(self) -> CausalGraph:
        """The causal graph the model works with."""
        return self.structure.graph()

    # --- for tables ---------------------------------------------------------------------------------------------------

    def fit(self, table: Table, *, seed: int = 0) -> CausalModel:
        """Fit strengths, mechanisms and noise to a table; returns the model itself.

        Strengths are of all rows that left the effect to its causes, mechanisms and noise of those in which nothing was
        set.

        Args:
            table: rows of the model's attributes, in its order.
            seed: seed of the descent.

        Raises:
            DataError: where the table has other attributes, or too few rows, or none in which nothing was set.
        """
        if table.names != self.attributes.names:
            ours, theirs = (", ".join(names) for names in (self.attributes.names, table.names))
            raise DataError(f"the model is about {ours}, the table about {theirs}")
        self.structure.set_strengths(fit_strengths(table, self.graph.adjacency))
        latents = torch.as_tensor(undisturbed(table).latents).float().to(self.scm.quantiles.device)
        with seeded(seed, latents.device):
            self.fit_mechanisms(latents)
        return self

    def abduct(self, values: Tensor) -> Tensor:
        """The noise [n, d] that made values [n, d].

        Args:
            values: rows [n, d] in own units.
        """
        return self.noise(self._latents(values))

    @torch.no_grad()
    def sample(self, n: int, do: Do | None = None, *, seed: int | None = None) -> Tensor:
        """Values [n, d] of n new rows, under an intervention if one is given; the same seed gives the same noise.

        They are the rows of the same seed without an intervention as they would have been under it.

        Args:
            n: how many rows.
            do: what is set, {attribute: value}.
            seed: seed of the noise and of what `do` draws; None for new ones at every call.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.

        Examples:
            >>> from ccigkit.testing import toy_model
            >>> model = toy_model()[0].causal
            >>> model.sample(2, do={"a": 1.0}, seed=0)[:, 0].tolist()
            [1.0, 1.0]
        """
        with seeded(seed, self.scm.quantiles.device):
            z, hard = self.imagine(n, do or {}, seed=seed)
        return self._holding(self.values(z), hard)

    @torch.no_grad()
    def counterfactual(self, values: Tensor, do: Do, *, hold: Collection[str] = (), seed: int = 0) -> Tensor:
        """Values [n, d] as they would have been had `do` been so: abduct, act, predict (Pearl, 2009, section 7.1).

        What `do` does not reach keeps its value, bit for bit.

        Args:
            values: rows [n, d] as they are.
            do: what is set.
            hold: attributes that stay as they are, whatever their causes do.
            seed: seed of what `do` draws, and of the noise, where values leave it open: a label says only in which
                range it lies.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        given = torch.as_tensor(values, dtype=torch.float64)
        before, hard = self._latents(given), settled(do, self.attributes, given, seed)
        noise = self.scm.draw_noise(
            before, self.structure.adjacency(), torch.Generator(before.device).manual_seed(seed)
        )
        after = self.act(before, self._set(hard, before, hold), noise)
        return self._holding(torch.where(after == before, given.to(after.device), self.values(after)), hard)

    @torch.no_grad()
    def probability(self, values: Tensor, do: Do, name: str, *, seed: int = 0, draws: int = 64) -> Tensor:
        """P(attribute `name` is at each of its levels | row, do) [n, k], of rows [n, d] and a label or a category.

        Where `counterfactual` draws an answer, this is how likely each is. What `do` draws is drawn as there. Where its
        causes are uncertain in the other world, too, it is a mean over draws of them.

        Args:
            values: rows [n, d] as they are.
            do: what is set.
            name: the label or category.
            seed: seed of what is drawn.
            draws: how many draws of uncertain causes.

        Raises:
            ConfigError: for an SCM whose noise gives labels no probability, or an attribute that has none.
        """
        given = torch.as_tensor(values, dtype=torch.float64)
        column, hard = self.attributes.index(name), settled(do, self.attributes, given, seed)
        z, scm, adjacency = self._latents(given), self.scm, self.structure.adjacency()
        if not isinstance(scm, TellsProbability):
            raise ConfigError(f"the SCM {scm.name} has no probability of {name}, its noise is additive; fit with mixed")
        generator = torch.Generator(z.device).manual_seed(seed)
        return scm.probability(z, adjacency, self._set(hard, z), column, draws=draws, generator=generator)

    # --- effects of a label -------------------------------------------------------------------------------------------

    def effects(self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0) -> Effects:
        """What a label does to an attribute in rows [n, d]: every figure below at once.

        Args:
            rows: those of a table that stands for the population, or their values [n, d].
            cause: a label, at 1; `"Male=0"` for the other way round. X = 1 says that it is so.
            effect: a label likewise, Y = 1 for short; or a number, which has an average effect alone.
            seed: seed of the noise, where the rows leave it open.

        Raises:
            ConfigError: where the cause is no label, or the SCM gives labels no probability.
        """
        return effects_of(self, rows.values if isinstance(rows, Table) else rows, cause, effect, seed)

    def average_effect(self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0) -> float:
        """E[Y_1 - Y_0], Y_x being Y under do(X = x) (Pearl 2009, section 3.2); arguments as of `effects`."""
        return self.effects(rows, cause, effect, seed=seed).average

    def effect_on_treated(self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0) -> float:
        """E[Y_1 - Y_0 | X = 1] (Pearl 2009, section 8.2.5); arguments as of `effects`."""
        return self.effects(rows, cause, effect, seed=seed).on_treated

    def probability_of_necessity(self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0) -> float:
        """P(Y_0 = 0 | X = 1, Y = 1): had X not been, neither had Y (Pearl 2009, definition 9.2.1)."""
        return self.effects(rows, cause, effect, seed=seed).necessity

    def probability_of_sufficiency(self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0) -> float:
        """P(Y_1 = 1 | X = 0, Y = 0): had X been, so had Y (Pearl 2009, definition 9.2.2)."""
        return self.effects(rows, cause, effect, seed=seed).sufficiency

    def probability_of_necessity_and_sufficiency(
        self, rows: Table | Tensor, cause: str, effect: str, *, seed: int = 0
    ) -> float:
        """P(Y_1 = 1, Y_0 = 0): Y is where X is, either way (Pearl 2009, definition 9.2.3)."""
        return self.effects(rows, cause, effect, seed=seed).both

    # --- on the latent scale ------------------------------------------------------------------------------------------

    def intervention(self, do: Do, z: Tensor, hold: Collection[str] = (), *, seed: int | None = None) -> Intervention:
        """An intervention on z [b, d] from {attribute: value}; those in `hold` are held at their own z.

        `seed` is that of what `do` draws; shifts start from z.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        return self._set(settled(do, self.attributes, self.attributes.to_values(z.double()), seed), z, hold)

    def noise(self, z: Tensor) -> Tensor:
        """The noise [b, d] that made z [b, d]."""
        return self.scm.abduct(z, self.structure.adjacency())

    def act(self, z: Tensor, intervention: Intervention, noise: Tensor | None = None) -> Tensor:
        """Z [b, d] as they would have been under the intervention, with the noise that made them."""
        return self.scm.counterfactual(z, self.structure.adjacency(), intervention, noise)

    def draw(self, n: int, intervention: Intervention | None = None) -> Tensor:
        """Z [n, d] of new noise, under an intervention if one is given."""
        z: Tensor = self.scm(self.scm.sample_noise(n), self.structure.adjacency(), intervention)
        return z

    @torch.no_grad()
    def imagine(self, n: int, do: Do, *, seed: int | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Z [n, d] of new noise under `do`, and what that set; a shift starts from what the same noise gives without.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        noise, adjacency = self.scm.sample_noise(n), self.structure.adjacency()
        natural: Tensor = self.scm(noise, adjacency)
        if not do:
            return natural, {}
        hard = settled(do, self.attributes, self.attributes.to_values(natural.double()), seed)
        return self.scm(noise, adjacency, self._set(hard, natural)), hard

    def values(self, z: Tensor) -> Tensor:
        """Z [b, d] as values [b, d] that a table may have: labels where the attribute was seen as labels."""
        return self.attributes.as_written(self.attributes.to_values(z.double()))

    def fit_mechanisms(self, latents: Tensor, steps: int = STEPS) -> None:
        """Fit mechanisms, and noise, to latents [n, d] under the structure as it stands.

        Seconds on two cores; every later step of training starts from mechanisms that already explain the labels.
        """
        adjacency = self.structure.adjacency().detach()

        def loss(step: int) -> Tensor:
            rows = torch.randint(len(latents), (BATCH,), device=latents.device)
            return self.scm.loss(latents[rows], adjacency)

        with torch.autocast(latents.device.type, enabled=False):
            descend(self.scm.parameters(), loss, steps=steps, rate=RATE, schedule=falling)
        self.scm.fit_noise(some(latents), adjacency)

    def _set(self, hard: Mapping[str, Tensor], z: Tensor, hold: Collection[str] = ()) -> Intervention:
        """The intervention on z [b, d] that sets values already settled, and holds attributes at their own z."""
        held = {self.attributes.index(name): z[:, self.attributes.index(name)] for name in hold}
        return Intervention.of({**held, **self.attributes.interventions(hard)}, z)

    def _holding(self, values: Tensor, hard: Mapping[str, Tensor]) -> Tensor:
        """Values [n, d] with what is set exactly as it was said, not as the latent scale rounds it."""
        for name, value in hard.items():
            values[:, self.attributes.index(name)] = value.to(values)
        return values

    def _latents(self, values: Tensor) -> Tensor:
        values = torch.as_tensor(values, dtype=torch.float64, device=self.scm.quantiles.device)
        if values.ndim != 2 or values.shape[1] != len(self.attributes):
            raise DataError(f"values must be [n, {len(self.attributes)}], got {list(values.shape)}")
        return self.attributes.to_latent(values).float()


def some(latents: Tensor, rows: int = 16_384) -> Tensor:
    """Rows of a table [n, d], evenly spread, enough to estimate a distribution."""
    return latents[:: max(1, len(latents) // rows)]


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Random numbers from a seed, without changing the global generators; None leaves them as they are."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)
        yield
