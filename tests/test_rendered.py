"""The drawn data: counterfactual laws, noise read back, attributes read off the picture, the published quirks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from ccigkit import testing
from ccigkit.component.registry import build
from ccigkit.data.drawn.digits import Digits
from ccigkit.data.drawn.faces import CONFOUNDED, SHORTCUT, Faces
from ccigkit.data.drawn.faces_drawing import ATTRIBUTES, IDENTITY
from ccigkit.data.drawn.flow import Flow
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.data.drawn.scene import Rendered
from ccigkit.errors import ConfigError
from ccigkit.interfaces import Split, SplitName

torch.set_num_threads(1)

KINDS = (Pendulum, Flow, Faces, Digits)
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def noise_for(data: Rendered, n: int = 40, seed: int = 1) -> Tensor:
    return data.sample_noise(n, torch.Generator().manual_seed(seed))


def changed(factual: Split, other: Split) -> Tensor:
    """Where any of the pictures differ, [size, size]."""
    return (factual.images != other.images).any(dim=1).any(dim=0)


# --- laws -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (Flow, {}),
        (Flow, {"noise": 0.0}),
        (Digits, {}),
        (Digits, {"slant": False}),
        (Pendulum, {"noise": 0.0}),
        (Faces, {"noise": 0.0}),
        (Faces, {"confounder": 0.7, "shortcut": 0.9}),
        (Faces, {"labels": "hard"}),
        (Faces, {"labels": "hard", "wrong": 0.2, "noise": 0.0}),
    ],
)
def test_every_variant_keeps_the_laws(kind: type[Rendered], options: dict[str, object]) -> None:
    testing.check(kind, n=60, size=32, **options)


@every_kind
@pytest.mark.parametrize("size", [32, 96, 256])
def test_any_size_is_drawn_and_a_null_counterfactual_is_the_sample(kind: type[Rendered], size: int) -> None:
    data = kind(n=10, size=size)  # type: ignore[call-arg]
    test = data.load("test")
    assert test.images.shape == (2, *data.image_shape)
    assert test.noise is not None
    again = kind(n=10, size=size).counterfactual(test.noise, {})  # type: ignore[call-arg]
    assert torch.equal(again.images, test.images)
    assert np.array_equal(again.values, test.values)


@every_kind
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_noise_is_recovered_exactly_from_a_sample(kind: type[Rendered], size: int, split: SplitName) -> None:
    data = kind(n=250, size=size)  # type: ignore[call-arg]
    sample = data.load(split)
    assert sample.noise is not None
    own = data.abduct(torch.as_tensor(sample.values)).to(sample.noise.dtype)
    assert torch.equal(own, sample.noise[:, : own.shape[1]])
    again = data.counterfactual(torch.cat([own, sample.noise[:, own.shape[1] :]], dim=1), {})
    assert torch.equal(again.images, sample.images)
    assert np.array_equal(again.values, sample.values)


@pytest.mark.parametrize("kind", [Pendulum, Flow, Faces, Digits])
def test_without_noise_the_effects_follow_from_their_causes(kind: type[Rendered]) -> None:
    data = kind(n=10, noise=0.0)  # type: ignore[call-arg]
    noise = noise_for(data)
    roots = {name: data.values(noise, {})[:, data.truth.index(name)] for name in data.truth.roots}
    if kind is Flow:  # what was poured stays free
        roots["height"] = data.values(noise, {})[:, data.truth.index("height")]
    other = noise_for(data, seed=2)
    assert torch.allclose(data.values(other, roots), data.values(noise, {}), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "name", "value", "kept"),
    [
        (Pendulum, "angle", 0.1, (slice(0, 16), slice(None))),  # the sun
        (Pendulum, "light", 1.0, (slice(30, 52), slice(31, 64))),  # the bob
        (Pendulum, "length", 9.0, (slice(0, 55), slice(None))),  # all above the ground
        (Pendulum, "position", 9.0, (slice(0, 55), slice(None))),
        (Flow, "flow", 3.0, (slice(None), slice(0, 25))),  # the cup
        (Flow, "hole", 4.0, (slice(None), slice(0, 25))),
        (Flow, "height", 4.0, (slice(46, 57), slice(5, 24))),  # the ball, under water all along
        (Faces, "Eyeglasses", 0.9, (slice(44, 64), slice(None))),  # from the mouth down
        (Faces, "Mouth_Slightly_Open", 0.9, (slice(0, 33), slice(None))),  # from the nose up
    ],
)
@pytest.mark.parametrize("size", [32, 64])
def test_a_do_leaves_alone_what_it_does_not_cause(
    kind: type[Rendered], name: str, value: float, kept: tuple[slice, slice], size: int
) -> None:
    data = kind(n=10, size=size)  # type: ignore[call-arg]
    noise = noise_for(data)
    factual, answer = data.counterfactual(noise, {}), data.counterfactual(noise, {name: value})
    where = changed(factual, answer)
    assert where.any()
    assert not where[*(slice(*(end and end * size // 64 for end in (s.start, s.stop))) for s in kept)].any()
    others = [j for j, other in enumerate(data.truth.names) if other not in {name, *data.truth.descendants(name)}]
    assert np.array_equal(answer.values[:, others], factual.values[:, others])


@pytest.mark.parametrize("size", [32, 64])
def test_a_do_on_the_intensity_leaves_the_strokes_where_they_are(size: int) -> None:
    data = Digits(n=10, size=size)
    noise = noise_for(data)
    factual, bright = data.counterfactual(noise, {}), data.counterfactual(noise, {"intensity": 250.0})
    ratio = (250 / torch.as_tensor(factual.values[:, 1]).float())[:, None, None, None]
    assert torch.allclose(bright.images.float(), factual.images.float() * ratio, atol=3)


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize(("name", "value"), [("digit", 4.0), ("slant", 0.3)])
def test_a_do_on_the_form_of_a_digit_leaves_its_brightness_and_width(size: int, name: str, value: float) -> None:
    data = Digits(n=10, size=size)
    noise = noise_for(data)
    factual, answer = (data.measure(data.counterfactual(noise, do).images) for do in ({}, {name: value}))
    assert torch.allclose(answer[:, 1], factual[:, 1], atol=1)
    assert torch.allclose(answer[:, 0], factual[:, 0], atol=0.7)


# --- what the picture tells -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "size", "tolerance"),
    [
        (Pendulum, 32, (0.01, 0.01, 0.3, 0.1)),
        (Pendulum, 64, (0.005, 0.005, 0.1, 0.05)),
        (Flow, 32, (0.05, 0.05, 0.1, 0.1)),
        (Flow, 64, (0.02, 0.03, 0.05, 0.05)),
        (Digits, 32, (0.7, 1.0, 0.0, 0.2)),
        (Digits, 64, (0.7, 1.0, 0.0, 0.2)),
    ],
)
def test_geometry_tells_the_attributes(kind: type[Rendered], size: int, tolerance: Sequence[float]) -> None:
    data = kind(n=300, size=size)  # type: ignore[call-arg]
    split = data.load("train")
    error = (data.measure(split.images).double() - torch.as_tensor(split.values)).abs()
    assert error.isnan().any(dim=1).float().mean() < 0.02  # a shadow that leaves the picture is not measured
    assert (error.nan_to_num().amax(dim=0) <= torch.tensor(tolerance)).all(), error.nan_to_num().amax(dim=0)


def test_geometry_tells_a_counterfactual_too() -> None:
    data = Flow(n=10)
    answer = data.counterfactual(noise_for(data), {"height": 4.5})
    measured = data.measure(answer.images)
    assert torch.allclose(measured.double(), torch.as_tensor(answer.values), atol=0.06)


def test_faces_cannot_be_measured_and_say_so() -> None:
    with pytest.raises(ConfigError, match="faces cannot be measured"):
        Faces(n=10).measure(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


# --- the published data -----------------------------------------------------------------------------------------------


def test_the_published_pendulum_has_its_quirks() -> None:
    data = Pendulum(size=32, legacy=True)
    assert (len(data.load("train")), len(data.load("test"))) == (5482, 1826)
    values = np.concatenate([data.load("train").values, data.load("test").values])
    assert (values == np.trunc(values)).all()
    assert values.min(axis=0).tolist() == [-40, 60, 3, 2]
    assert values.max(axis=0).tolist() == [43, 147, 12, 19]
    light, angle = values[:, 1] * math.pi / 200, values[:, 0] * math.pi / 200
    exact = 9.5 * np.abs(np.sin(angle) + np.cos(angle) / np.tan(light))
    assert (exact <= 3).sum() == 2894  # as many lengths are the clamp's
    assert not (values[:, 1] == 100).any()


def test_the_published_flow_has_its_quirks() -> None:
    data = Flow(size=32, legacy=True)
    train, test = ({tuple(row) for row in data.load(split).values.tolist()} for split in ("train", "test"))
    assert (len(data.load("train")), len(data.load("test"))) == (5254, 1620)
    assert (len(train), len(test), len(train & test), len(train | test)) == (5254, 1620, 824, 6050)


@pytest.mark.parametrize("kind", [Pendulum, Flow])
def test_published_data_answer_do_too(kind: type[Rendered]) -> None:
    data = kind(size=64, legacy=True)  # type: ignore[call-arg]
    noise = noise_for(data, 60)
    factual = data.counterfactual(noise, {})
    assert torch.equal(data.counterfactual(noise, {}).images, factual.images)
    for attribute in data.table().attributes:
        value = round(attribute.low + 0.7 * (attribute.high - attribute.low))
        answer = data.counterfactual(noise, {attribute.name: float(value)})
        reached = {attribute.name, *data.truth.descendants(attribute.name)}
        for j, name in enumerate(data.truth.names):
            assert np.array_equal(answer.values[:, j], factual.values[:, j]) == (name not in reached)
        assert changed(factual, answer).any()


@pytest.mark.parametrize(("kind", "tolerance"), [(Pendulum, (1.0, 0.2, 0.4, 0.3)), (Flow, (1.0, 0.3, 0.7, 1.5))])
def test_geometry_tells_the_published_attributes(kind: type[Rendered], tolerance: Sequence[float]) -> None:
    """Within the fractions that the labels lack: the picture shows them."""
    data = kind(size=96, legacy=True)  # type: ignore[call-arg]
    noise = noise_for(data, 200)
    split = data.counterfactual(noise, {})
    above = data.measure(split.images).double() - torch.as_tensor(split.values)
    cut = torch.tensor([0, 0, 1, 1] if kind is Pendulum else [0, 1, 0, 1])
    assert (above.nan_to_num() >= -torch.tensor(tolerance)).all()
    assert (above.nan_to_num() <= cut + torch.tensor(tolerance)).all()


# --- faces for robustness studies -------------------------------------------------------------------------------------


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def test_a_hidden_cause_correlates_two_attributes_and_no_others() -> None:
    plain, hidden = Faces(n=4000), Faces(n=4000, confounder=0.7)
    a, b = (ATTRIBUTES.index(name) for name in CONFOUNDED)
    assert abs(correlation(*plain.table().latents[:, [a, b]].T)) < 0.05
    assert correlation(*hidden.table().latents[:, [a, b]].T) > 0.3
    others = [j for j in range(len(ATTRIBUTES)) if j not in (a, b)]
    assert np.array_equal(hidden.table().values[:, others], plain.table().values[:, others])
    noise = noise_for(hidden)
    answer = hidden.counterfactual(noise, {CONFOUNDED[0]: 0.9})
    assert np.array_equal(answer.values[:, b], hidden.counterfactual(noise, {}).values[:, b])


def test_a_shortcut_is_in_the_training_images_alone() -> None:
    data = Faces(n=4000, size=16, shortcut=0.9)
    background = len(ATTRIBUTES) + IDENTITY.index("background")
    smiling = ATTRIBUTES.index(SHORTCUT)
    for split, expected in (("train", 0.9), ("test", 0.0)):
        noise = data._noise(split)  # type: ignore[arg-type]
        warm = (noise[:, background] > 0.5).double().numpy()
        assert abs(correlation(warm, (noise[:, smiling] > 0).double().numpy()) - expected) < 0.08
        assert ((noise[:, background] >= 0) & (noise[:, background] <= 1)).all()
    assert np.array_equal(data.table().values, Faces(n=4000, size=16).table().values)


@pytest.mark.parametrize("options", [{"confounder": 1.5}, {"shortcut": -0.1}, {"noise": -1.0}, {"n": 5}, {"size": 8}])
def test_an_impossible_option_is_refused_with_its_value(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}={next(iter(options.values())):g}"):
        build("data", {"name": "faces", **options}, {})


# --- labels alone -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", ["train", "test"])
def test_hard_labels_are_said_of_the_same_pictures(split: SplitName) -> None:
    degrees, labels = Faces(n=100, size=32).load(split), Faces(n=100, size=32, labels="hard").load(split)
    assert torch.equal(degrees.images, labels.images)
    assert np.array_equal(labels.values, degrees.values > 0.5)


def test_hard_labels_are_seen_as_labels_and_degrees_stay_at_hand() -> None:
    data = Faces(n=100, size=32, labels="hard")
    test = data.load("test")
    assert test.noise is not None
    assert all(attribute.labelled for attribute in data.table().attributes)
    assert np.array_equal(data.degrees(test.noise, {}) > 0.5, test.values)
    assert data.degrees(test.noise, {}).unique().numel() > 200


def test_the_wrong_labels_are_as_many_as_asked_for_and_the_truth_has_none() -> None:
    data = Faces(n=6000, size=32, labels="hard", wrong=0.05)
    noise = data.sample_noise(6000, torch.Generator().manual_seed(0))  # that of the training split
    right = data.values(noise, {}).numpy()
    wrong = data.table().values != right
    assert wrong.mean() == pytest.approx(0.05, abs=0.003)
    assert np.abs(np.corrcoef(wrong.T) - np.eye(11)).max() < 0.06  # each by itself
    test = Faces(n=100, size=32, labels="hard", wrong=0.2).load("test")
    assert test.noise is not None
    assert (test.values != data.values(test.noise, {}).numpy()).any()


def test_a_label_that_is_set_means_its_typical_degree() -> None:
    data = Faces(n=500, size=32, labels="hard", wrong=0.3)
    noise = data.sample_noise(500, torch.Generator().manual_seed(0))
    hidden = data.degrees(noise, {})
    for j, attribute in enumerate(data.table().attributes):
        for label in (0, 1):
            median = hidden[(hidden[:, j] > 0.5) == label, j].median()
            assert data.typical(attribute)[label] == pytest.approx(float(median), abs=1e-5)
            held = data.degrees(noise, {attribute.name: torch.full((500,), label)})[:, j]  # codes, as a model is asked
            assert torch.allclose(held, median)
            assert (data.values(noise, {attribute.name: float(label)})[:, j] == label).all()


@pytest.mark.parametrize(
    ("options", "named"), [({"wrong": 0.1}, "data.labels=hard"), ({"labels": "hard", "wrong": 0.5}, "0.5")]
)
def test_impossible_shares_of_wrong_labels_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        build("data", {"name": "faces", "n": 100, "size": 32, **options}, {})
