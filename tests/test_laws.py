"""The laws: over every component that is installed, over a whole model, and over the checker itself."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit import testing
from ccigkit.attributes import Attribute, Table
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.component.registry import registry
from ccigkit.data.drawn.faces import Faces
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import ConfigError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.image.dcgan import DCGANDiscriminator
from ccigkit.interfaces import (
    Component,
    Encoder,
    Generator,
    Intervention,
    Metric,
    Phase,
    RenderedData,
    Split,
    SplitName,
)
from ccigkit.model.detail import keep_detail
from ccigkit.model.files import load_model, save_model
from ccigkit.model.model import CausalImageModel
from ccigkit.objectives.adversarial import Divergence, discriminator_loss, encoder_loss, generator_loss
from ccigkit.objectives.ccig import CCIG
from ccigkit.objectives.dear import DEAR
from ccigkit.objectives.terms import Dependence, supervision
from ccigkit.structure.learners.known import Known
from ccigkit.structure.learners.notears import Notears
from tests.celeba_folder import write_celeba
from tests.data_folders import write_causalcircuit, write_morphomnist, write_shards, write_table

torch.set_num_threads(1)

FOLDERS: dict[str, Callable[[Path], Path]] = {
    "celeba": write_celeba,
    "table": write_table,
    "morphomnist": write_morphomnist,
    "causalcircuit": write_causalcircuit,
    "shards": write_shards,
}
OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("data", "celeba"): {"size": 32},
    ("data", "shards"): {"attributes": ["Smiling", "Male"]},
    ("data", "pendulum"): {"n": 60, "size": 32},
    ("data", "flow"): {"n": 60, "size": 32},
    ("data", "faces"): {"n": 60, "size": 32},
    ("data", "digits"): {"n": 60, "size": 32},
    ("structure", "gae"): {"rounds": 4, "steps": 40, "rows": 400},
    ("metric", "do_table"): {"n": 8, "predictor_steps": 2},
    ("metric", "downstream"): {"n": 10, "steps": 2},
    ("metric", "graphs"): {"n": 6, "samples": 4, "steps": 2, "predictor_steps": 2},
    ("metric", "minimality"): {"predictor_steps": 2, "vae_steps": 2},
}
for _metric in ("cdm", "disentanglement", "effectiveness", "truth", "distribution", "realism"):
    OPTIONS["metric", _metric] = {"predictor_steps": 2}  # a predictor that reads nothing does for the laws
COMPONENTS = sorted(registry(), key=lambda component: (component.kind, component.name))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: f"{component.kind}-{component.name}")
def test_every_component_keeps_the_laws_of_its_kind(component: type[Component], tmp_path: Path) -> None:
    options = dict(OPTIONS.get((component.kind, component.name), {}))
    if component.kind == "data" and component.name in FOLDERS:
        options["root"] = str(FOLDERS[component.name](tmp_path / component.name))
    testing.check(component, **options)


def test_every_kind_has_a_component() -> None:
    assert {component.kind for component in COMPONENTS} == set(registry().kinds)


# --- the checker sees what is broken ----------------------------------------------------------------------------------


class LeakySCM(LinearSCM):
    """One that lets the noise back into what do() holds."""

    name = "broken"

    def forward(self, u: Tensor, adjacency: Tensor, intervention: Intervention | None = None) -> Tensor:
        z = super().forward(u, adjacency, intervention)
        return z + 0.01 * u if intervention else z


class ShallowSCM(LinearSCM):
    """One whose do() reaches the children and nobody further down."""

    name = "broken"

    def forward(self, u: Tensor, adjacency: Tensor, intervention: Intervention | None = None) -> Tensor:
        z = super().forward(u, adjacency)
        return intervention.apply(self.mechanism(intervention.apply(z), adjacency, u)) if intervention else z


class ForgetfulSCM(LinearSCM):
    """One whose abduction leaves something out."""

    name = "broken"

    def inverse(self, z: Tensor, adjacency: Tensor) -> Tensor:
        return super().inverse(z, adjacency) * 0.9


class NosySCM(NonlinearSCM):
    """One whose mechanisms look past the adjacency, at a grandparent."""

    name = "broken"

    def effects(self, z: Tensor, adjacency: Tensor) -> Tensor:
        past = torch.zeros_like(adjacency)
        past[0, 2] = 0.1
        return super().effects(z, adjacency + past)


class Cyclic(Notears):
    name = "broken"

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        return CausalGraph(table.names, 1.0 - np.eye(len(table.names)))


class Stubborn(Notears):
    """One that does not listen to what is known."""

    name = "broken"

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        return super().learn(table, Knowledge())


class Moody(Known):
    """One that draws another graph at every call."""

    name = "broken"

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        size = len(table.names)
        return CausalGraph(table.names, np.triu(np.random.default_rng().normal(size=(size, size)), 1))


class Positional(Known):
    """One that goes by the order of the columns."""

    name = "broken"

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        size = len(table.names)
        wanted = np.triu(np.ones((size, size)), 1) * knowledge.allowed(table.names)
        return CausalGraph(table.names, np.where(knowledge.required_edges(table.names), 1.0, wanted))


class Meddler(CCIG):
    """One whose discriminator's phase moves the encoder too."""

    name = "broken"

    def phases(self) -> list[Phase]:
        def meddle(batch: Any) -> Mapping[str, Tensor]:
            with torch.no_grad():
                next(self.model.encoder.parameters()).add_(0.1)
            return self._discriminator(batch)

        return [Phase("model", ("encoder", "generator", "scm"), self._model), Phase("d", ("discriminator",), meddle)]


class Unpaid(DEAR):
    """One that names no rate for what it updates."""

    name = "broken"

    def rates(self) -> Mapping[str, float]:
        return {"encoder": 1e-3}


class Point(Encoder):
    """One that is certain of everything."""

    name = "broken"

    def __init__(self, image_shape: tuple[int, int, int], latent_size: int) -> None:
        super().__init__()
        self.map = nn.Linear(math.prod(image_shape), latent_size)

    def forward(self, image: Tensor) -> Normal:
        return self.map(image.flatten(1))  # type: ignore[no-any-return]


class Noisy(Generator):
    """One that draws another image every time."""

    name = "broken"

    def __init__(self, image_shape: tuple[int, int, int], latent_size: int) -> None:
        super().__init__()
        self.shape, self.map = image_shape, nn.Linear(latent_size, math.prod(image_shape))

    def forward(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.map(latent + 0.1 * torch.randn_like(latent))).view(-1, *self.shape)


class Blind(DCGANDiscriminator):
    """One that never looks at the latent."""

    name = "broken"

    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        return super().forward(image, None if latent is None else torch.zeros_like(latent))


class Unfaithful(Pendulum):
    """One whose do() on the angle leaves the shadow where it was."""

    name = "broken"

    def __init__(self) -> None:
        super().__init__(n=60, size=32)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        values = super().values(noise, {})
        for name, value in do.items():
            values[:, self.truth.index(name)] = torch.as_tensor(value, dtype=values.dtype)
        return values


class Mislabelled(Faces):
    """One whose labels are not the sides of its degrees."""

    name = "broken"

    def __init__(self) -> None:
        super().__init__(n=60, size=32, labels="hard")

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        degrees = self.degrees(noise, do)
        return (degrees > 0.7).to(degrees)


class Shuffled(Pendulum):
    """One with other rows at every call."""

    name = "broken"

    def __init__(self) -> None:
        super().__init__(n=60, size=32)

    def load(self, split: SplitName) -> Split:
        noise = torch.rand(20, 4)
        return self.counterfactual(noise, {})


class Wordless(Metric):
    name = "broken"

    def measure(self, model: CausalImageModel, data: Any) -> list[dict[str, float | str]]:
        return []


@pytest.mark.parametrize(
    ("component", "law"),
    [
        (LeakySCM, "law 2: do.* holds v exactly"),
        (ShallowSCM, "law 2: every descendant is recomputed"),
        (ForgetfulSCM, "law 1"),
        (NosySCM, "law 4"),
        (Stubborn, "honoured|required edges"),
        (Moody, "the same graph"),
        (Positional, "another order of the columns"),
        (Meddler, "law 7: d does not move encoder"),
        (Unpaid, "has a rate"),
        (Point, "returns a Normal"),
        (Noisy, "deterministic"),
        (Blind, "looks at the latent"),
        (Unfaithful, "changes what it causes"),
        (Mislabelled, "a label is whether its degree is above a half"),
        (Shuffled, "the same rows at every call"),
        (Wordless, "returns rows"),
    ],
)
def test_the_checker_names_the_law_that_is_broken(component: type[Component], law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        testing.check(component)


def test_a_learner_cannot_even_return_a_cycle() -> None:
    with pytest.raises(Exception, match="has a cycle"):
        testing.check(Cyclic)


def test_the_checker_refuses_a_constructor_that_ccigkit_cannot_call() -> None:
    class Swapped(LinearSCM):
        name = "broken"

        def __init__(self, width: int) -> None:
            super().__init__(width)

    with pytest.raises(AssertionError, match="is given"):
        testing.check(Swapped)


# --- a whole model ----------------------------------------------------------------------------------------------------

PARTS: dict[str, dict[str, Any]] = {
    "scm": {"name": "mixed"},
    "encoder": {"name": "dcgan", "width": 8},
    "generator": {"name": "dcgan", "width": 8},
}


@functools.cache
def table_over(kind: str) -> Table:
    """A table of the chain a -> b -> c <- d, whose attributes are of one kind."""
    rows = testing.toy_table().values
    if kind == "binary":
        rows = (rows > 0).astype(float)
    elif kind == "categorical":
        rows = np.digitize(rows, (-0.5, 0.5)).astype(float)
    attributes = [Attribute(name, kind) for name in testing.CHAIN.names]  # type: ignore[arg-type]
    return Table.fit(attributes, rows, testing.CHAIN)


@functools.cache
def model_over(kind: str) -> CausalImageModel:
    """An untrained model over such a table."""
    torch.manual_seed(0)
    model, _ = testing.toy_model(table=table_over(kind))
    return model.eval().requires_grad_(False)


def images(n: int = 3) -> Tensor:
    return torch.rand(n, *testing.SHAPE, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_a_null_intervention_returns_the_image_and_without_detail_the_reconstruction_exactly() -> None:
    model, image = model_over("continuous"), images()
    codes = model.abduct(image)
    assert torch.equal(model.counterfactual(image, {}), image)
    assert torch.equal(model.counterfactual(image, {}, detail=False), model.render(codes.z, codes.style))
    assert torch.equal(model.counterfactual(image, {}, detail=False), model.reconstruct(image))


def test_detail_stays_where_the_drawing_stays_and_goes_where_it_changes() -> None:
    image, drawn = torch.full((1, 1, 1, 2), 0.3), torch.zeros(1, 1, 1, 2)
    changed = torch.tensor([0.0, -0.9]).view(1, 1, 1, 2)
    assert torch.allclose(keep_detail(image, drawn, changed), torch.tensor([0.3, -0.9]).view(1, 1, 1, 2))


def test_an_intervention_that_changes_no_latent_changes_no_pixel() -> None:
    model, image = model_over("continuous"), images(1)
    z = model.abduct(image).z
    held = Intervention.of({3: z[:, 3]}, z)
    again = model.scm.counterfactual(z, model.structure.adjacency(), held)
    assert torch.allclose(again, z, atol=1e-5)
    assert torch.equal(again[:, [0, 1, 3]], z[:, [0, 1, 3]])


def test_one_image_and_a_batch_of_one_are_the_same() -> None:
    model, image = model_over("continuous"), images(1)
    assert torch.equal(model.counterfactual(image[0], {"a": 1.0}), model.counterfactual(image, {"a": 1.0})[0])


def test_a_value_per_image_is_that_value_for_each() -> None:
    model, image = model_over("continuous"), images(3)
    values = torch.tensor([-1.0, 0.0, 1.0])
    together = model.counterfactual(image, {"b": values})
    for i, value in enumerate(values.tolist()):
        assert torch.allclose(together[i], model.counterfactual(image[i], {"b": value}), atol=1e-5)


def test_several_interventions_hold_at_once_and_cut_their_parents() -> None:
    model, image = model_over("continuous"), images()
    codes, adjacency = model.abduct(image), model.structure.adjacency()
    do = {"a": 1.0, "b": -1.0}
    held = Intervention.of(model.attributes.interventions(do), codes.z)
    z = model.scm.counterfactual(codes.z, adjacency, held)
    values = model.attributes.to_values(z)
    assert torch.allclose(values[:, 0], torch.tensor(1.0), atol=1e-6)
    assert torch.allclose(values[:, 1], torch.tensor(-1.0), atol=1e-6)  # whatever a says
    assert torch.equal(z[:, 3], codes.z[:, 3])
    alone = model.scm.counterfactual(
        codes.z, adjacency, Intervention.of(model.attributes.interventions({"b": -1.0}), z)
    )
    assert torch.allclose(z[:, 2], alone[:, 2], atol=1e-6)  # a speaks to c through b alone, and b is held
    order = {"b": -1.0, "a": 1.0}
    assert torch.equal(model.counterfactual(image, do), model.counterfactual(image, order))


@pytest.mark.parametrize("kind", ["binary", "categorical", "continuous"])
def test_do_speaks_in_the_attributes_own_units(kind: str) -> None:
    table = table_over(kind)
    attribute = model_over(kind).attributes[0]
    for value in (0, 1):
        z = attribute.intervention(value)
        if kind == "continuous":
            assert float(attribute.to_value(z)) == pytest.approx(value, abs=1e-5)
        else:  # the median latent of the rows that carry the label
            latents = table.latents[table.values[:, 0] == value, 0]
            assert float(z) == pytest.approx(np.median(latents))
            assert round(float(attribute.to_value(z))) == value


@pytest.mark.parametrize(("kind", "value"), [("binary", 0.5), ("binary", 2), ("categorical", 3), ("continuous", 1e3)])
def test_do_refuses_what_the_attribute_cannot_be(kind: str, value: float) -> None:
    with pytest.raises(ConfigError, match="a="):
        model_over(kind).counterfactual(images(1), {"a": value})


@pytest.mark.parametrize("kind", ["binary", "categorical", "continuous"])
def test_a_saved_model_answers_bit_for_bit(kind: str, tmp_path: Path) -> None:
    model, image = model_over(kind), images()
    model.scm.fit_noise(torch.randn(100, 4), model.structure.adjacency())
    save_model(model, tmp_path, PARTS)
    again = load_model(tmp_path)
    assert torch.equal(again.counterfactual(image, {"a": 1}), model.counterfactual(image, {"a": 1}))
    assert torch.equal(again.sample(4, {"b": 0}, seed=3), model.sample(4, {"b": 0}, seed=3))
    assert again.graph == model.graph
    assert again.attributes.to_json() == model.attributes.to_json()


def test_the_same_seed_draws_the_same_people_and_leaves_the_generator_alone() -> None:
    model = model_over("continuous")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    assert torch.equal(model.sample(3, seed=1), model.sample(3, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        latent = torch.cat([model.causal.draw(3), model.image.sample(3)], dim=1)
        torch.manual_seed(1)
        z = model.causal.draw(3, Intervention.of({0: 2.0}, latent[:, :4]))
        held = torch.cat([z, model.image.sample(3)], dim=1)
    assert torch.equal(held[:, [3, 4, 5]], latent[:, [3, 4, 5]])  # what do(a) does not reach, the style included


# --- the adversarial terms --------------------------------------------------------------------------------------------

F_OF: dict[Divergence, Callable[[Tensor], Tensor]] = {
    "kl": lambda r: r * r.log(),
    "rkl": lambda r: -r.log(),
    "js": lambda r: r * r.log() - (r + 1) * ((r + 1) / 2).log(),
    "hellinger": lambda r: (r.sqrt() - 1).square(),
    "chi2": lambda r: (r - 1).square(),
}
every_divergence = pytest.mark.parametrize("divergence", F_OF)


def curvature(divergence: Divergence, r: Tensor) -> Tensor:
    """f''(r), by differentiating f twice."""
    r = r.detach().requires_grad_()
    (slope,) = torch.autograd.grad(F_OF[divergence](r).sum(), r, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), r)
    return bend


@every_divergence
def test_the_scales_are_those_of_the_divergence(divergence: Divergence) -> None:
    logit = torch.linspace(-3, 3, 13, dtype=torch.float64, requires_grad=True)
    r = logit.detach().exp()
    (of_encoder,) = torch.autograd.grad(encoder_loss(logit, divergence, 1e9) * len(r), logit)
    (of_generator,) = torch.autograd.grad(-generator_loss(logit, divergence, 1e9) * len(r), logit)
    assert torch.allclose(of_encoder, r * curvature(divergence, r))
    assert torch.allclose(of_generator, r.square() * curvature(divergence, r))


@every_divergence
def test_the_losses_descend_the_divergence_of_two_gaussians(divergence: Divergence) -> None:
    """D_f(q, p) of q = N(m, 1) and p = N(0, 1), its gradient in m against the encoder's and the generator's."""
    grid = torch.linspace(-12, 12, 20001, dtype=torch.float64)
    p = Normal(torch.tensor(0.0, dtype=torch.float64), 1.0)

    def logit(x: Tensor, m: float) -> Tensor:
        return m * x - m * m / 2

    def divergence_of(m: float) -> float:
        return float(torch.trapezoid(p.log_prob(grid).exp() * F_OF[divergence](logit(grid, m).exp()), grid))

    m, step = 0.6, 1e-4
    truth = (divergence_of(m + step) - divergence_of(m - step)) / (2 * step)
    sample = p.icdf((torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000)
    shift = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (of_encoder,) = torch.autograd.grad(encoder_loss(logit(sample + m + shift, m), divergence, 1e9), shift)
    (of_generator,) = torch.autograd.grad(generator_loss(logit(sample + shift, m), divergence, 1e9), shift)
    assert float(of_encoder) == pytest.approx(truth, rel=0.01)
    assert float(of_generator) == pytest.approx(-truth, rel=0.01)  # p moves towards q: the distance m shrinks


@every_divergence
def test_the_discriminator_learns_the_log_ratio(divergence: Divergence) -> None:
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)  # of two pairs, "here" and "there"
    real, fake = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 1, 1])  # q is here 3 times of 4, p once

    def slope(at: Tensor) -> Tensor:
        return torch.autograd.grad(discriminator_loss(at[real], at[fake], divergence), at)[0]

    downhill = -slope(logits)
    assert downhill[0] > 0 > downhill[1]
    ratio = torch.tensor([math.log(3), -math.log(3)], dtype=torch.float64, requires_grad=True)
    assert slope(ratio).tolist() == pytest.approx([0, 0], abs=1e-12)


def test_the_clamp_bounds_the_scales_both_ways() -> None:
    logit = torch.tensor([-20.0, 20.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(2 * encoder_loss(logit, "rkl", 2.0), logit)
    assert gradient.tolist() == [2.0, 0.5]


# --- supervision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["binary", "categorical", "continuous"])
def test_supervision_is_zero_at_a_perfect_reading_and_nowhere_else(kind: str) -> None:
    causal = model_over(kind).causal
    latents = torch.randn(32, 4, generator=torch.Generator().manual_seed(0))
    if kind == "categorical":  # the surer of the right choice, the nearer to zero, which is never reached
        latents = causal.attributes.to_latent(torch.arange(32)[:, None].expand(32, 4) % 3).float()
        sure, wrong = ((causal.inputs.of(each) - 0.5) * 60 for each in (latents, latents.roll(1, 0)))
        assert float(supervision(sure, latents, causal.inputs)) == pytest.approx(0, abs=1e-5)
        assert float(supervision(wrong, latents, causal.inputs)) == pytest.approx(60 * 3 / 2**0.5)
        assert float(supervision(sure * 0, latents, causal.inputs)) == pytest.approx(math.log(causal.inputs.sizes[0]))
        return
    z = latents.clone().requires_grad_()
    loss = supervision(z, latents, causal.inputs)
    (gradient,) = torch.autograd.grad(loss, z)
    assert float(loss.detach()) == pytest.approx(0, abs=1e-5)
    assert float(gradient.abs().max()) < 1e-6
    for error in (-0.5, 0.5):
        assert float(supervision(latents + error, latents, causal.inputs)) > 0.1


@pytest.mark.parametrize("binary", [False, True])
def test_dependence_is_the_mean_square_of_what_the_attributes_tell(binary: bool) -> None:
    torch.manual_seed(0)
    latents = torch.randn(12_800, 3)
    latents = latents.sign() if binary else latents
    own = torch.randn(12_800, 2)
    told = torch.stack([0.6 * latents[:, 0], 0.8 * latents[:, 1] * latents[:, 2]], dim=1)
    for residual, expected in ((own, 0.0), (own + told, (0.36 + 0.64) / 2)):
        dependence = Dependence(latents, 2)
        batches = [dependence(*pair) for pair in zip(residual.split(16), latents.split(16), strict=True)]
        assert torch.stack(batches[300:]).mean() == pytest.approx(expected, abs=0.06)


def test_descending_dependence_forgets_the_attribute_and_keeps_the_rest() -> None:
    torch.manual_seed(0)
    latents, own = torch.randn(12_800, 2), torch.randn(12_800, 1)
    weights = nn.Parameter(torch.tensor([[1.0], [1.0]]))  # of the attribute in the residual, and of its own
    dependence, optimizer = Dependence(latents, 1), torch.optim.SGD([weights], lr=0.05)
    for told, mine in zip(latents.split(16), own.split(16), strict=True):
        optimizer.zero_grad()
        dependence(torch.cat([told[:, :1], mine], dim=1) @ weights, told).backward()
        optimizer.step()
    assert abs(float(weights[0])) < 0.1
    assert float(weights[1]) == pytest.approx(1, abs=0.15)


def test_rendered_data_is_what_the_truth_says() -> None:
    assert issubclass(Pendulum, RenderedData)
    data = Pendulum(n=60, size=32)
    noise = data.sample_noise(16, torch.Generator().manual_seed(0))
    both = data.values(noise, {"angle": 0.3, "length": 2.0})
    assert torch.equal(both[:, 0], torch.full((16,), 0.3))
    assert torch.equal(both[:, 2], torch.full((16,), 2.0))
    assert torch.equal(both[:, 1], data.values(noise, {})[:, 1])
    assert torch.equal(both[:, 3], data.values(noise, {"angle": 0.3})[:, 3])
