"""The mixed SCM: labels by thresholds, categories by Gumbel-max, continuous attributes of any shape and spread."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from ccigkit import testing
from ccigkit.attributes import Attribute, Attributes, Kind, Table
from ccigkit.causal.model import CausalModel
from ccigkit.causal.scm import gumbel
from ccigkit.causal.scm.ladder import Ladder
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.causal.scm.spline import Spline
from ccigkit.component.registry import build
from ccigkit.data.drawn.faces import Faces
from ccigkit.errors import ConfigError
from ccigkit.graph import CausalGraph
from ccigkit.interfaces import Intervention, Structure
from ccigkit.model import CausalImageModel, load_model, save_model

torch.set_num_threads(1)

# The rates of CelebA's labels: of 10,000, P(effect | cause) and P(effect | not cause).
ROOTS = {"Male": 0.422, "Young": 0.777, "Smiling": 0.482}
RATES = {
    ("Male", "No_Beard"): (0.607, 0.999),
    ("Male", "Bald"): (0.058, 0.0),
    ("Young", "Gray_Hair"): (0.002, 0.193),
    ("Smiling", "High_Cheekbones"): (0.803, 0.126),
    ("Smiling", "Mouth_Slightly_Open"): (0.756, 0.225),
    ("Male", "Wearing_Lipstick"): (0.006, 0.807),
}
NAMES = (*ROOTS, *(effect for _, effect in RATES))


@functools.cache
def labels() -> Table:
    """10,000 rows of yes or no, each share as in `RATES` to half a row."""
    random = np.random.default_rng(0)
    columns = {name: (random.permutation(10_000) < rate * 10_000) * 1.0 for name, rate in ROOTS.items()}
    for (cause, effect), (there, else_) in RATES.items():
        column = np.zeros(10_000)
        for value, rate in ((1, there), (0, else_)):
            rows = np.flatnonzero(columns[cause] == value)
            column[random.permutation(rows)[: round(rate * len(rows))]] = 1
        columns[effect] = column
    graph = CausalGraph.from_edges(NAMES, [f"{a} -> {b}" for a, b in RATES])
    return Table.fit([Attribute(name, "binary") for name in NAMES], np.stack([columns[n] for n in NAMES], 1), graph)


@functools.cache
def fitted() -> MixedSCM:
    return fit(labels())


def fit(table: Table, steps: int = 300, **options: list[str]) -> MixedSCM:
    torch.manual_seed(0)
    scm = MixedSCM(len(table.names), **options)
    scm.describe(table.attributes)
    CausalModel(table.attributes, Structure(graph_of(table)), scm).fit_mechanisms(latents(table), steps)
    return scm.eval().requires_grad_(False)


def graph_of(table: Table) -> CausalGraph:
    assert table.truth is not None
    return table.truth


def latents(table: Table) -> Tensor:
    return torch.as_tensor(table.latents).float()


def weights(table: Table) -> Tensor:
    return torch.tensor(graph_of(table).strengths).float()


def do(table: Table, name: str, value: float, like: Tensor) -> Intervention:
    return Intervention.of(table.attributes.interventions({name: value}), like)


# --- yes or no --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "cause", "was"),
    [
        ("No_Beard", "Male", 0),
        ("Bald", "Male", 1),
        ("Gray_Hair", "Young", 1),
        ("High_Cheekbones", "Smiling", 1),
        ("Mouth_Slightly_Open", "Smiling", 0),
        ("Wearing_Lipstick", "Male", 1),
    ],
)
def test_as_many_labels_change_as_the_rates_of_the_table_say_and_none_ends_between(
    effect: str, cause: str, was: int
) -> None:
    table, scm, value = labels(), fitted(), table_value(effect, cause, was)
    at, held = table.attributes.index(effect), table.attributes.index(cause)
    rows = (table.values[:, at] == was) & (table.values[:, held] == 1 - value)
    z, (there, else_) = latents(table)[rows], RATES[cause, effect]
    before, after = (else_, there) if value else (there, else_)
    wanted = 1 - after / before if was else (after - before) / (1 - before)  # monotone: Pearl 2009, section 9.2
    noise = scm.draw_noise(z, weights(table), torch.Generator().manual_seed(1))
    intervention = do(table, cause, value, z)
    degree = table.attributes[at].to_value(scm.counterfactual(z, weights(table), intervention, noise)[:, at])
    assert float(((degree > 0.5) != was).double().mean()) == pytest.approx(wanted, abs=0.02)
    assert not ((degree > 0.1) & (degree < 0.9)).any()
    told = scm.probability(z, weights(table), intervention, at)[:, 1 - was]
    assert float(told.mean()) == pytest.approx(wanted, abs=0.01)


def table_value(effect: str, cause: str, was: int) -> int:
    """The value of the cause that makes the effect less likely to be what it was."""
    there, else_ = RATES[cause, effect]
    return int((there > else_) != was)


def test_the_additive_noise_of_nonlinear_leaves_bearded_women() -> None:
    table = labels()
    torch.manual_seed(0)
    scm = NonlinearSCM(len(NAMES))
    CausalModel(table.attributes, Structure(graph_of(table)), scm).fit_mechanisms(latents(table), 300)
    rows = (table.values[:, NAMES.index("No_Beard")] == 0) & (table.values[:, 0] == 1)
    z = latents(table)[rows]
    changed = scm.counterfactual(z, weights(table), do(table, "Male", 0, z))
    degree = table.attributes.to_values(changed)[:, NAMES.index("No_Beard")]
    assert (degree < 0.5).all()


@pytest.mark.parametrize("root", ROOTS)
def test_sampled_rates_under_do_are_the_tables(root: str) -> None:
    table, scm = labels(), fitted()
    torch.manual_seed(0)
    for value in (0, 1):
        held = do(table, root, value, torch.zeros(60_000, len(NAMES)))
        z = scm(scm.sample_noise(60_000), weights(table), held)
        rates = (table.attributes.to_values(z) > 0.5).double().mean(0)
        for (cause, effect), pair in RATES.items():
            wanted = pair[1 - value] if cause == root else table.values[:, NAMES.index(effect)].mean()
            assert float(rates[NAMES.index(effect)]) == pytest.approx(wanted, abs=0.01), (effect, value)


def test_one_noise_is_shared_by_all_worlds_and_monotone() -> None:
    table, scm = labels(), fitted()
    u = torch.linspace(-4, 4, 400).double()[:, None].repeat(1, len(NAMES))
    for value in (0, 1):
        z = scm(u, weights(table), do(table, "Smiling", value, u))
        own = [j for j, name in enumerate(NAMES) if name not in ("Smiling",) and ("Young", name) not in RATES]
        alone = [j for j in own if ("Male", NAMES[j]) not in RATES]
        assert (z[:, alone].diff(dim=0) >= 0).all()


def test_noise_drawn_from_a_labels_range_makes_that_label_and_the_same_seed_the_same_noise() -> None:
    table, scm = labels(), fitted()
    z = latents(table)[:500]
    first, again = (scm.draw_noise(z, weights(table), torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    made = table.attributes.to_values(scm(first, weights(table))) > 0.5
    assert np.array_equal(made.numpy(), table.values[:500] > 0.5)
    spread = first[table.values[:500, NAMES.index("Smiling")] == 1, NAMES.index("Smiling")]
    assert float(spread.std()) > 0.3  # from all over the range, where abduction gives its middle


def test_a_degree_says_where_in_its_labels_range_the_noise_is() -> None:
    table, scm = labels(), fitted()
    at = NAMES.index("No_Beard")
    z = latents(table)[table.values[:, 0] == 1][:1].repeat(50, 1)
    low, high = table.attributes[at].levels
    z[:, at] = low + (high - low) * torch.linspace(-0.1, 0.1, 50)
    noise = scm.abduct(z, weights(table))[:, at]
    assert (noise.diff() > 0).all()
    assert torch.equal(noise[:20], scm.draw_noise(z[:20], weights(table))[:, at])  # nothing is left to draw
    told = scm.probability(z[:1], weights(table), do(table, "Male", 0, z[:1]), at)
    assert float(told.sum()) == pytest.approx(1)


def test_readings_calibrate_the_degrees_so_that_ranks_are_uniform() -> None:
    torch.manual_seed(0)
    truth = torch.randint(0, 2, (4000, 1))
    ladder = Ladder.of([(-1.0, 1.0)])
    readings = (2 * truth - 1).double() + 0.3 * torch.randn(4000, 1).double().abs()
    _, rank, anti = ladder.calibrated(readings, truth).ranks(readings)
    for label in (0, 1):
        own = (truth == label) & (ladder.level(readings) == label)
        assert stats.kstest(rank[own].numpy(), "uniform").statistic < 0.03
    assert torch.allclose(rank + anti, torch.ones(1).double())


def test_calibrated_readings_give_each_image_the_answer_of_its_own_noise() -> None:
    table, scm, at = labels(), copy.deepcopy(fitted()), NAMES.index("Mouth_Slightly_Open")
    label, (low, high) = torch.as_tensor(table.values[:, at]), table.attributes[at].levels
    rank = torch.rand(10_000, generator=torch.Generator().manual_seed(0))
    z = latents(table)
    z[:, at] += (high - low) * (0.3 * rank**2 - 0.2) * torch.where(label == 1, 0.5, 1).float()  # how wide it is open
    shut = (table.values[:, at] == 0) & (table.values[:, NAMES.index("Smiling")] == 0)
    needed = (0.756 - 0.225) / (1 - 0.225)
    opens = rank[shut] > 1 - needed  # who is nearest to opening it

    def agreement() -> float:
        changed = scm.counterfactual(z[shut], weights(table), do(table, "Smiling", 1, z[shut]))[:, at]
        return float(((changed > 0) == opens).double().mean())

    assert agreement() < 0.95
    scm.calibrate(z, latents(table))
    assert agreement() > 0.98


def test_degrees_that_are_no_labels_stay_continuous() -> None:
    faces = Faces(n=200, size=32).table().attributes
    assert not any(attribute.labelled for attribute in faces)
    assert all(attribute.labelled for attribute in labels().attributes)


# --- every kind at once -----------------------------------------------------------------------------------------------

KINDS: dict[str, Kind] = {
    "yes": "binary",
    "rare": "binary",
    "grade": "categorical",
    "size": "continuous",
    "race": "categorical",
    "last": "binary",
    "shape": "categorical",
}
EDGES = [
    "yes -> rare",
    "yes -> grade",
    "rare -> size",
    "grade -> size",
    "size -> race",
    "race -> last",
    "race -> shape",
]


@functools.cache
def every_kind() -> Table:
    random = np.random.default_rng(0)
    yes, grade = random.integers(0, 2, 3000), random.integers(0, 4, 3000)
    rare, race = random.random(3000) < 0.02 + 0.3 * yes, random.integers(0, 3, 3000)
    last, shape = random.integers(0, 2, 3000), random.integers(0, 5, 3000)
    columns = (yes, rare, grade, random.normal(size=3000) + yes, race, last, shape)
    graph = CausalGraph.from_edges(tuple(KINDS), EDGES)
    return Table.fit(
        [Attribute(n, k, ordered=n == "grade") for n, k in KINDS.items()],
        np.stack(columns, axis=1).astype(float),
        graph,
    )


def shaken(seed: int, dtype: torch.dtype = torch.float32) -> MixedSCM:
    """An SCM over every kind of attribute whose mechanisms are anything."""
    torch.manual_seed(seed)
    scm = MixedSCM(len(KINDS)).to(dtype)
    scm.describe(every_kind().attributes)
    with torch.no_grad():
        for parameter in scm.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return scm.requires_grad_(False)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), beside=st.floats(0, 0.05))
def test_noise_and_latents_are_one_to_one(seed: int, beside: float) -> None:
    table = every_kind()
    for dtype, close in ((torch.float32, 1e-4), (torch.float64, 1e-9)):
        scm, adjacency = shaken(seed, dtype), weights(table).to(dtype)
        z = torch.as_tensor(table.latents)[:200].to(dtype)
        z = z + beside * torch.randn_like(z).clamp(-2, 2)
        assert torch.allclose(scm(scm.abduct(z, adjacency), adjacency), z, atol=close)
        u = scm.sample_noise(200).double()
        made = scm(u, adjacency)
        single = [
            j for j, name in enumerate(KINDS) if name not in ("race", "shape")
        ]  # a category's noise is not unique
        assert torch.allclose(scm.abduct(made, adjacency)[:, single], u[:, single], atol=close * 10)
        assert torch.allclose(scm(scm.abduct(made, adjacency), adjacency), made, atol=close)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_any_reading_is_made_again_by_its_own_noise(seed: int) -> None:
    table, scm = every_kind(), shaken(seed)
    z = 2 * torch.randn(200, len(KINDS))  # between the levels and beyond them
    again = scm.mechanism(z, weights(table), scm.abduct(z, weights(table)))
    assert torch.allclose(again, z, atol=1e-4)


def test_an_attribute_looks_at_its_causes_alone() -> None:
    table, scm = every_kind(), shaken(0, torch.float64)
    adjacency, size = weights(table).double(), len(KINDS)
    z = torch.as_tensor(table.latents)[:1] + 0.3
    u = scm.sample_noise(1)
    jacobian = torch.autograd.functional.jacobian(lambda x: scm.mechanism(x, adjacency, u).sum(0), z)[:, 0]
    off = ~torch.eye(size, dtype=torch.bool)
    assert (jacobian.T[(adjacency == 0) & off] == 0).all()
    assert jacobian.T[tuple(KINDS).index("size"), tuple(KINDS).index("race")] == 0  # a choice moves in steps
    assert jacobian.T[tuple(KINDS).index("grade"), tuple(KINDS).index("size")] != 0


def test_an_intervention_holds_recomputes_descendants_and_leaves_the_others_bit_for_bit() -> None:
    table, scm = every_kind(), shaken(1)
    z, adjacency = latents(table)[:100], weights(table)
    intervention = do(table, "grade", 2, z)
    noise = scm.draw_noise(z, adjacency, torch.Generator().manual_seed(0))
    for changed in (
        scm.counterfactual(z, adjacency, intervention),
        scm.counterfactual(z, adjacency, intervention, noise),
    ):
        names = table.names
        assert (changed[:, names.index("grade")] == table.attributes[2].levels[2]).all()
        for name in ("yes", "rare"):
            assert torch.equal(changed[:, names.index(name)], z[:, names.index(name)])
    again = scm.mechanism(changed, adjacency, noise)
    moved = changed[:, names.index("grade")] != z[:, names.index("grade")]  # the others are as they were already
    assert torch.equal(changed[~moved], z[~moved])
    for name in graph_of(table).descendants("grade"):
        assert torch.allclose(changed[moved, names.index(name)], again[moved, names.index(name)], atol=1e-4)


def test_the_likelihood_and_the_answers_are_differentiable() -> None:
    table, scm = every_kind(), shaken(2)
    scm.requires_grad_(True)
    adjacency, z = weights(table).requires_grad_(), (latents(table)[:50] + 0.01).requires_grad_()
    scm.loss(z, adjacency).backward()
    assert adjacency.grad is not None
    assert (adjacency.grad[weights(table) != 0] != 0).any()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in scm.parameters())
    scm.counterfactual(z, adjacency, do(table, "yes", 1, z)).sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()


def test_a_saved_model_of_every_kind_answers_bit_for_bit(tmp_path: Path) -> None:
    table = every_kind()
    torch.manual_seed(0)
    toy, _ = testing.toy_model(table=table)
    causal = CausalModel(table.attributes, toy.structure, shaken(3))
    model = CausalImageModel(causal, toy.image, toy.placement).eval().requires_grad_(False)
    backbone = {"name": "dcgan", "width": 8}
    parts = {"scm": {"name": "mixed", "bins": 8}, "encoder": backbone, "generator": backbone}
    save_model(model, tmp_path, parts)
    again, image = load_model(tmp_path), torch.rand(2, *toy.image_shape) * 2 - 1
    assert torch.equal(again.counterfactual(image, {"race": 1}), model.counterfactual(image, {"race": 1}))
    assert torch.equal(again.sample(4, {"rare": 1}, seed=3), model.sample(4, {"rare": 1}, seed=3))


def test_describing_the_same_attributes_again_changes_nothing() -> None:
    scm = shaken(4)
    before = {key: value.clone() for key, value in scm.state_dict().items()}
    scm.describe(Attributes.from_json(every_kind().attributes.to_json()))
    assert all(torch.equal(value, before[key]) for key, value in scm.state_dict().items())


def test_what_cannot_be_asked_is_refused_in_a_line() -> None:
    table, scm = every_kind(), shaken(5)
    z = latents(table)[:3]
    with pytest.raises(ConfigError, match="attribute size is continuous"):
        scm.probability(z, weights(table), do(table, "yes", 1, z), 3)
    with pytest.raises(ConfigError, match=r"scm\.bins=1"):
        build("scm", {"name": "mixed", "bins": 1}, {"size": 3})


# --- unordered categories ---------------------------------------------------------------------------------------------

START = np.array([0.5, 0.3, 0.2])
NEXT = np.array([[0.7, 0.2, 0.1], [0.15, 0.6, 0.25], [0.3, 0.1, 0.6]])


@functools.cache
def chain() -> Table:
    """A three-valued Markov chain a -> b -> c of known odds, by Gumbel-max."""
    random = np.random.default_rng(0)
    rows = [(np.log(START) + random.gumbel(size=(60_000, 3))).argmax(1)]
    for _ in range(2):
        rows.append((np.log(NEXT[rows[-1]]) + random.gumbel(size=(60_000, 3))).argmax(1))
    graph = CausalGraph.from_edges(("a", "b", "c"), ["a -> b", "b -> c"])
    return Table.fit([Attribute(n, "categorical") for n in "abc"], np.stack(rows, 1).astype(float), graph)


def exact(before: np.ndarray, after: np.ndarray, chosen: int) -> np.ndarray:
    """P(choice under the odds after | chosen under the odds before), by keeping the noise that chose it."""
    noise = np.random.default_rng(1).gumbel(size=(400_000, 3))
    noise = noise[(np.log(before) + noise).argmax(1) == chosen]
    return np.bincount((np.log(after) + noise).argmax(1), minlength=3) / len(noise)


@pytest.mark.parametrize(("a", "b", "c", "other"), [(0, 0, 0, 1), (1, 2, 2, 0), (2, 0, 1, 1)])
def test_a_markov_chains_counterfactuals_are_those_of_its_gumbel_noise(a: int, b: int, c: int, other: int) -> None:
    table, scm = chain(), fitted_chain()
    wanted_b = exact(NEXT[a], NEXT[other], b)
    wanted_c = sum(wanted_b[k] * exact(NEXT[b], NEXT[k], c) for k in range(3))
    z = table.attributes.to_latent(torch.tensor([[a, b, c]]).double()).float()
    held = do(table, "a", other, z)
    assert scm.probability(z, weights(table), held, 1)[0].numpy() == pytest.approx(wanted_b, abs=0.01)
    draws = {"draws": 1, "generator": torch.Generator().manual_seed(0)}
    many = scm.probability(z.repeat(8000, 1), weights(table), held, 2, **draws).mean(0)  # type: ignore[arg-type]
    assert many.numpy() == pytest.approx(np.asarray(wanted_c), abs=0.01)
    z = z.repeat(30_000, 1)
    noise = scm.draw_noise(z, weights(table), torch.Generator().manual_seed(0))
    drawn = table.attributes.to_values(scm.counterfactual(z, weights(table), held, noise)).round()[:, 2].long()
    assert (torch.bincount(drawn, minlength=3) / len(z)).numpy() == pytest.approx(np.asarray(wanted_c), abs=0.015)


@functools.cache
def fitted_chain() -> MixedSCM:
    return fit(chain(), 400)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 5))
def test_the_odds_of_another_choice_are_those_of_the_noise_that_made_the_choice(seed: int, k: int) -> None:
    torch.manual_seed(seed)
    p, q = torch.randn(2, k).double().softmax(-1)
    chosen = torch.randint(0, k, (1,))
    rows = torch.Size((20_000,))
    first = gumbel.waiting(torch.Size((*rows, 1)), p, None)
    noise = gumbel.posterior(p.log(), chosen.expand(rows), first, gumbel.waiting(torch.Size((*rows, k)), p, None))
    assert ((p.log() + noise).argmax(-1) == chosen).all()
    drawn = torch.bincount((q.log() + noise).argmax(-1), minlength=k) / len(noise)
    told = gumbel.counterfactual(p, q, chosen[0])
    assert float(told.sum()) == pytest.approx(1)
    assert torch.allclose(drawn.double(), told, atol=0.025)
    same = gumbel.counterfactual(p, p, chosen[0])
    assert torch.allclose(same, torch.nn.functional.one_hot(chosen[0], k).double())


# --- continuous attributes --------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_spline_is_increasing_and_turned_round_exactly(seed: int) -> None:
    torch.manual_seed(seed)
    spline = Spline.of(torch.randn(300, 23).double())
    x = torch.linspace(-6, 6, 300).double()
    y, log_slope = spline.forward(x)
    assert torch.allclose(spline.inverse(y), x, atol=1e-9)
    step = (spline.forward(x + 1e-6)[0] - y) / 1e-6
    assert torch.allclose(step.log(), log_slope, atol=1e-2)


@pytest.mark.parametrize("shape", ["spread", "two"])
def test_a_mechanism_of_any_shape_and_spread_is_found(shape: str) -> None:
    random = np.random.default_rng(0)

    def effect(x: np.ndarray) -> np.ndarray:
        noise = random.normal(size=len(x))
        if shape == "spread":  # a noise whose spread is the cause's
            return np.sin(1.5 * x) + (0.1 + 0.125 * (x + 2)) * noise
        upper = random.random(len(x)) < 1 / (1 + np.exp(-x))
        return np.where(upper, 1.5, -1.5) + 0.4 * noise + 0.3 * x

    cause = random.uniform(-2, 2, 20_000)
    graph = CausalGraph.from_edges(("x", "y"), ["x -> y"])
    columns = [Attribute("x", "continuous"), Attribute("y", "continuous")]
    table = Table.fit(columns, np.stack([cause, effect(cause)], axis=1), graph)
    scm, far = fit(table, 800), []
    for x in (-1.6, -0.8, 0.0, 0.8, 1.6):
        held = do(table, "x", x, torch.zeros(20_000, 2))
        made = table.attributes.to_values(scm(scm.sample_noise(20_000), weights(table), held))[:, 1]
        far.append(stats.ks_2samp(made.numpy(), effect(np.full(20_000, x))).statistic)
    assert np.mean(far) < 0.03
    assert max(far) < 0.06  # at the edge of what was seen, where the noise is narrowest
