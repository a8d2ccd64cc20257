"""The causal model: attributes, the graph over them and the mechanisms along it; of images it knows nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attributes, Do, Table
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.strengths import fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.descend import descend, falling
from ccigkit.errors import DataError

STEPS, RATE, BATCH = 800, 1e-2, 512  # of the fit of mechanisms


class CausalModel(nn.Module):
    """Attributes of a table, the graph over them, the mechanisms along it: samples, interventions, counterfactuals.

    Values [n, d] are in the attributes' own units: numbers, labels 0 and 1, codes of categories. Interventions are
    {attribute: value}, one value for all rows or one [n] for each. Underneath everything is on the latent scale, z.

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

    @property
    def graph(self) -> CausalGraph:
        """The causal graph the model works with."""
        return self.structure.graph()

    # --- for tables ---------------------------------------------------------------------------------------------------

    def fit(self, table: Table, *, seed: int = 0) -> CausalModel:
        """Fit strengths, mechanisms and noise to a table; returns the model itself.

        Args:
            table: rows of the model's attributes, in its order.
            seed: seed of the descent.

        Raises:
            DataError: where the table has other attributes, or too few rows.
        """
        if table.names != self.attributes.names:
            ours, theirs = (", ".join(names) for names in (self.attributes.names, table.names))
            raise DataError(f"the model is about {ours}, the table about {theirs}")
        self.structure.set_strengths(fit_strengths(table, self.graph.adjacency))
        latents = torch.as_tensor(table.latents).float().to(self.scm.quantiles.device)
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

        Args:
            n: how many rows.
            do: what is set, {attribute: value}.
            seed: seed of the noise; None for new noise at every call.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.

        Examples:
            >>> from ccigkit.testing import toy_model
            >>> model = toy_model()[0].causal
            >>> model.sample(2, do={"a": 1.0}, seed=0)[:, 0].tolist()
            [1.0, 1.0]
        """
        like = torch.zeros(n, self.scm.size, device=self.scm.quantiles.device)
        with seeded(seed, like.device):
            return self._holding(self.values(self.draw(n, self.intervention(do or {}, like))), do or {})

    @torch.no_grad()
    def counterfactual(self, values: Tensor, do: Do, *, hold: Collection[str] = (), seed: int = 0) -> Tensor:
        """Values [n, d] as they would have been had `do` been so: abduct, act, predict (Pearl, 2009, section 7.1).

        What `do` does not reach keeps its value, bit for bit.

        Args:
            values: rows [n, d] as they are.
            do: what is set.
            hold: attributes that stay as they are, whatever their causes do.
            seed: seed of the noise, where values leave it open: a label says only in which range it lies.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        given = torch.as_tensor(values, dtype=torch.float64)
        before = self._latents(given)
        noise = self.scm.draw_noise(
            before, self.structure.adjacency(), torch.Generator(before.device).manual_seed(seed)
        )
        after = self.act(before, self.intervention(do, before, hold), noise)
        return self._holding(torch.where(after == before, given.to(after.device), self.values(after)), do)

    # --- on the latent scale ------------------------------------------------------------------------------------------

    def intervention(self, do: Do, z: Tensor, hold: Collection[str] = ()) -> Intervention:
        """An intervention on z [b, d] from {attribute: value}; those in `hold` are held at their own z.

        Raises:
            ConfigError: for an unknown attribute or an impossible value.
        """
        held = {self.attributes.index(name): z[:, self.attributes.index(name)] for name in hold}
        return Intervention.of({**held, **self.attributes.interventions(do)}, z)

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

    def _holding(self, values: Tensor, do: Do) -> Tensor:
        """Values [n, d] with what is set exactly as it was said, not as the latent scale rounds it."""
        for name, value in do.items():
            j = self.attributes.index(name)
            values[:, j] = torch.as_tensor(self.attributes[j].coded(value)).to(values)
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
