"""The contract of each kind, for us and for third parties: `check(MyComponent)` raises where a law is broken.

    def test_contract() -> None:
        ccigkit.testing.check(MyLearner)

The laws are those of docs/concepts.md. They are properties, checked on small random instances; passing them is
necessary, not sufficient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.scm.base import SCM, Intervention
from ccigkit.causal.structure import Structure
from ccigkit.component.component import Component
from ccigkit.component.registry import signature_fault
from ccigkit.data.base import DataModule, RenderedData, Split, SplitName
from ccigkit.errors import DataError
from ccigkit.image.base import Discriminator, Encoder, Generator
from ccigkit.metrics.base import Metric
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.base import Batch, Objective
from ccigkit.structure.base import StructureLearner
from ccigkit.training.loop import Training

SHAPE, LATENT = (3, 32, 32), 10
CHAIN = CausalGraph.from_edges(("a", "b", "c", "d"), ["a -> b : 0.9", "b -> c : -0.8", "d -> c : 0.7"])


def check(component: type[Component], **options: Any) -> None:
    """Hold a component class to the laws of its kind, with these options (the others at their defaults).

    Raises:
        AssertionError: naming the law that does not hold.
    """
    fault = signature_fault(component)
    assert fault is None, fault
    checks: dict[str, Callable[[Callable[..., Any]], None]] = {
        "data": _check_data,
        "structure": _check_structure,
        "scm": _check_scm,
        "encoder": _check_encoder,
        "generator": _check_generator,
        "discriminator": _check_discriminator,
        "objective": _check_objective,
        "metric": _check_metric,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        checks[component.kind](lambda *wiring: component(*wiring, **options))


# --- structure --------------------------------------------------------------------------------------------------------


def toy_table(n: int = 1500, seed: int = 0) -> Table:
    """Rows of the linear model CHAIN with uniform noise, its columns standardised."""
    random = np.random.default_rng(seed)
    strengths, z = CHAIN.strengths, random.uniform(-1.7, 1.7, (n, 4))
    for j in (1, 2):
        z[:, j] = z @ strengths[:, j] + 0.5 * z[:, j]
    return Table.fit([Attribute(name, "continuous") for name in CHAIN.names], z / z.std(axis=0), CHAIN)


def _check_structure(build: Callable[..., StructureLearner]) -> None:
    table = toy_table()
    graph = build(table.names).learn(table, Knowledge())
    assert isinstance(graph, CausalGraph), "learn returns a CausalGraph"
    assert graph.names == table.names, "the graph is over the table's attributes, in their order"
    assert build(table.names).learn(table, Knowledge()) == graph, "the same table and options give the same graph"
    if graph.edges and graph.edges == CHAIN.edges:
        known = Knowledge(tiers=(("a", "d"), ("b",), ("c",)))
    else:
        known = Knowledge(forbidden=frozenset({("b", "a"), ("c", "a"), ("c", "b")}))
    _honours(build(table.names).learn(table, known), known)
    required = Knowledge(required=frozenset({("a", "b")}), forbidden=frozenset({("c", "d")}))
    _honours(build(table.names).learn(table, required), required)
    other = ("c", "a", "d", "b")
    reordered = build(other).learn(table.reordered(other), Knowledge())
    assert set(reordered.edges) == set(graph.edges), "another order of the columns gives the same edges"


def _honours(graph: CausalGraph, knowledge: Knowledge) -> None:
    assert not (graph.adjacency & ~knowledge.allowed(graph.names)).any(), "forbidden edges and tiers are honoured"
    assert not (knowledge.required_edges(graph.names) & ~graph.adjacency).any(), "required edges are in the graph"


# --- the causal model -------------------------------------------------------------------------------------------------


def _check_scm(build: Callable[..., SCM]) -> None:
    scm = build(4)
    with torch.no_grad():
        for parameter in scm.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    adjacency, u = torch.tensor(CHAIN.strengths).float(), torch.randn(64, 4)
    z = scm(u, adjacency)
    assert torch.allclose(scm.abduct(z, adjacency), u, atol=1e-4), "law 1: abduct(scm(u)) == u"
    assert torch.allclose(scm(scm.abduct(z, adjacency), adjacency), z, atol=1e-4), "law 1: scm(abduct(z)) == z"
    for held in ({0: 2.0}, {1: -1.5}, {0: 2.0, 3: -2.0}, {2: 0.5}):
        intervention = Intervention.of(held, z)
        for changed in (scm(u, adjacency, intervention), scm.counterfactual(z, adjacency, intervention)):
            _check_do(scm, changed, z, u, adjacency, held)
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


def _check_do(scm: SCM, changed: Tensor, z: Tensor, u: Tensor, adjacency: Tensor, held: Mapping[int, float]) -> None:
    for position, value in held.items():
        assert (changed[:, position] == value).all(), "law 2: do(x = v) holds v exactly"
    names = CHAIN.names
    reached = {name for position in held for name in CHAIN.descendants(names[position])}
    for j, name in enumerate(names):
        if j in held:
            continue
        if name in reached:
            again = scm.mechanism(changed, adjacency, u)[:, j]
            assert torch.allclose(changed[:, j], again, atol=1e-4), "law 2: every descendant is recomputed"
            assert not torch.allclose(changed[:, j], z[:, j]), "law 2: every descendant is recomputed"
        else:
            assert torch.equal(changed[:, j], z[:, j]), "law 2: every non-descendant is bit-identical"


# --- networks ---------------------------------------------------------------------------------------------------------


def _check_encoder(build: Callable[..., Encoder]) -> None:
    encoder = build(SHAPE, LATENT)
    latent = encoder(torch.rand(2, *SHAPE) * 2 - 1)
    assert isinstance(latent, torch.distributions.Normal), "an encoder returns a Normal"
    assert latent.mean.shape == (2, LATENT), "its mean is [b, k]"
    latent.rsample().square().sum().backward()
    _has_gradients(encoder)


def _check_generator(build: Callable[..., Generator]) -> None:
    generator = build(SHAPE, LATENT)
    latent = torch.randn(2, LATENT)
    image = generator(latent)
    assert image.shape == (2, *SHAPE), "a generator returns [b, c, h, w]"
    assert float(image.detach().abs().max()) <= 1, "its pixels are in [-1, 1]"
    assert torch.equal(generator(latent), image), "it is deterministic"
    image.square().sum().backward()
    _has_gradients(generator)


def _check_discriminator(build: Callable[..., Discriminator]) -> None:
    discriminator = build(SHAPE, LATENT)
    image, latent = torch.rand(2, *SHAPE) * 2 - 1, torch.randn(2, LATENT, requires_grad=True)
    logits = discriminator(image, latent)
    assert logits.shape == (2,), "a discriminator returns logits [b]"
    assert discriminator(image).shape == (2,), "it can judge images alone"
    logits.sum().backward()
    assert latent.grad is not None, "it looks at the latent"
    assert (latent.grad != 0).any(), "it looks at the latent"
    _has_gradients(discriminator)


def _has_gradients(module: torch.nn.Module) -> None:
    silent = [name for name, parameter in module.named_parameters() if parameter.grad is None]
    assert not silent, f"every parameter takes part; these do not: {', '.join(silent)}"


# --- data -------------------------------------------------------------------------------------------------------------


def _check_data(build: Callable[..., DataModule]) -> None:
    data = build()
    for split in get_args(SplitName):
        loaded = data.load(split)
        assert loaded.images.dtype == torch.uint8, "images are uint8"
        assert tuple(loaded.images.shape) == (len(loaded), *data.image_shape), "images are [n, c, h, w]"
        assert loaded.values.shape == (len(loaded), len(data.attributes)), "attributes are [n, d]"
        assert np.array_equal(build().load(split).values, loaded.values), "the same rows at every call"
    train = data.load("train")
    assert np.array_equal(data.table().values, train.values), "the table is the training split's"
    rows = [torch.tensor([1, 0]), torch.tensor([1])]  # batches of their own order and size, and a row again
    for wanted, images in zip(rows, data.in_batches(rows), strict=True):
        assert torch.equal(images, train.images[wanted]), "batches are the training images of the rows asked for"
    names = tuple(attribute.name for attribute in data.attributes)
    data.knowledge.required_edges(names)
    if data.truth is not None:
        assert data.truth.names == names, "the truth is over the attributes"
        _honours(data.truth, Knowledge(tiers=data.knowledge.tiers))
    if isinstance(data, RenderedData):
        _check_rendered(data)


def _check_rendered(data: RenderedData) -> None:
    noise = data.sample_noise(24, torch.Generator().manual_seed(1))
    factual = data.counterfactual(noise, {})
    again = data.counterfactual(noise, {})
    assert torch.equal(factual.images, again.images), "the same noise draws the same picture"
    test = data.load("test")
    assert test.noise is not None, "a rendered split keeps its noise"
    assert torch.equal(data.counterfactual(test.noise, {}).images, test.images), "an empty do() is the sample itself"
    for attribute in data.table().attributes:
        value = attribute.low + 0.75 * (attribute.high - attribute.low)
        changed = data.counterfactual(noise, {attribute.name: value})
        reached = {attribute.name, *data.truth.descendants(attribute.name)}
        for j, other in enumerate(a.name for a in data.attributes):
            same = np.array_equal(changed.values[:, j], factual.values[:, j])
            assert same != (other in reached), f"do({attribute.name}) changes what it causes, and {other} only if so"
        assert not torch.equal(changed.images, factual.images), f"do({attribute.name}) shows in the picture"


# --- objectives and metrics -------------------------------------------------------------------------------------------


def toy_model(
    shape: tuple[int, int, int] = SHAPE, table: Table | None = None
) -> tuple[CausalImageModel, Discriminator]:
    """A small untrained model over a toy table, and a discriminator for it."""
    from ccigkit.component.registry import build

    table = table or toy_table()
    graph = table.truth or CausalGraph(table.names, np.zeros((len(table.names),) * 2))
    wiring = {"size": len(table.names), "image_shape": shape, "latent_size": len(table.names) + 6}
    parts = {kind: build(kind, {"name": "dcgan", "width": 8}, wiring) for kind in ("encoder", "generator")}
    discriminator: Discriminator = build("discriminator", {"name": "dcgan", "width": 8}, wiring)
    scm: SCM = build("scm", {"name": "nonlinear"}, wiring)
    structure = Structure(graph, learns=True)
    latent_size = wiring["latent_size"]
    assert isinstance(latent_size, int)
    model = CausalImageModel(table.attributes, structure, scm, **parts, image_shape=shape, latent_size=latent_size)
    return model, discriminator


def _check_objective(build: Callable[..., Objective]) -> None:
    model, discriminator = toy_model()
    latents = torch.as_tensor(toy_table().latents).float()
    objective = build(model, discriminator, latents)
    parts = objective.parts()
    phases = objective.phases()
    assert phases, "an objective has at least one phase"
    for phase in phases:
        assert set(phase.updates) <= set(parts), f"phase {phase.name} updates parts that exist"
        assert set(phase.updates) <= set(objective.rates()), f"every part that phase {phase.name} updates has a rate"
    training = Training(objective, steps=4, device=torch.device("cpu"), dtype=torch.float32)
    batch = Batch(torch.rand(8, *SHAPE) * 2 - 1, latents[:8])
    objective.begin()
    for phase in phases:
        before = {part: [p.detach().clone() for p in module.parameters()] for part, module in parts.items()}
        for module in parts.values():
            module.zero_grad(set_to_none=True)
        terms = training._play(phase, batch)
        assert all(torch.isfinite(term).all() for term in terms.values()), f"phase {phase.name} has finite terms"
        for part, module in parts.items():
            if part in phase.updates:
                continue
            assert all(p.grad is None for p in module.parameters()), f"law 7: {phase.name} gives {part} no gradient"
            still = all(torch.equal(p, q) for p, q in zip(module.parameters(), before[part], strict=True))
            assert still, f"law 7: {phase.name} does not move {part}"
    objective.between(100)


class _ToyData(RenderedData):
    """Two grey levels side by side: the left is the cause of the right."""

    name = "toy"
    attributes = (Attribute("left", "continuous"), Attribute("right", "continuous"))
    image_shape = (3, 16, 16)
    truth = CausalGraph.from_edges(("left", "right"), ["left -> right"])

    def load(self, split: SplitName) -> Split:
        return self.counterfactual(self.sample_noise(64, torch.Generator().manual_seed(int(split == "test"))), {})

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 2, generator=generator)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        left = torch.as_tensor(do.get("left", noise[:, 0])).expand(len(noise))
        right = torch.as_tensor(do.get("right", (left + noise[:, 1]) / 2)).expand(len(noise))
        return torch.stack([left, right], dim=1)

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        levels = (values * 255).to(torch.uint8)
        return levels[:, None, None, :].repeat_interleave(8, dim=3).expand(-1, 3, 16, -1).contiguous()


def _check_metric(build: Callable[..., Metric]) -> None:
    data = _ToyData()
    model, _ = toy_model(data.image_shape, data.table())
    try:
        rows = build().measure(model.eval(), data)
    except DataError:
        return  # the toy has continuous attributes alone: a metric may say, in one line, that it needs others
    assert rows, "a metric returns rows"
    for row in rows:
        assert all(isinstance(value, float | str) for value in row.values()), "a row holds numbers and text"
