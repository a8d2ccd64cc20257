"""The causal model of a table, without any image: fit, sample, abduct, counterfactual, in the attributes' own units."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch

import ccigkit
from ccigkit import CausalGraph, CausalModel, Table
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.scm.nonlinear import NonlinearSCM
from ccigkit.causal.structure import Structure
from ccigkit.errors import CheckpointError, ConfigError, DataError
from ccigkit.model import load_model, save_model
from tests import helpers

SUN, ICE, SALES = 0, 1, 2


def rows(n: int = 4000) -> dict[str, list[float]]:
    """Sun in degrees, ice melted in litres, sales in a currency: ice = 2 sun + e, sales = 100 ice - 500 + e."""
    random = np.random.default_rng(0)
    sun = random.normal(20, 5, n)
    ice = 2 * sun + random.normal(0, 3, n)
    return {"sun": sun.tolist(), "ice": ice.tolist(), "sales": (100 * ice - 500 + random.normal(0, 200, n)).tolist()}


@pytest.fixture(scope="module")
def table() -> Table:
    """The rows as a table."""
    return Table.of(rows())


@pytest.fixture(scope="module")
def model(table: Table) -> CausalModel:
    """A linear model along the true graph."""
    graph = CausalGraph.from_edges(table.names, ["sun -> ice", "ice -> sales"])
    return CausalModel(table.attributes, Structure(graph), LinearSCM(3)).fit(table)


def test_counterfactuals_are_those_of_the_equations(model: CausalModel, table: Table) -> None:
    before = torch.as_tensor(table.values[:50])
    after = model.counterfactual(before, {"sun": 30.0})
    assert (after[:, SUN] == 30.0).all()
    wanted = before[:, ICE] + 2 * (30 - before[:, SUN])
    assert torch.allclose(after[:, ICE], wanted, atol=0.5)
    assert torch.allclose(after[:, SALES], before[:, SALES] + 100 * (after[:, ICE] - before[:, ICE]), atol=50)


def test_what_do_does_not_reach_stays_bit_for_bit(model: CausalModel, table: Table) -> None:
    before = torch.as_tensor(table.values[:50])
    after = model.counterfactual(before, {"ice": 40.0})
    assert torch.equal(after[:, SUN], before[:, SUN])
    assert torch.equal(model.counterfactual(before, {}), before)
    held = model.counterfactual(before, {"sun": 30.0}, hold=["ice"])
    assert torch.equal(held[:, [ICE, SALES]], before[:, [ICE, SALES]])


def test_every_row_may_be_set_to_a_value_of_its_own(model: CausalModel, table: Table) -> None:
    before, asked = torch.as_tensor(table.values[:5]), torch.tensor([10.0, 15, 20, 25, 30])
    after = model.counterfactual(before, {"sun": asked})
    alone = torch.cat([model.counterfactual(before[i : i + 1], {"sun": float(asked[i])}) for i in range(5)])
    assert torch.allclose(after, alone, rtol=1e-5)


def test_samples_follow_the_table_and_their_seed(model: CausalModel, table: Table) -> None:
    drawn = model.sample(4000, seed=1)
    assert torch.equal(drawn, model.sample(4000, seed=1))
    assert torch.allclose(drawn.mean(dim=0), torch.as_tensor(table.values).mean(dim=0), rtol=0.03)
    under = model.sample(4000, {"sun": 30.0}, seed=1)
    assert float(under[:, ICE].mean()) == pytest.approx(60, abs=0.5)
    assert torch.equal(model.sample(4000, {"sales": 1000.0}, seed=1)[:, SUN], drawn[:, SUN])


def test_noise_is_what_makes_the_row(model: CausalModel, table: Table) -> None:
    values = torch.as_tensor(table.values[:20])
    again = model.values(model.scm(model.abduct(values), model.structure.adjacency()))
    assert torch.allclose(again, values, rtol=1e-3, atol=0.1)


def test_labels_and_categories_come_as_a_table_has_them(table: Table) -> None:
    hot = {"sun": rows()["sun"], "hot": [float(t > 20) for t in rows()["sun"]]}
    labelled = Table.of({**hot, "flag": [float(i % 3) for i in range(len(hot["sun"]))]})
    graph = CausalGraph.from_edges(labelled.names, ["sun -> hot"])
    drawn = CausalModel(labelled.attributes, Structure(graph), NonlinearSCM(3)).fit(labelled).sample(200, seed=0)
    assert set(drawn[:, 1].tolist()) == {0.0, 1.0}
    assert set(drawn[:, 2].tolist()) == {0.0, 1.0, 2.0}


def test_it_is_saved_and_loaded_without_images(model: CausalModel, tmp_path: Path) -> None:
    save_model(model, tmp_path / "model", {"scm": {"name": "linear"}})
    again = ccigkit.load(tmp_path / "model")
    assert isinstance(again, CausalModel)
    assert torch.equal(again.sample(5, {"sun": 25.0}, seed=3), model.sample(5, {"sun": 25.0}, seed=3))
    with pytest.raises(CheckpointError, match="holds a causal model of a table"):
        load_model(tmp_path / "model")


def test_what_cannot_be_asked_is_said(model: CausalModel, table: Table) -> None:
    with pytest.raises(ConfigError, match=r"unknown attribute 'son': did you mean 'sun'"):
        model.sample(1, {"son": 1.0})
    with pytest.raises(DataError, match=r"values must be \[n, 3\], got \[2, 2\]"):
        model.counterfactual(torch.zeros(2, 2), {"sun": 20.0})
    with pytest.raises(DataError, match="the model is about sun, ice, sales, the table about sales, sun, ice"):
        model.fit(table.reordered(("sales", "sun", "ice")))


# --- the command line -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of words, numbers and labels, and the causal model fitted to it."""
    place, columns = tmp_path_factory.mktemp("table"), rows(600)
    shape = ["round" if ice > 40 else "flat" for ice in columns["ice"]]
    with (place / "days.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["day", "sun", "ice", "shape"])
        writer.writerows(
            [f"day {i}", s, ice, word]
            for i, (s, ice, word) in enumerate(zip(columns["sun"], columns["ice"], shape, strict=True))
        )
    words = ("graph", place / "days.csv", "--fit", place / "model", 'data.attributes=["sun","ice","shape"]')
    known = ('knowledge.tiers=[["sun"],["ice"],["shape"]]', "--scm", "linear")
    done = helpers.ccigkit(*words, *known)
    assert done.code == 0, done.err
    return place


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table by name."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_line_samples_rows(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    done = helpers.ccigkit("sample", folder / "model", "-n", 100, "--do", "sun=28", "--table", out)
    assert done.code == 0, done.err
    drawn = read(out)
    assert len(drawn) == 100
    assert {row["sun"] for row in drawn} == {"28"}
    assert {row["shape"] for row in drawn} <= {"round", "flat"}
    assert np.mean([float(row["ice"]) for row in drawn]) == pytest.approx(56, abs=1.5)


def test_the_command_line_answers_for_the_rows_of_a_table(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("day,ice,shape,sun\nmonday,30,flat,15\ntuesday,50,round,25\n")
    words = ("counterfactual", folder / "model", tmp_path / "rows.csv", "--do", "sun=25", "--table")
    assert helpers.ccigkit(*words, tmp_path / "out.tsv").code == 0
    lines = [line.split("\t") for line in (tmp_path / "out.tsv").read_text().splitlines()]
    assert lines[0] == ["day", "sun", "ice", "shape"]
    assert lines[1][:2] == ["monday", "25"]
    assert float(lines[1][2]) == pytest.approx(50, abs=1)
    assert lines[2] == ["tuesday", "25", "50", "round"]  # nothing changes, bit for bit


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("sun,ice\n1,2\n", "lacks the attribute 'shape'"),
        ("sun,ice,shape\n15,thirty,flat\n", "ice is 'thirty' in a row"),
        ("sun,ice,shape\n15,,flat\n", "ice is '' in row 1"),
        (
            "sun,ice,shape\n15,30,square\n",
            "shape=square: 'square' is not a value of the categorical shape",
        ),
    ],
)
def test_rows_that_the_model_cannot_read_are_one_line(folder: Path, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "rows.csv").write_text(content)
    words = ("counterfactual", folder / "model", tmp_path / "rows.csv", "--do", "sun=20", "--table", tmp_path / "o.csv")
    assert reason in helpers.ccigkit(*words).refusal()
    assert not (tmp_path / "o.csv").exists()


def test_a_table_of_labels_is_given_the_mechanisms_of_labels(folder: Path, tmp_path: Path) -> None:
    words = ("graph", folder / "days.csv", "--fit", tmp_path / "model", 'data.attributes=["sun","ice","shape"]')
    assert helpers.ccigkit(*words, "--structure", "boss").code == 0
    assert ccigkit.load(tmp_path / "model").scm.name == "mixed"


def test_where_nothing_can_be_written_is_one_line(folder: Path, tmp_path: Path) -> None:
    assert "write with --table FILE.csv" in helpers.ccigkit("sample", folder / "model").refusal()
    said = helpers.ccigkit("sample", folder / "model", "--table", tmp_path / "out.doc").refusal()
    assert "a table is written as .csv or .tsv" in said
    assert "holds no run" in helpers.ccigkit("evaluate", folder / "model").refusal()


def test_an_image_run_writes_what_the_attributes_become(tmp_path: Path) -> None:
    words = ("train", "--data", "pendulum", "--structure", "known", *helpers.TINY, "--steps", 2)
    assert helpers.ccigkit(*words, "--run", tmp_path / "run").code == 0
    sampled = helpers.ccigkit(
        "sample",
        tmp_path / "run",
        "-n",
        3,
        "--do",
        "angle=0.3",
        "--out",
        tmp_path / "s.png",
        "--table",
        tmp_path / "s.csv",
    )
    assert sampled.code == 0, sampled.err
    assert [float(row["angle"]) for row in read(tmp_path / "s.csv")] == pytest.approx([0.3] * 3, abs=1e-5)
    ask = ("counterfactual", tmp_path / "run", tmp_path / "s.png", "--do", "light=1", "--out", tmp_path / "out")
    assert helpers.ccigkit(*ask, "--table", tmp_path / "c.csv").code == 0
    (row,) = read(tmp_path / "c.csv")
    assert row["image"] == str(tmp_path / "s.png")
    assert float(row["light"]) == pytest.approx(1, abs=1e-5)
    assert len(list((tmp_path / "out").iterdir())) == 1
