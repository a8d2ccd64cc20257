"""Bare tables from files: columns, their kinds, and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccigkit.data.files import columns
from ccigkit.data.files.columns import describe_kinds, read_columns, read_table
from ccigkit.errors import DataError

PEOPLE = """,name,age,smoker,job,wants,grade
0,Ann,31.5,yes,cook,-1,2
1,Bob,44,no,smith,1,0
2,Cem,29,no,cook,1,1
3,Dua,61.25,yes,baker,-1,1
4,Eva,18,yes,cook,1,0
5,Fin,20,no,baker,1,2
"""


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def test_numbers_truths_signs_and_words_are_read(people: Path) -> None:
    with pytest.warns(UserWarning, match=r"not taken: '' \(has no name\), 'name' \(6 different texts\)"):
        table = read_table(people)
    said = "binary: smoker, wants; categorical: job (baker, cook, smith), grade (0, 1, 2); continuous: age"
    assert describe_kinds(table.attributes) == said
    assert table.names == ("age", "smoker", "job", "wants", "grade")
    np.testing.assert_array_equal(table.values[:, 1], [1, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(table.values[:, 2], [1, 2, 1, 0, 1, 0])
    np.testing.assert_array_equal(table.values[:, 3], [0, 1, 1, 0, 1, 1])


def test_columns_and_kinds_can_be_said(people: Path) -> None:
    table = read_table(people, ["grade", "name"], {"grade": "continuous"})
    assert describe_kinds(table.attributes) == "categorical: name (Ann, Bob, Cem, Dua, Eva, Fin); continuous: grade"
    with pytest.raises(DataError, match="unknown column 'agee': did you mean 'age'"):
        read_table(people, ["agee"])
    with pytest.raises(DataError, match="job is to be binary but has 'cook'"):
        read_table(people, ["job"], {"job": "binary"})
    with pytest.warns(UserWarning, match=r"not taken: '' \(has no name\)$"):  # a kind says that it is an attribute
        assert "name" in read_table(people, kinds={"name": "categorical"}).names


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_a_long_file_is_read_in_parts(people: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS", rows)
    people.write_text("a,b,c\n1,yes,010\n2,no,3\n4,maybe,u2\n")  # b and c turn out to be words late
    cells = {"a": ("1", "2", "4"), "b": ("yes", "no", "maybe"), "c": ("010", "3", "u2")}
    assert {name: tuple(column) for name, column in read_columns(people).items()} == cells
    table = read_table(people, ["a", "b", "c"], {"c": "categorical"})
    assert describe_kinds(table.attributes) == "categorical: b (maybe, no, yes), c (3, 010, u2); continuous: a"


def test_a_stray_word_among_numbers_is_no_category(people: Path) -> None:
    people.write_text("a,b\n" + "".join(f"{i % 7},{'oops' if i == 30 else i % 5}\n" for i in range(100)))
    with pytest.raises(DataError, match="b is 'oops' in row 31 of 100, where most others are numbers"):
        read_table(people)
    table = read_table(people, kinds={"b": "categorical"})
    assert describe_kinds(table.attributes) == "categorical: a (0, 1, 2, 3, 4, 5, 6), b (0, 1, 2, 3, 4, oops)"


def test_a_parquet_file_gives_the_same_table(people: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    typed = {
        "age": [31.5, 44.0, 29.0, 61.25, 18.0, 20.0],
        "smoker": [True, False, False, True, True, False],
        "job": ["cook", "smith", "cook", "baker", "cook", "baker"],
    }
    parquet.write_table(arrow.table(typed), people.with_suffix(".parquet"))
    found, same = read_table(people.with_suffix(".parquet")), read_table(people, list(typed))
    assert found.attributes[:] == same.attributes[:]
    np.testing.assert_array_equal(found.values, same.values)
    parquet.write_table(arrow.table({"age": arrow.array([], arrow.float64())}), people.with_suffix(".parquet"))
    with pytest.raises(DataError, match="has no rows"):
        read_table(people.with_suffix(".parquet"))
