"""Metrics: the values they must have where the truth is known, on models that are perfect, idle or wrong."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
import torch

from ccigkit import evaluation, testing
from ccigkit.attributes import Attribute, Attributes, Table
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.component.options import Count, Role, options_of, resolve
from ccigkit.component.plugins import Plugin
from ccigkit.component.registry import Choice, Registry, registry
from ccigkit.data.drawn.faces import Faces
from ccigkit.data.drawn.faces_drawing import IDENTITY
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import ConfigError, DataError
from ccigkit.evaluation.measure import families
from ccigkit.graph import CausalGraph
from ccigkit.interfaces import DataModule, Metric, RenderedData, Row, Split, SplitName
from ccigkit.metrics.cdm import CDM, bounds
from ccigkit.metrics.cycles import Composition, Reversibility
from ccigkit.metrics.disentanglement import Disentanglement
from ccigkit.metrics.distribution import Distribution
from ccigkit.metrics.do_table import DoTable, compare
from ccigkit.metrics.downstream import Downstream, shortcut, worst_group
from ccigkit.metrics.effectiveness import Effectiveness
from ccigkit.metrics.graphs import Graphs
from ccigkit.metrics.minimality import Minimality
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric
from ccigkit.metrics.protocol.distances import frechet
from ccigkit.metrics.readers.predictor import ReadsPictures
from ccigkit.metrics.realism import Realism, look
from ccigkit.metrics.truth import Truth
from tests.outside import Oracle, Unchanging

STEPS = 150


@pytest.fixture(scope="module", autouse=True)
def _one_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One cache for this file, so that its predictors are trained once; and no way out to the network."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a metric opened a socket")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        for door in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, door, refuse)
        for door in ("create_connection", "getaddrinfo"):
            patch.setattr(socket, door, refuse)
        yield


@pytest.fixture(scope="module")
def pendulum() -> Pendulum:
    return Pendulum(n=600, size=32)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return Faces(n=300, size=32)


def by(rows: list[Row], **wanted: object) -> Row:
    """The one row with these entries."""
    found = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    assert len(found) == 1, f"{len(found)} rows with {wanted}"
    return found[0]


def average(rows: list[Row], column: str, who: str = "model") -> float:
    """The mean of a column over the rows that have it (a leaf has no effects to be wrong about)."""
    values = [float(row[column]) for row in rows if row["row"] == who]
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there)


@pytest.mark.parametrize("metric", [Composition(n=24, cycles=10), Reversibility(n=24, cycles=10)])
def test_who_changes_nothing_comes_back_exactly(metric: Metric, pendulum: Pendulum) -> None:
    rows = metric.measure(Unchanging(pendulum), pendulum)
    for cycles in (1.0, 10.0):
        for who in ("model", "identity"):
            row = by(rows, row=who, cycles=cycles)
            assert (row["l1"], row["psnr"]) == (0, 100)
            assert row["ssim"] == pytest.approx(1)
    assert by(rows, row="oracle")["l1"] == 0
    assert float(by(rows, row="resample")["l1"]) > 1


def test_the_truth_about_a_label_comes_back_as_a_label(faces: Faces) -> None:
    rows = Reversibility(n=22, cycles=1).measure(Unchanging(faces), faces)
    assert 0 < float(by(rows, row="oracle")["l1"]) < float(by(rows, row="resample")["l1"])


def test_changing_nothing_diverges_by_0_2954(pendulum: Pendulum) -> None:
    rows = Minimality(n=40, predictor_steps=STEPS, vae_steps=30).measure(Unchanging(pendulum), pendulum)
    for row in rows:
        if row["row"] in ("model", "identity"):
            assert row["cld"] == pytest.approx(0.2954, abs=1e-4)
            assert row["invariance"] == 0


@pytest.mark.parametrize("name", ["pendulum", "faces"])
def test_the_oracle_is_never_wrong(name: str, request: pytest.FixtureRequest) -> None:
    data: RenderedData = request.getfixturevalue(name)
    rows = Truth(n=44, predictor_steps=STEPS).measure(Oracle(data), data)
    for row in rows:
        if row["row"] in ("model", "oracle"):
            assert (row["l1"], row["changed"], row["unchanged"], row["psnr"], row["skill"]) == (0, 0, 0, 100, 1)
        if row["row"] == "identity":
            assert (row["unchanged"], row["skill"]) == (0, 0)
            assert float(row["changed"]) > 0


class Noisy(Oracle):
    """An oracle whose wrong answers are no pictures at all."""

    def __init__(self, data: RenderedData, wrong: float) -> None:
        super().__init__(data)
        self.share = wrong

    def predict(self, codes: Any, do: Any) -> Any:
        generator = torch.Generator().manual_seed(2)
        lots = torch.rand(len(self.noise), generator=generator)[codes.rows]
        right = super().predict(codes, do)
        return torch.where((lots < self.share)[:, None, None, None], torch.rand(right.shape) * 2 - 1, right)


SWEEPS = {  # which way each column goes as more answers are wrong
    "truth": (
        Truth(n=120, predictor_steps=STEPS),
        {"l1": 1, "changed": 1, "unchanged": 1, "psnr": -1, "ssim": -1, "skill": -1, "attributes": 1, "measured": 1},
    ),
    "minimality": (Minimality(n=120, predictor_steps=STEPS, vae_steps=100), {"cld": 1, "invariance": 1}),
    "effectiveness": (Effectiveness(n=120, predictor_steps=STEPS), {"mae": 1}),
    "composition": (Composition(n=60, cycles=1), {"l1": 1, "psnr": -1, "ssim": -1}),
    "reversibility": (Reversibility(n=60, cycles=1), {"l1": 1, "psnr": -1, "ssim": -1}),
    "do_table": (
        DoTable(n=40, predictor_steps=STEPS),
        {"intended": 1, "descendants": 1, "others": 1, "skill": -1},
    ),
    "cdm": (CDM(n=60, predictor_steps=STEPS), {"itself_lower": -1, "itself_upper": -1, "effects_upper": -1}),
}


def assert_worse(rows: list[list[Row]], better: dict[str, int]) -> None:
    """Column by column, with more wrong answers, the model does worse and the controls do the same."""
    for column, sign in better.items():
        values = [sign * average(found, column) for found in rows]
        assert values == sorted(values), f"{column}: {values}"
        assert values[0] < values[-1]
        controls = [average(found, column, "identity") for found in rows]
        assert len(set(controls)) == 1, "controls do not depend on the model"


@pytest.mark.parametrize("name", SWEEPS)
def test_more_wrong_answers_score_worse(name: str, pendulum: Pendulum) -> None:
    metric, better = SWEEPS[name]
    assert_worse([metric.measure(Oracle(pendulum, wrong), pendulum) for wrong in (0.0, 0.25, 0.5, 0.75, 1.0)], better)


def test_more_wrong_answers_have_fewer_labels_right(faces: Faces) -> None:
    metric = Effectiveness(n=66, predictor_steps=STEPS)
    rows = [metric.measure(Oracle(faces, wrong), faces) for wrong in (0.0, 0.5, 1.0)]
    itself = [[row for row in found if row["do"] == row["attribute"]] for found in rows]
    assert_worse(itself, {"accuracy": -1})


def test_more_answers_that_are_no_pictures_are_less_real(pendulum: Pendulum) -> None:
    metric = Realism(n=100, references=100, predictor_steps=STEPS)
    rows = [metric.measure(Noisy(pendulum, wrong), pendulum) for wrong in (0.0, 0.5, 1.0)]
    assert_worse([[row for row in found if row["do"] == "each"] for found in rows], {"fd": 1, "kid": 1})


def test_effectiveness_is_pooled_and_says_what_its_reader_can(faces: Faces) -> None:
    rows = Effectiveness(n=60, predictor_steps=STEPS).measure(Oracle(faces), faces)
    for attribute in faces.attributes:
        reader = by(rows, attribute=attribute.name, row="predictor")
        assert 0 <= float(reader["accuracy"]) <= 1
        asked = [by(rows, attribute=attribute.name, do=attribute.name, row=who) for who in ("model", "oracle")]
        assert asked[0]["mae"] == asked[1]["mae"], "the oracle's row is the oracle's"
        assert by(rows, attribute=attribute.name, do="another", row="model")["mae"] >= 0


def test_sampling_from_the_truth_is_as_near_as_another_sample(pendulum: Pendulum) -> None:
    metric = Distribution(n=60, predictor_steps=STEPS)
    right, wrong = (metric.measure(model(pendulum), pendulum) for model in (Oracle, Unchanging))
    assert {row["do"] for row in right} == {row["do"] for row in wrong}
    for column in ("mmd", "energy", "tvd"):
        noise = average(right, column, "oracle")
        share = 1.0 if column == "tvd" else 0.5  # a histogram of sixty readings is mostly noise
        assert average(right, column) < share * average(wrong, column)
        assert average(right, column) < noise + 0.3 * average(wrong, column)
        assert average(wrong, column, "oracle") == noise


def test_realism_needs_no_network_and_finds_strangers(pendulum: Pendulum) -> None:
    rows = Realism(n=100, references=300, predictor_steps=STEPS).measure(Unchanging(pendulum), pendulum)
    fresh, real = (by(rows, do="nothing", row=who) for who in ("model", "identity"))
    assert float(fresh["fd"]) < 3 * float(real["fd"]), "a sample of the truth is as real as real images"
    noisy = Unchanging(pendulum)
    noisy.sample = lambda n, do=None, *, seed=None: torch.rand(n, 3, 32, 32) * 2 - 1  # type: ignore[method-assign]
    rows = Realism(n=100, references=300, predictor_steps=STEPS).measure(noisy, pendulum)
    for column in ("fd", "kid"):
        assert float(by(rows, do="nothing", row="model")[column]) > 10 * float(fresh[column])


def test_a_sample_is_no_distance_from_itself(pendulum: Pendulum) -> None:
    features = look(Realism(predictor_steps=STEPS).extractor(pendulum), pendulum.load("test").images)
    assert abs(frechet(features, features)) < 1e-3


class Brighter(Unchanging):
    """A model that makes every picture brighter, by one level of 255, whenever it is asked."""

    def predict(self, codes: Any, do: Any) -> Any:
        return codes + 1 / 127.5


def test_composition_and_reversibility_by_hand(pendulum: Pendulum) -> None:
    for metric, asked in ((Composition(n=8), 1), (Reversibility(n=8), 2)):
        rows = metric.measure(Brighter(pendulum), pendulum)
        for cycles in (1, 10):
            row = by(rows, row="model", cycles=float(cycles))
            assert row["l1"] == pytest.approx(asked * cycles, rel=1e-4)
            assert row["psnr"] == pytest.approx(20 * math.log10(255 / (asked * cycles)), rel=1e-4)


def test_the_tables_of_effectiveness_and_truth_by_hand(pendulum: Pendulum) -> None:
    nan = math.nan
    read = torch.tensor([[1.0, 0, 0, 0], [2.0, 0, 0, 0], [4.0, 0, 0, 0]])
    wanted = torch.tensor([[0.0, 0, 0, 0], [4.0, 0, 0, 0], [nan, 0, 0, 0]])
    scores = {("angle", "model"): {"read": read[:2], "wanted": wanted[:2]}}
    scores["light", "model"] = {"read": read, "wanted": wanted}
    rows = list(Effectiveness().rows(scores, pendulum))
    assert by(rows, attribute="angle", do="angle")["mae"] == 1.5
    assert by(rows, attribute="angle", do="another")["mae"] == 1.5, "what is not known is left out"
    found = {"l1": torch.tensor([1.0, 3.0]), "mse": torch.tensor([0.1, 0.3]), "still": torch.tensor([0.4, 0.4])}
    [row] = Truth().rows({("angle", "model"): found}, pendulum)
    assert row == {"do": "angle", "row": "model", "l1": 2, "skill": pytest.approx(0.5)}


def test_the_do_table_by_hand(pendulum: Pendulum) -> None:
    attributes = Attributes(
        [Attribute("a", "continuous", high=2.0), Attribute("b", "binary"), Attribute("c", "binary")]
    )
    found = {
        "read": torch.tensor([[1.0, 0.9, 0.2], [2.0, 0.4, 0.8]]),
        "before": torch.tensor([[0.0, 0.9, 0.2], [0.0, 0.9, 0.4]]),
        "wanted": torch.tensor([[1.0, 1.0, 0.2], [1.0, 1.0, 0.4]]),
        "mse": torch.tensor([1.0, 2.0]),
        "still": torch.tensor([3.0, 3.0]),
    }
    row = compare("a", "model", attributes, CausalGraph.from_edges(("a", "b", "c"), ["a -> b"]), found)
    assert row["intended"] == pytest.approx(25), "off by 0 and by 1 of 2"
    assert math.isnan(float(row["agreement"])), "a number has no label"
    assert (row["descendants"], row["descendants_agreement"]) == (pytest.approx(35), 50)
    assert (row["others"], row["others_agreement"]) == (pytest.approx(20), 50)
    assert row["skill"] == pytest.approx(0.5)


def test_both_bounds_by_hand() -> None:
    change = torch.tensor([[1.0, 0.5, 0.1], [1.0, -0.5, 0.3]])
    found = bounds(change, {"itself": [0], "effects": [1], "others": [1, 2], "none": []})
    assert (found["itself_lower"], found["itself_upper"]) == (1, 1)
    assert (found["effects_lower"], found["effects_upper"]) == (0, 0.5), "movements that cancel"
    assert (found["others_lower"], found["others_upper"]) == (pytest.approx(0.1), pytest.approx(0.35))
    assert math.isnan(found["none_lower"])


def test_only_effects_move_from_end_to_end(pendulum: Pendulum) -> None:
    rows = CDM(n=40, predictor_steps=STEPS).measure(Oracle(pendulum), pendulum)
    for do in ("angle", "light", "length", "position"):
        model, oracle, idle = (by(rows, do=do, row=who) for who in ("model", "oracle", "identity"))
        assert str(model | {"row": ""}) == str(oracle | {"row": ""})
        assert float(model["itself_upper"]) > 0.3 > 0.0 == idle["itself_upper"]


def test_a_shortcut_is_found_where_there_is_one() -> None:
    smiling = 2
    plain, lured = (Faces(n=2000, size=32, shortcut=strength) for strength in (0.0, 0.9))
    assert shortcut(plain.load("train"), plain.load("test"), smiling).shape == (400, 0)
    test = lured.load("test")
    side = shortcut(lured.load("train"), test, smiling)
    assert test.noise is not None
    background = test.noise[:, len(lured.attributes) + IDENTITY.index("background")]
    assert torch.equal(side[:, 0], background > background.median())


# --- what a metric refuses --------------------------------------------------------------------------------------------


class Folder(DataModule):
    """Pictures of a pendulum of which nobody knows how they were drawn."""

    name = "folder"

    def __init__(self, *, n: int, size: int) -> None:
        self.drawn = Pendulum(n=n, size=size)
        self.attributes, self.image_shape = self.drawn.attributes, self.drawn.image_shape

    def load(self, split: SplitName) -> Split:
        found = self.drawn.load(split)
        return Split(found.images, found.values)


def test_where_nobody_knows_the_truth_metrics_say_so_or_do_without() -> None:
    data = Folder(n=100, size=32)
    model = Unchanging(Pendulum(n=100, size=32))
    with pytest.raises(DataError, match="truth needs data with known counterfactuals"):
        Truth(n=8).measure(model, data)
    rows = Effectiveness(n=16, predictor_steps=2).measure(model, data)
    assert "oracle" not in {row["row"] for row in rows}
    assert math.isfinite(float(by(rows, attribute="angle", do="angle", row="model")["mae"]))
    assert math.isnan(float(by(rows, attribute="angle", do="another", row="model")["mae"])), "without a graph, unknown"
    assert Composition(n=8, cycles=1).measure(model, data)


def test_a_model_that_gives_no_images_is_told_so_in_a_line(pendulum: Pendulum) -> None:
    class Wrong(Unchanging):
        def predict(self, codes: Any, do: Any) -> Any:
            return codes[:, :1]

    class Broken(Unchanging):
        def predict(self, codes: Any, do: Any) -> Any:
            return codes * torch.nan

    class Empty(Unchanging):
        def sample(self, n: int, do: Any = None, *, seed: Any = None) -> Any:
            return None

    with pytest.raises(DataError, match=r"Empty gave a NoneType instead of images \[16, 3, 32, 32\]"):
        Realism(n=16, predictor_steps=STEPS).measure(Empty(pendulum), pendulum)
    with pytest.raises(DataError, match=r"Wrong gave images of shape \[.*, 1, 32, 32\] instead of \[.*, 3, 32, 32\]"):
        Composition(n=8).measure(Wrong(pendulum), pendulum)
    with pytest.raises(DataError, match="Broken gave images with pixels that are not finite numbers"):
        Composition(n=8).measure(Broken(pendulum), pendulum)


def test_data_that_cannot_be_measured_say_so_in_a_line(pendulum: Pendulum) -> None:
    class Constant(Pendulum):
        def load(self, split: Any) -> Any:
            found = super().load(split)
            values = found.values.copy()
            values[:, 1] = 0.5
            return type(found)(found.images, values, found.noise)

        def table(self) -> Any:
            return Table.fit(self.attributes, self.load("train").values, self.truth)

    with pytest.raises(DataError, match="attribute light is constant"):
        Effectiveness(predictor_steps=2).measure(Unchanging(pendulum), Constant(n=100, size=32))
    for metric in (DoTable(), Distribution(), Graphs()):
        with pytest.raises(DataError, match=rf"{metric.name} (needs|asks) "):
            metric.measure(Unchanging(pendulum), Folder(n=100, size=32))


def test_a_model_that_reads_labels_is_given_them(pendulum: Pendulum) -> None:
    class Labelled(Unchanging):
        def abduct(self, image: Any, attributes: Any = None) -> Any:
            assert attributes.shape == (len(image), 4)
            return image

    assert Composition(n=8).measure(Labelled(pendulum), pendulum)


def test_metrics_that_ask_the_same_share_the_answers(pendulum: Pendulum) -> None:
    class Counting(Oracle):
        asked = 0

        def predict(self, codes: Any, do: Any) -> Any:
            self.asked += 1
            return super().predict(codes, do)

    metrics = [
        Truth(n=24, predictor_steps=STEPS),
        Effectiveness(n=24, predictor_steps=STEPS),
        Minimality(n=24, predictor_steps=STEPS, vae_steps=30),
        Realism(n=24, references=50, predictor_steps=STEPS),
        Truth(n=12, predictor_steps=STEPS),
    ]
    model = Counting(pendulum)
    alone = [metric.measure(model, pendulum) for metric in metrics]
    separately, model.asked = model.asked, 0
    together = CounterfactualMetric.measure_together(metrics, model, pendulum)
    assert model.asked == 2 * separately / 5, "two kinds of questions for five metrics"
    for a, b in zip(alone, together, strict=True):
        assert str(a) == str(b)
    reasons = CounterfactualMetric.measure_together(metrics[:2], Unchanging(pendulum), Folder(n=100, size=32))
    assert isinstance(reasons[0], DataError)
    assert isinstance(reasons[1], list)


class Shortcut(RenderedData):
    """A faint mark that, of the pictures to learn from, exactly the bright ones have; of the test images, any."""

    name = "shortcut"
    attributes = (Attribute("bright", "binary"), Attribute("mark", "binary"))
    image_shape = (1, 32, 32)
    truth = CausalGraph.from_edges(("bright", "mark"), ["bright -> mark"])

    def load(self, split: SplitName) -> Split:
        noise = self.sample_noise(200, torch.Generator().manual_seed(int(split == "test")))
        noise[:, 1] *= 1.0 if split == "test" else 0.5  # above a half, the mark is where it is dark
        return self.counterfactual(noise, {})

    def sample_noise(self, n: int, generator: torch.Generator) -> Any:
        return torch.rand(n, 2, generator=generator)

    def values(self, noise: Any, do: Any) -> Any:
        bright = torch.as_tensor(do.get("bright", (noise[:, 0] > 0.5).float())).expand(len(noise))
        follows = torch.where(noise[:, 1] > 0.5, 1 - bright, bright)
        return torch.stack([bright, torch.as_tensor(do.get("mark", follows)).expand(len(noise))], dim=1)

    def draw(self, values: Any, noise: Any) -> Any:
        images = (60 + 120 * values[:, 0])[:, None, None, None].repeat(1, 1, 32, 32)
        images[:, :, 8:24, 8:24] += 25 * values[:, 1, None, None, None]
        return images.to(torch.uint8)


def test_a_classifier_gains_by_true_counterfactuals() -> None:
    data = Shortcut()
    rows = Downstream(target="mark", n=64, steps=15).measure(Unchanging(data), data)
    idle, taught = (by(rows, row=who, images=64.0) for who in ("identity", "oracle"))
    assert float(taught["worst"]) > float(idle["worst"]) + 0.3, "counterfactuals part the mark from the brightness"
    assert float(taught["accuracy"]) > float(idle["accuracy"]) + 0.1
    wrong = by(rows, row="model", images=64.0)
    assert float(wrong["accuracy"]) < float(taught["accuracy"]), "the same pictures under both labels teach nothing"


def test_downstream_asks_everybody_and_leaves_out_small_groups(faces: Faces) -> None:
    rows = Downstream(target="Young", n=60, steps=2).measure(Unchanging(faces), faces)
    assert {row["images"] for row in rows} == {6.0, 60.0}
    assert {row["row"] for row in rows} == {"model", "no graph", "identity", "resample", "oracle"}
    assert all(math.isnan(float(row["shift"])) for row in rows), "these images hold no shortcut"
    right = torch.tensor([True, True, False, True] * 20)
    label, other = torch.tensor([True, True, False, False] * 20), torch.tensor([True, False, True, False] * 20)
    assert worst_group(right, label, other[:, None]) == 0
    assert worst_group(right, label, label[:, None]) == 0.5
    assert math.isnan(worst_group(right[:8], label[:8], other[:8, None])), "too few to tell"


def test_downstream_refuses_what_it_cannot_classify(pendulum: Pendulum, faces: Faces) -> None:
    with pytest.raises(DataError, match="downstream classifies a binary attribute, and pendulum has none"):
        Downstream().measure(Unchanging(pendulum), pendulum)
    with pytest.raises(ConfigError, match="did you mean 'Young'"):
        Downstream(target="Yuong").measure(Unchanging(faces), faces)


# --- what a model can do besides --------------------------------------------------------------------------------------


class Sketching(Unchanging):
    """A model from outside that can leave the detail out, and hold what it sees; its drawings are black."""

    def __init__(self, data: RenderedData) -> None:
        super().__init__(data)
        self.held: list[tuple[str, ...]] = []

    def predict(self, codes: Any, do: Any, *, detail: bool = True, hold: Any = ()) -> Any:
        self.held.append(tuple(hold))
        return codes if detail else torch.full_like(codes, -1)


def test_whoever_can_draw_alone_has_a_row_of_it(pendulum: Pendulum) -> None:
    for metric in (Composition(n=8, cycles=1), DoTable(n=8, predictor_steps=STEPS)):
        for model, there in ((Sketching(pendulum), True), (Unchanging(pendulum), False)):
            assert ("drawn" in {row["row"] for row in metric.measure(model, pendulum)}) == there
    rows = Composition(n=8, cycles=1).measure(Sketching(pendulum), pendulum)
    assert by(rows, row="model")["l1"] == 0 < float(by(rows, row="drawn")["l1"])


def test_whoever_can_hold_is_asked_to_and_any_other_is_told_the_labels(pendulum: Pendulum) -> None:
    class Listening(Unchanging):
        told: ClassVar[set[tuple[str, ...]]] = set()

        def predict(self, codes: Any, do: Any) -> Any:
            self.told.add(tuple(do))
            return codes

    names = pendulum.table().attributes.names
    able, other = Sketching(pendulum), Listening(pendulum)
    for model in (able, other):
        Truth(n=8, predictor_steps=STEPS).measure(model, pendulum)
    assert set(able.held) == {(), names}
    assert {len(do) for do in other.told} == {1, len(names)}


class Latent(Unchanging):
    """A model from outside that shows its latents: the attributes z and a style of three numbers, as grey bands."""

    def __init__(self, data: RenderedData) -> None:
        super().__init__(data)
        ours, _ = testing.toy_model(data.image_shape, data.table())
        self.causal = ours.causal

    def abduct(self, image: Any) -> Any:
        class Codes:
            z, style = image.flatten(1)[:, 400:404], image.flatten(1)[:, 600:603]

        return Codes()

    def render(self, z: Any, style: Any) -> Any:
        bands = torch.cat([z, style], dim=1).tanh()
        return bands[:, None, :, None].repeat_interleave(5, dim=2)[:, :, :32].expand(-1, 3, -1, 32)

    def predict(self, codes: Any, do: Any) -> Any:
        return self.render(codes.z, codes.style)


def test_whoever_shows_latents_is_measured_for_them(pendulum: Pendulum) -> None:
    rows = Disentanglement(n=60, generated=8, predictor_steps=STEPS).measure(Latent(pendulum), pendulum)
    assert {row["row"] for row in rows} == {"model", "oracle", "shuffled"}
    assert math.isfinite(float(by(rows, row="model")["cg"]))

    class Deep(Latent):
        def abduct(self, image: Any) -> Any:
            codes = super().abduct(image)
            codes.style = [codes.style]
            return codes

    with pytest.raises(DataError, match="needs a style that is a vector, and that of Deep is none"):
        Disentanglement(n=60).measure(Deep(pendulum), pendulum)


# --- what every metric says of itself ---------------------------------------------------------------------------------

METRICS = [component for component in registry() if issubclass(component, Metric)]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_number_that_is_asked_of_a_user_is_held_to_its_bounds(metric: type[Metric]) -> None:
    for name, option in options_of(metric).items():
        if isinstance(option.default, int) and option.role is not Role.SEED:
            assert option.range.startswith("at least "), f"{metric.name}.{name}"
            with pytest.raises(ConfigError, match=f"{metric.name}.{name}=0 must be at least"):
                Choice.of("metric", {"name": metric.name, name: 0}, metric.name)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_who_reads_with_the_predictor_says_so(metric: type[Metric]) -> None:
    assert issubclass(metric, ReadsPictures) == ("predictor_steps" in options_of(metric))


def test_metrics_are_measured_together_if_they_are_of_one_family() -> None:
    class Alone(Metric):
        name = "alone"

        def measure(self, model: Any, data: Any) -> list[Row]:
            return []

    chosen: list[tuple[Metric, dict[str, Any]]] = [(m, {}) for m in (Truth(), Alone(), Effectiveness(), Alone())]
    assert [[metric.name for metric, _ in group] for group in families(chosen)] == [
        ["truth", "effectiveness"], ["alone"], ["alone"],
    ]  # fmt: skip


def test_a_metric_that_only_ever_refuses_breaks_the_contract() -> None:
    class Refusing(Metric):
        """One that no data is good enough for."""

        name = "refusing"

        def measure(self, model: Any, data: Any) -> list[Row]:
            raise DataError("not these data")

    with pytest.raises(AssertionError, match=r"a metric answers where all is there that one may need, not: not these"):
        testing.check(Refusing)


def test_an_scm_that_loses_its_options_breaks_the_contract() -> None:
    class Losing(LinearSCM):
        """One that cannot be built again as it was."""

        name = "losing"

        def __init__(self, size: int, *, width: Count = 3) -> None:
            super().__init__(size)

    with pytest.raises(AssertionError, match="an SCM keeps its options by their names"):
        testing.check(Losing)


class Renamed(Metric):
    """One that was called otherwise, and whose option was."""

    name = "renamed"
    former_names = ("formerly",)
    former: ClassVar = {"number": "n"}

    def __init__(self, *, n: Count = 3) -> None:
        self.n = n

    def measure(self, model: Any, data: Any) -> list[Row]:
        return []


def test_former_names_go_on_working_and_say_so() -> None:
    found = Registry(kinds={"metric": Metric})
    found.add(Plugin("ours", "1", (Renamed,)))
    assert not found.broken
    with pytest.warns(FutureWarning, match="the metric 'formerly' is now called 'renamed'"):
        assert found.get("metric", "formerly") is Renamed
    assert found.names("metric") == ["renamed"]
    with pytest.warns(FutureWarning, match="renamed.number is now called renamed.n"):
        assert resolve(Renamed, {"number": 5}, "renamed") == {"n": 5}
    with pytest.warns(FutureWarning), pytest.raises(ConfigError, match=r"renamed.n is given twice"):
        resolve(Renamed, {"number": 5, "n": 6}, "renamed")
    for metric, former in ((DoTable, "interventions"), (Distribution, "interventional")):
        with pytest.warns(FutureWarning, match=f"is now called '{metric.name}'"):
            assert registry().get("metric", former) is metric


def test_the_former_name_of_a_result_can_still_be_imported() -> None:
    assert evaluation.Found is evaluation.MetricResult
