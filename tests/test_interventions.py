"""Interventions of every form: read from a command line, carried out row by row, of tables and of images."""

from __future__ import annotations

import csv
import functools
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

import ccigkit
from ccigkit import CausalGraph, CausalModel, Table, normal, shift, soft
from ccigkit.attributes import Attribute, Attributes, parse_do
from ccigkit.causal.do import written
from ccigkit.causal.interventions import Policy, clipped, settled
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.mixed import MixedSCM
from ccigkit.causal.structure import Structure
from ccigkit.errors import ConfigError, UserError
from ccigkit.testing import toy_model
from tests import helpers

torch.set_num_threads(1)

SHAPES = ("round", "a, b:0.5", "a", "flat")
ROWS = np.random.default_rng(0).uniform(size=(400, 3))
FITTED = Table.fit(
    [Attribute("length", "continuous", unit="cm"), Attribute("Smiling", "binary"),
     Attribute("shape", "categorical", categories=SHAPES)],
    np.stack([1 + 8 * ROWS[:, 0], ROWS[:, 1] > 0.5, (4 * ROWS[:, 2]).astype(int)], axis=1),
)  # fmt: skip
KNOWN = FITTED.attributes
LENGTH, SMILING, SHAPE = KNOWN
PROBABILITY = st.floats(0, 1)


# --- as they are written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("Smiling=1", 1.0),
        ("Smiling~0.3", soft(0.3)),
        (" Smiling ~ 3e-1", soft(0.3)),
        ("length~N(5,1)", normal(5, 1)),
        ("length ~ n ( 5 , 0.5 )", normal(5, 0.5)),
        ("length+=2", shift(2)),
        ("length-=2", shift(-2)),
        ("length -= -2", shift(2)),
        ("shape~round:0.3,flat:0.7", soft({"round": 0.3, "flat": 0.7})),
        ("shape~a, b:0.5:0.25, a:0.75", soft({"a, b:0.5": 0.25, "a": 0.75})),
    ],
)
def test_every_form_is_read(setting: str, said: object) -> None:
    ((name, found),) = parse_do([setting], KNOWN).items()
    assert found == said
    assert name == setting.strip().partition("~")[0].partition("=")[0].rstrip("+- ")


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("Smiling~1.2", "a probability of 1.2 is impossible; give one from 0 to 1"),
        ("Smiling~-0.1", "a probability of -0.1 is impossible"),
        ("Smiling~nan", "a probability of nan is impossible"),
        ("Smiling~often", "draws from nothing known; for example Smiling~0.3"),
        ("Smiling~N(0,1)", "Smiling is binary, so no normal; Smiling~0.3 draws it"),
        ("Smiling+=1", "only numbers can be shifted; set it, Smiling=1, or draw it, Smiling~0.3"),
        ("shape+=1", "only numbers can be shifted"),
        ("shape~0.3", "give each category its own"),
        ("shape~round:0.3,flat:0.6", "add up to 0.9"),
        ("shape~round:0.5,round:0.5", "names a category twice"),
        ("shape~cube:1", "draws from nothing known; for example shape~round:0.3,a, b:0.5:0.7"),
        ("length~0.3", "length is continuous and has no probability"),
        ("length~N(5)", "draws from nothing known"),
        ("length~N(5,0)", "a standard deviation above 0"),
        ("length~N(50,1)", r"only 0% of length~N\(50,1\) lies in 1.*, the range the model was trained on; ask for one"),
        ("length+=two", "'two' is not a number to shift by"),
        ("length+=inf", "a shift by inf is impossible"),
        ("lenth+=2", "did you mean 'length'"),
        ("smiling~0.3", "did you mean 'Smiling'"),
        ("~0.3", "is not NAME=VALUE"),
        ("length+=", "is not NAME=VALUE"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(setting: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as refused:
        parse_do([setting], KNOWN)
    assert "\n" not in str(refused.value)


NAMES = ["a", "a+", "a-", "a~", "a~0.3", "a=", "a+=0.5", "a~N(1,1)", "~", "+=", "b~a"]


@settings(max_examples=25, deadline=None)
@given(names=st.lists(st.one_of(st.sampled_from(NAMES), st.text("a+-=~1", min_size=1)), min_size=2, unique=True),
       by=st.floats(-0.2, 0.2), mean=st.floats(-0.2, 0.2))  # fmt: skip
@example(names=NAMES, by=0.1, mean=0.1)
def test_any_name_can_be_shifted_and_drawn(names: list[str], by: float, mean: float) -> None:
    rows = np.tile(np.linspace(-3, 3, 9)[:, None], len(names))
    attributes = Table.fit([Attribute(name, "continuous") for name in names], rows).attributes
    for name in names:
        for policy in (shift(by), normal(mean, 0.1)):
            text = f"{name}{policy}"
            longer = [n for n in names if len(n) > len(name) and text.startswith(n)]
            if not longer:  # else it may say something of that name, and then does
                assert parse_do([text], attributes) == {name: policy}
                assert written({name: policy}) == text


def test_the_longest_known_name_is_the_one_meant() -> None:
    attributes = Attributes(Attribute(n, "continuous").fitted(np.array([0.0, 9])) for n in ("a", "a+", "a~1"))
    assert parse_do(["a+=2"], attributes) == {"a+": 2.0}
    assert parse_do(["a~1=3"], attributes) == {"a~1": 3.0}
    assert parse_do(["a-=1"], attributes) == {"a": shift(-1)}
    assert parse_do(["a~1+=1", "a++=1"], attributes) == {"a~1": shift(1), "a+": shift(1)}


# --- as they are carried out ------------------------------------------------------------------------------------------


def draw(attribute: Attribute, policy: Policy, n: int = 20_000, seed: int = 0) -> torch.Tensor:
    only = Attributes([attribute])
    return settled({attribute.name: policy}, only, torch.full((n, 1), 3.0), seed)[attribute.name]


@settings(max_examples=20, deadline=None)
@given(p=PROBABILITY, q=PROBABILITY, seed=st.integers(-5, 5))
def test_a_label_is_one_as_often_as_asked_and_more_often_is_wherever_less_often_is(
    p: float, q: float, seed: int
) -> None:
    drawn = draw(SMILING, soft(p), seed=seed)
    assert set(drawn.tolist()) <= {0.0, 1.0}
    assert float(drawn.mean()) == pytest.approx(p, abs=0.02)
    assert torch.equal(drawn, draw(SMILING, soft(p), seed=seed))
    assert (
        (draw(SMILING, soft(q), seed=seed) >= drawn) if q >= p else (draw(SMILING, soft(q), seed=seed) <= drawn)
    ).all()


def test_probabilities_0_and_1_are_the_hard_interventions() -> None:
    assert (draw(SMILING, soft(0)) == 0).all()
    assert (draw(SMILING, soft(1)) == 1).all()


def test_categories_come_as_often_as_asked_and_those_not_named_never() -> None:
    drawn = draw(SHAPE, soft({"flat": 0.7, "round": 0.3}))
    shares = torch.bincount(drawn.long(), minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx([0.3, 0, 0, 0.7], abs=0.01)


@pytest.mark.parametrize(("mean", "deviation"), [(5, 1), (2, 1), (1.2, 0.5), (5, 3)])
def test_a_normal_is_truncated_to_the_range_seen(mean: float, deviation: float) -> None:
    drawn = draw(LENGTH, normal(mean, deviation)).numpy()
    assert drawn.min() >= LENGTH.low
    assert drawn.max() <= LENGTH.high
    ends = ((end - mean) / deviation for end in (LENGTH.low, LENGTH.high))
    assert stats.kstest(drawn, stats.truncnorm(*ends, mean, deviation).cdf).statistic < 0.015


def test_an_attributes_draws_are_its_own() -> None:
    rows, both = torch.zeros(50, 3), {"length": normal(5, 1), "Smiling": soft(0.4)}
    drawn = settled(both, KNOWN, rows, 7)
    assert torch.equal(drawn["Smiling"], settled({"Smiling": soft(0.4)}, KNOWN, rows, 7)["Smiling"])
    assert torch.equal(drawn["length"], settled(dict(reversed(both.items())), KNOWN, rows, 7)["length"])
    assert not torch.equal(drawn["length"], settled(both, KNOWN, rows, 8)["length"])
    more = settled({name: soft(0.5) for name in ("Smiling",)}, KNOWN, torch.zeros(60, 3), 7)["Smiling"]
    assert torch.equal(more[:50], settled({"Smiling": soft(0.5)}, KNOWN, rows, 7)["Smiling"])


def test_draws_of_two_attributes_are_independent() -> None:
    two = Attributes(Attribute(name, "binary").fitted(np.array([0.0, 1])) for name in ("a", "b"))
    drawn = settled({"a": soft(0.5), "b": soft(0.5)}, two, torch.zeros(20_000, 2), 0)
    assert float((drawn["a"] == drawn["b"]).double().mean()) == pytest.approx(0.5, abs=0.015)


def test_a_shift_out_of_the_range_is_refused_with_the_rows_or_kept_to_it() -> None:
    rows = torch.tensor([[2.0], [5.0], [8.0], [8.5]])
    only = Attributes([LENGTH])
    assert settled({"length": shift(-0.5)}, only, rows)["length"].tolist() == [1.5, 4.5, 7.5, 8.0]
    with pytest.raises(
        ConfigError, match=r"length\+=2 leaves 1.* to 8.* cm, .* in 2 of 4 rows; shift by less, or clip"
    ):
        settled({"length": shift(2)}, only, rows)
    kept = settled({"length": shift(2, clip=True)}, only, rows)["length"]
    assert kept.tolist() == pytest.approx([4, 7, LENGTH.high, LENGTH.high])
    assert clipped({"length": shift(2), "x": 1.0}) == {"length": shift(2, clip=True), "x": 1.0}


@pytest.mark.parametrize(
    ("do", "reason"),
    [
        ({"Smiling": [1, 0, 1]}, "Smiling is set to 3 values, but there are 2 rows; give one, or as many"),
        ({"Smiling": torch.zeros(2, 1)}, "Smiling is set to 2 x 1 values"),
        ({"Smiling": shift(1)}, "only numbers can be shifted"),
        ({"shape": soft({"cube": 1})}, "'cube' is not a value of the categorical shape"),
        ({"smiling": soft(0.1)}, "did you mean 'Smiling'"),
    ],
)
def test_in_python_too_what_cannot_be_done_is_one_line(do: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        settled(do, KNOWN, torch.zeros(2, 3))


def test_a_policy_that_is_none_is_refused_when_it_is_made() -> None:
    for make in (lambda: soft(1.1), lambda: soft({"a": 0.5}), lambda: normal(0, -1), lambda: shift(float("nan"))):
        with pytest.raises(UserError):
            make()


# --- of a causal model ------------------------------------------------------------------------------------------------


@functools.cache
def linear() -> tuple[CausalModel, torch.Tensor]:
    """Sun, ice = 2 sun + e, sales = 100 ice - 500 + e, and rows from the middle of the table."""
    random = np.random.default_rng(0)
    sun = random.normal(20, 5, 4000)
    ice = 2 * sun + random.normal(0, 3, 4000)
    sales = 100 * ice - 500 + random.normal(0, 200, 4000)
    table = Table.of({"sun": sun.tolist(), "ice": ice.tolist(), "sales": sales.tolist()})
    graph = CausalGraph.from_edges(table.names, ["sun -> ice", "ice -> sales"])
    model = CausalModel(table.attributes, Structure(graph), LinearSCM(3)).fit(table)
    return model, torch.as_tensor(table.values)[np.abs(sun - 20) < 5][:100]


def test_a_shift_starts_from_the_rows_own_value_and_its_effects_follow() -> None:
    model, rows = linear()
    after = model.counterfactual(rows, {"ice": shift(2)})
    assert torch.equal(after[:, 0], rows[:, 0])
    assert torch.equal(after[:, 1], rows[:, 1] + 2)
    assert torch.allclose(after[:, 2], rows[:, 2] + 200, atol=10)
    both = model.counterfactual(rows, {"sun": shift(1), "ice": shift(2)})
    assert torch.equal(both[:, 1], rows[:, 1] + 2)  # from what it is, not from what the sun makes of it


def test_a_shift_by_nothing_changes_nothing_bit_for_bit() -> None:
    model, rows = linear()
    assert torch.equal(model.counterfactual(rows, {"sun": shift(0), "ice": shift(0)}), rows)


def test_what_is_sampled_under_a_policy_is_what_the_rows_sampled_without_would_have_been() -> None:
    model, _ = linear()
    do = {"sun": shift(2, clip=True), "sales": normal(3000, 500)}
    drawn, plain = model.sample(500, do, seed=4), model.sample(500, seed=4)
    top = model.attributes[0].high
    assert torch.allclose(drawn[:, 0], (plain[:, 0] + 2).clamp(max=top), rtol=1e-5)
    assert torch.allclose(drawn, model.counterfactual(plain, do, seed=4), rtol=1e-3, atol=0.1)
    assert torch.equal(drawn, model.sample(500, do, seed=4))
    with pytest.raises(ConfigError, match=r"sun\+=50 leaves .* in 500 of 500 rows"):
        model.sample(500, {"sun": shift(50)}, seed=4)


def test_a_drawn_value_acts_as_the_same_value_set_row_by_row() -> None:
    model, rows = linear()
    after = model.counterfactual(rows, {"sun": normal(20, 3)}, seed=5)
    assert torch.equal(after, model.counterfactual(rows, {"sun": after[:, 0]}, seed=5))
    assert not torch.equal(after, model.counterfactual(rows, {"sun": normal(20, 3)}, seed=6))


@functools.cache
def labels() -> CausalModel:
    """A smile, and a mouth that is open in .75 of those who smile and in .25 of the others."""
    smile, wide = np.arange(4000) % 2 == 0, np.arange(4000) % 8
    open_ = np.where(smile, wide < 6, wide >= 6) * 1.0
    table = Table.of({"smile": (smile * 1.0).tolist(), "open": open_.tolist()})
    graph = CausalGraph.from_edges(table.names, ["smile -> open"])
    return CausalModel(table.attributes, Structure(graph), MixedSCM(2)).fit(table)


def test_what_is_drawn_has_nothing_to_do_with_the_noise() -> None:
    model = labels()
    drawn = model.sample(20_000, {"smile": soft(0.2)}, seed=0)
    rate = 0.2 * 0.75 + 0.8 * 0.25
    assert float(drawn[:, 0].mean()) == pytest.approx(0.2, abs=0.01)
    assert float(drawn[:, 1].mean()) == pytest.approx(rate, abs=0.015)
    rows = torch.tensor([[0.0, 0.0]]).repeat(20_000, 1)
    after = model.counterfactual(rows, {"smile": soft(0.5)}, seed=0)
    assert float(after[after[:, 0] == 1, 1].mean()) == pytest.approx((0.75 - 0.25) / 0.75, abs=0.02)
    assert (after[after[:, 0] == 0, 1] == 0).all()


def test_a_probability_is_how_often_the_answers_drawn_are_so() -> None:
    model, rows = labels(), torch.tensor([[0.0, 0.0], [1.0, 1.0]]).repeat(5000, 1)
    after = model.counterfactual(rows, {"smile": [1, 0] * 5000}, seed=1)
    chances = model.probability(rows, {"smile": [1, 0] * 5000}, "open")
    for row in (0, 1):
        assert float(after[row::2, 1].mean()) == pytest.approx(float(chances[row, 1]), abs=0.02)
    assert torch.allclose(chances.sum(dim=1), torch.ones(10_000).double())
    assert torch.equal(model.probability(rows, {"smile": 1}, "smile")[:, 1], torch.ones(10_000).double())


def test_a_model_of_images_draws_for_the_picture_what_it_says_in_the_table() -> None:
    torch.manual_seed(0)
    model = toy_model()[0].eval()
    images = torch.rand(6, 3, 32, 32) * 2 - 1
    codes, own = model.abduct(images), model.values(model.abduct(images))
    middle = {"a": normal(0, 0.5)}
    told = model.values(codes, middle, seed=3)
    assert torch.equal(model.predict(codes, middle, seed=3), model.predict(codes, {"a": told[:, 0]}))
    assert torch.equal(model.predict(codes, middle, seed=3), model.counterfactual(images, middle, seed=3))
    assert not torch.equal(told, model.values(codes, middle, seed=4))
    assert len(set(told[:, 0].tolist())) == 6
    shifted = model.values(codes, {"a": shift(0.1, clip=True)})
    assert torch.allclose(shifted[:, 0], (own[:, 0] + 0.1).clamp(model.attributes[0].low, model.attributes[0].high))
    assert torch.equal(model.sample(3, {"a": soft_of(model)}, seed=1), model.sample(3, {"a": soft_of(model)}, seed=1))
    plain, moved = model.imagine(3, seed=1), model.imagine(3, {"a": shift(0.1, clip=True)}, seed=1)
    assert torch.equal(plain.style, moved.style)


def soft_of(model: Any) -> Policy:
    return normal(0, float(model.attributes[0].spread) / 2)


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of labels, words and numbers, and the mixed model fitted to it."""
    place, random = tmp_path_factory.mktemp("soft"), np.random.default_rng(0)
    smile = random.integers(0, 2, 400)
    wide = (random.random(400) < 0.2 + 0.6 * smile) * 1
    shape = np.where(random.random(400) < 0.3 + 0.4 * wide, "round", "flat")
    rows = zip(smile, wide, shape, (random.normal(5, 1, 400) + smile).round(3), strict=True)
    with (place / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["smile", "open", "shape", "length"], *rows])
    known = place / "g.toml"
    known.write_text('names = ["smile", "open", "shape", "length"]\n'
                     'edges = ["smile -> open", "open -> shape", "smile -> length"]\n')  # fmt: skip
    words = ("graph", place / "t.csv", "--fit", place / "m", "--scm", "mixed", "--structure", "known")
    done = helpers.ccigkit(*words, f"structure.graph={known}")
    assert done.code == 0, done.err
    return place


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table by name."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_table_says_what_was_asked_and_what_was_drawn(folder: Path, tmp_path: Path) -> None:
    words = ("sample", folder / "m", "-n", 200, "--do", "smile~0.25", "--do", "length+=0.1", "--clip", "--table")
    for name in ("one.csv", "two.csv"):
        assert helpers.ccigkit(*words, tmp_path / name).code == 0
    rows = read(tmp_path / "one.csv")
    assert rows == read(tmp_path / "two.csv")
    assert {row["do"] for row in rows} == {"smile~0.25,length+=0.1"}
    assert np.mean([row["smile"] == "1" for row in rows]) == pytest.approx(0.25, abs=0.1)
    assert helpers.ccigkit("sample", folder / "m", "--do", "smile=1", "--table", tmp_path / "hard.csv").code == 0
    assert "do" not in read(tmp_path / "hard.csv")[0]


def test_probabilities_stand_beside_the_answers(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("do,smile,open,shape,length\nx,0,0,flat,5\nx,1,1,round,6\n")
    words = ("counterfactual", folder / "m", tmp_path / "r.csv", "--do", "smile=1", "--probability", "--table")
    assert helpers.ccigkit(*words, tmp_path / "out.csv").code == 0
    first, second = read(tmp_path / "out.csv")
    assert {"do", "smile", "P(smile=1)", "P(open=1)", "P(shape=flat)", "P(shape=round)"} < set(first)
    assert (first["do"], first["P(smile=1)"], second["P(open=1)"], second["P(shape=round)"]) == ("x", "1", "1", "1")
    assert 0.5 < float(first["P(open=1)"]) < 0.95
    assert float(first["P(shape=flat)"]) + float(first["P(shape=round)"]) == pytest.approx(1, abs=1e-4)
    drawn = ("counterfactual", folder / "m", tmp_path / "r.csv", "--do", "smile~0.5", "--table", tmp_path / "s.csv")
    assert helpers.ccigkit(*drawn).code == 0
    assert [(row["do"], row["do_"]) for row in read(tmp_path / "s.csv")] == [("x", "smile~0.5")] * 2


def test_effects_are_shown_of_rows_given_or_drawn(folder: Path) -> None:
    for rows in ((), (folder / "t.csv",)):
        done = helpers.ccigkit("effects", folder / "m", *rows, "--cause", "smile", "--effect", "shape=round")
        assert done.code == 0, done.err
        assert "effect on the treated" in done.out
        assert "necessary" in done.out
    number = helpers.ccigkit("effects", folder / "m", "--cause", "smile=0", "--effect", "length")
    assert "average effect" in number.out
    assert "necessary" not in number.out
    refused = helpers.ccigkit("effects", folder / "m", "--cause", "length", "--effect", "open").refusal()
    assert "length is not yes or no" in refused


@pytest.mark.parametrize(
    ("do", "reason"), [("length+=90", "in 1 of 1 rows"), ("open+=1", "only numbers"), ("smile~2", "from 0 to 1")]
)
def test_a_do_that_cannot_be_done_is_one_line_and_writes_nothing(
    folder: Path, tmp_path: Path, do: str, reason: str
) -> None:
    (tmp_path / "r.csv").write_text("smile,open,shape,length\n0,0,flat,5\n")
    words = ("counterfactual", folder / "m", tmp_path / "r.csv", "--do", do, "--table", tmp_path / "o.csv")
    assert reason in helpers.ccigkit(*words).refusal()
    assert not (tmp_path / "o.csv").exists()


def test_pictures_are_named_after_what_was_asked(tmp_path: Path) -> None:
    words = ("train", "--data", "pendulum", "--structure", "known", *helpers.TINY, "--steps", 2)
    assert helpers.ccigkit(*words, "--run", tmp_path / "run").code == 0
    model = ccigkit.load(tmp_path / "run")
    for i in range(3):
        ccigkit.save_image(model.sample(1, seed=i)[0], tmp_path / f"{i}.png")
    files = [tmp_path / f"{i}.png" for i in range(3)]
    ask = ("counterfactual", tmp_path / "run", *files, "--do", "angle~N(0.2,0.1)", "--do", "light+=0.01", "--clip")
    for out in ("one", "two"):
        done = helpers.ccigkit(*ask, "--seed", 3, "--out", tmp_path / out, "--table", tmp_path / f"{out}.csv")
        assert done.code == 0, done.err
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == [f"{i} do(angle~N(0.2,0.1),light+=0.01).png" for i in range(3)]
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)
    rows = read(tmp_path / "one.csv")
    assert {row["do"] for row in rows} == {"angle~N(0.2,0.1),light+=0.01"}
    assert all(a["angle"] != b["angle"] for a, b in pairwise(rows))  # each picture has a draw of its own
    assert "of a table's rows" in helpers.ccigkit(*ask, "--probability").refusal()
