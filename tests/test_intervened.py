"""Tables that say which attributes were set: every form they say it in, from the file to the graph."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from ccigkit.attributes import Table
from ccigkit.commands.app import app
from ccigkit.data.files.columns import read_table
from ccigkit.data.files.intervened import read_intervened
from ccigkit.data.table import ImageTable
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph
from tests.simulate import intervened

TRUTH = CausalGraph.from_edges(("mek", "erk", "akt"), ["mek -> erk : 1.0", "erk -> akt : 0.9"])
TARGETS = [("erk",), ("mek", "akt")]


@pytest.fixture(scope="module")
def table() -> Table:
    return intervened(TRUTH, 300, TARGETS)


def written(table: Table, folder: Path, columns: dict[str, Sequence[object]], name: str = "cells.csv") -> Path:
    values = {attribute: table.values[:, j].tolist() for j, attribute in enumerate(table.names)}
    path = folder / name
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*values, *columns])
        writer.writerows(zip(*values.values(), *columns.values(), strict=True))
    return path


def named(table: Table, between: str = ";", nothing: str = "") -> list[str]:
    assert table.intervened is not None
    sets = [[name for name, flag in zip(table.names, row, strict=True) if flag] for row in table.intervened]
    return [between.join(names) or nothing for names in sets]


@pytest.mark.parametrize(
    ("between", "nothing"), [(";", ""), (" + ", "observational"), ("|", "NA"), (", ", "control"), (";", "none")]
)
def test_a_column_of_names_says_what_was_set(table: Table, between: str, nothing: str, tmp_path: Path) -> None:
    path = written(table, tmp_path, {"done": named(table, between, nothing)})
    with pytest.warns(
        UserWarning, match="set from outside: mek in 300 of 900 rows, erk in 300, akt in 300, nothing in"
    ):
        found = read_table(path, interventions="done")
    assert found.names == table.names
    np.testing.assert_array_equal(found.intervened, table.intervened)
    np.testing.assert_allclose(found.values, table.values)


def test_columns_of_0_and_1_say_what_was_set(table: Table, tmp_path: Path) -> None:
    assert table.intervened is not None
    drugs = {"u0126": table.intervened[:, 0].astype(int), "g": [str(bool(x)) for x in table.intervened[:, 1]]}
    path = written(table, tmp_path, {**drugs, "dish": np.arange(900) % 7 + 0.5})
    with pytest.warns(UserWarning, match="set from outside: mek in 300 of 900 rows"):
        found = read_table(path, interventions={"u0126": ["mek", "akt"], "g": "erk"})
    assert found.names == (*table.names, "dish")
    np.testing.assert_array_equal(found.intervened[:, :3], table.intervened)  # type: ignore[index]
    assert not found.intervened[:, 3].any()  # type: ignore[index]


def test_what_was_set_follows_its_attribute_and_its_row(table: Table, tmp_path: Path) -> None:
    done = named(table)
    path = written(table, tmp_path, {"done": done})
    with pytest.warns(UserWarning, match=r"set but no attribute here, so not counted: mek in 300 rows"):
        some = read_table(path, ["akt", "erk"], interventions="done")
    np.testing.assert_array_equal(some.intervened, table.intervened[:, [2, 1]])  # type: ignore[index]
    lines = path.read_text().splitlines()
    lines[5] = "," + lines[5].split(",", 1)[1]  # a hole in row 4
    path.write_text("\n".join(lines))
    with pytest.warns(UserWarning, match="in 300 of 899 rows, erk in 300, akt in 300, nothing in 299"):
        dropped = read_table(path, missing="drop", interventions="done")
    np.testing.assert_array_equal(dropped.intervened, np.delete(table.intervened, 4, axis=0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("done", "said", "message"),
    [
        (["", "mekk", "erk"], "done", r"done says 'mekk' in row 2; unknown attribute 'mekk': did you mean 'mek'\?"),
        (["", "erk;x", "erk"], "done", r"done says 'erk;x' in row 2; unknown attribute 'x'"),
        (["", "erk", ""], "dome", r"unknown column 'dome': did you mean 'done'\?"),
        (["", "", ""], "done", "by done nothing was set in any row; leave data.interventions out"),
        ([0, 1, 0.5], {"done": "erk"}, r"done has '0.5', but where it says what was set it is 1, and 0 elsewhere"),
        ([0, 1, ""], {"done": "erk"}, "done has '', but"),
        ([0, 1, 0], {"done": "akt"}, "done cannot say that akt was set: unknown column 'akt'"),
        ([["erk"], [], []], "done", "done holds lists.*write the names of what was set as a;b"),
    ],
)
def test_what_cannot_be_understood_is_refused(done: list[object], said: object, message: str) -> None:
    columns = {"mek": [1, 2, 3], "erk": [2, 2, 1], "done": done}
    with pytest.raises(DataError, match=message):
        read_intervened(columns, ["mek", "erk"], said, np.full(3, True), Path("cells.csv"))  # type: ignore[arg-type]


def test_the_command_learns_from_them_and_says_so(table: Table, tmp_path: Path) -> None:
    path = written(table, tmp_path, {"done": named(table)})
    out = tmp_path / "graph.toml"
    told = CliRunner().invoke(app, ["graph", str(path), "data.interventions=done", "--out", str(out), "--check"])
    assert told.exit_code == 0, told.output
    assert set(CausalGraph.from_toml(out).edges) == set(TRUTH.edges)
    assert "by choice" not in told.output
    by_pc = CliRunner().invoke(app, ["graph", str(path), "data.interventions=done", "--structure", "pc"])
    assert "learned from the 300 of 900 rows in which nothing was set" in " ".join(by_pc.output.split())
    fitted = CliRunner().invoke(app, ["graph", str(path), "data.interventions=done", "--fit", str(tmp_path / "model")])
    assert fitted.exit_code == 0, fitted.output
    wrong = CliRunner().invoke(app, ["graph", str(path), "data.interventions=dune"])
    assert "unknown column 'dune': did you mean 'done'?" in str(wrong.exception)


def test_a_folder_of_images_says_what_was_set_too(table: Table, tmp_path: Path) -> None:
    from PIL import Image

    few = table.taken(np.arange(0, 900, 18))
    for row in range(len(few.values)):
        Image.new("RGB", (8, 8), (row, 0, 0)).save(tmp_path / f"{row}.png")
    (tmp_path / "2.png").write_bytes(b"no image")
    names = [f"{row}.png" for row in range(len(few.values))]
    written(few, tmp_path, {"image": names, "done": named(few)})
    with warnings.catch_warnings(action="ignore"):
        data = ImageTable(
            root=str(tmp_path), interventions="done", size=8, on_bad="skip", share_test=0.2, cache=str(tmp_path / "c")
        )
        read, images = data.table(), data.load("train")
    assert [a.name for a in data.attributes] == list(few.names)
    at = [int(np.flatnonzero((few.values == row).all(axis=1))[0]) for row in images.values]
    assert 2 not in at
    np.testing.assert_array_equal(read.intervened, few.intervened[at])  # type: ignore[index]
