"""How programs and people spell numbers and nothing, and what is said of columns that may mean something else."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Attributes, Table, parse_do
from ccigkit.data.files.columns import read_table
from ccigkit.data.files.rows import read_rows
from ccigkit.data.files.spelling import word
from ccigkit.errors import ConfigError, DataError
from tests.helpers import ccigkit

N = 12
SIZES = [1.5, 2.25, -3.0, 0.5, 10.75, 2.5, 1.25, 0.125, 7.0, 12.5, 3.5, 8.25]


@pytest.fixture
def column(tmp_path: Path) -> Callable[..., tuple[Table, str]]:
    """A table of sizes and these cells in a column `v`, and what was said of it."""

    def read(cells: Sequence[object], **options: Any) -> tuple[Table, str]:
        lines = [f'{0.5 * i * i}\t"{cell}"' for i, cell in enumerate(cells)]
        (tmp_path / "t.tsv").write_text("\n".join(["size\tv", *lines]), encoding="utf-8")
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            return read_table(tmp_path / "t.tsv", **options), " ".join(str(warning.message) for warning in said)

    return read


@pytest.mark.parametrize("hole", ["-", "--", "–", ".", "..", "n.a.", "k.A.", "#NV", "1.#QNAN", r"\N", "#N/A N/A"])
@pytest.mark.parametrize("filled", [SIZES, ["red", "blue"] * 6])
def test_marks_for_nothing_are_holes(hole: str, filled: list[object], column: Any) -> None:
    with pytest.raises(DataError, match="v is empty"):
        column([*filled[:4], hole, *filled[5:]])
    dropped, _ = column([*filled[:4], hole, *filled[5:]], missing="drop")
    assert len(dropped.values) == N - 1


def test_minus_beside_plus_is_a_word(column: Any) -> None:
    table, _ = column(["+", "-"] * 6)
    assert table.attributes[1].categories == ("+", "-")


@pytest.mark.parametrize(
    "write",
    [
        lambda x: f"{x}".replace("-", "−"),
        lambda x: f"{x}%",
        lambda x: f"{x} %",
        lambda x: f"{x}\u00a0%".replace(".", ","),
        lambda x: f"\u200b{x}\u200e",
        lambda x: f"\u00a0{x}\ufeff",
        lambda x: f"{10000 * x:,.1f}".replace(",", "\u202f"),
        lambda x: f"{10000 * x:,.1f}".replace(",", "\u00a0").replace(".", ","),
        lambda x: f"{10000 * x:,.1f}".replace(",", "’"),
    ],
)
def test_numbers_as_print_and_spreadsheets_write_them(write: Callable[[float], str], column: Any) -> None:
    cells = [write(size) for size in SIZES]
    table, said = column(cells)
    assert [attribute.kind for attribute in table.attributes] == ["continuous", "continuous"]
    np.testing.assert_allclose(table.values[:, 1], np.multiply(SIZES, table.values[0, 1] / SIZES[0]))
    assert ("v has numbers such as" in said) == any(mark in cells[4].strip("\u00a0") for mark in "%\u202f\u00a0’")


def test_percents_beside_none_are_no_numbers(column: Any) -> None:
    with pytest.raises(DataError, match="'5%' in row 2"):
        column([0.05, "5%", *SIZES[2:]])


def test_percents_beside_none_are_seen_in_a_long_table(column: Any) -> None:
    with pytest.raises(DataError, match="most others are numbers"):
        column([f"{i}%" if i < 200 else str(i) for i in range(20_000)])


def test_words_that_look_alike_are_one_word_or_told(column: Any) -> None:
    table, said = column(["gr\u00fcn", "gru\u0308n", "rot", "rot\u200b"] * 3)
    assert table.attributes[1].categories == ("gru\u0308n", "gr\u00fcn", "rot")
    assert "how accents are made: gru\u0308n, gr\u00fcn" in said
    table, said = column(["Ja", "ja", "Nein"] * 4)
    assert table.attributes[1].categories == ("Ja", "Nein", "ja")
    assert "v has categories that differ only in capitals, blanks or how accents are made: Ja, ja" in said


def test_codes_and_numbers_of_no_answer_are_told(column: Any) -> None:
    _, said = column([f"{i * i:05d}" for i in range(N)])
    assert "v is read as numbers but has 00000; codes are 'data.kinds={v = \"categorical\"}'" in said
    for odd in (-999, 99, 9999):
        _, said = column([*SIZES[:-1], odd])
        assert f"v has {odd} in 1 rows, far from all others; if that means a hole, write NA for it" in said
    _, said = column([*SIZES[:-1], 9])
    assert said == ""


def test_codes_with_leading_zeros_are_words_where_they_are_categories(column: Any) -> None:
    table, said = column(["01067", "1067", "04109"] * 4)
    assert "v is read as numbers but has 01067" in said
    table, said = column(["01067", "1067", "04109"] * 4, kinds={"v": "categorical"})
    assert set(table.attributes[1].categories) == {"01067", "1067", "04109"}


def test_many_attributes_are_told_to_take_long(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(205)]
    rows = np.random.default_rng(0).normal(size=(210, 205)).round(3).astype(str)
    (tmp_path / "t.csv").write_text("\n".join(map(",".join, [names, *rows])), encoding="utf-8")
    done = ccigkit("graph", tmp_path / "t.csv", "--structure", "known", "structure.graph=celeba-smile")
    assert "205 attributes: known may take minutes" in done.err


def test_what_is_left_out_is_told_with_an_example(column: Any) -> None:
    _, said = column([f"{60 + i} kg" for i in range(N)])
    assert "not taken: 'v' (12 different texts, such as '60 kg')" in said


@pytest.mark.parametrize(
    ("text", "bare"), [("−5", "-5"), ("a−b", "a−b"), (" \ufeffa\u200e ", "a"), ("👩\u200d👧", "👩\u200d👧")]
)
def test_only_what_is_not_seen_is_taken_off_a_word(text: str, bare: str) -> None:
    assert word(text) == bare


# --- lines ------------------------------------------------------------------------------------------------------------

ROWS = [f"{i + 1},{x},{x * x}" for i, x in enumerate(SIZES)]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("a,b\n" + "\n".join(ROWS), ("a", "b")),  # as R numbers rows
        ("n,a,b,,\n" + "\n".join(ROWS), ("a", "b")),
        ("n|a|b\n" + "\n".join(ROWS).replace(",", "|"), ("a", "b")),
        ("n,\ufeffa\u200b,gro\u0308\u00dfe\n" + "\n".join(ROWS), ("a", "gr\u00f6\u00dfe")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_headers_as_programs_write_them(content: str, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    found = read_table(tmp_path / "t.csv")
    assert found.names == names
    np.testing.assert_allclose(found.values[:, 0], SIZES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Made by me\na,b\n1,2\n", "row 2: 2 cells, but the header has 1; .* delete what stands above them"),
        ("a,b\n1,2\n3,4\nSource: me\n", "row 4: 1 cells, but the header has 2; mend or delete that row"),
        ("a,b\n7,2,1\n3,4,1\n", "row 2: 3 cells, but the header has 2; the first line must be the names"),
        ("gr\u00f6\u00dfe,gro\u0308\u00dfe\n1,2\n3,5\n", "two columns named 'gr\u00f6\u00dfe'"),
    ],
)
def test_lines_that_are_no_rows_are_told_with_the_remedy(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        read_table(tmp_path / "t.csv")


def test_a_name_says_gz_of_what_is_not_compressed(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rename it, without .gz, if it is not compressed"):
        read_table(tmp_path / "t.csv.gz")


# --- questions to a model ---------------------------------------------------------------------------------------------


ALIVE = Attribute("alive", "binary", levels=(-1.0, 1.0))


def test_truths_and_names_are_set_as_the_table_and_a_keyboard_write_them() -> None:
    attributes = Attributes([Attribute("gr\u00f6\u00dfe", "continuous", low=-9.0, high=9.0), ALIVE])
    for text, value in (("TRUE", 1.0), ("false", 0.0), ("yes", 1.0), ("1", 1.0)):
        assert parse_do([f"alive={text}"], attributes) == {"alive": value}
    assert parse_do(["gro\u0308\u00dfe=1"], attributes) == {"gr\u00f6\u00dfe": 1.0}
    with pytest.raises(ConfigError, match="'1,5' is not a value of the continuous gr\u00f6\u00dfe; it is a number"):
        parse_do(["gr\u00f6\u00dfe=1,5"], attributes)
    with pytest.raises(ConfigError, match="'maybe' is not a value of the binary alive; it is one of 0, 1, true, false"):
        parse_do(["alive=maybe"], attributes)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ("a;b\n1,234;-\n", [1.234, 1.0]),  # one row with a semicolon says that its comma is a decimal's
        ("a,b\n−2.5,+\n", [-2.5, 0.0]),
        ("a,b\n1.5%,+\n", [1.5, 0.0]),
    ],
)
def test_rows_asked_about_are_read_as_those_learned_from(content: str, values: list[float], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    known = Attributes([Attribute("a", "continuous"), Attribute("b", "categorical", categories=("+", "-"))])
    _, read = read_rows(tmp_path / "t.csv", known)
    assert read.tolist() == [values]


@pytest.mark.parametrize("cells", [["1.5", '"2,5"'], ["true", "5"]])
def test_rows_of_numbers_that_do_not_go_together_are_one_line(cells: list[str], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n".join(["a,b", *(f"{cell},1" for cell in cells)]), encoding="utf-8")
    with pytest.raises(DataError, match=r"a is .* in a row, and it must be a number"):
        read_rows(tmp_path / "t.csv", Attributes([Attribute("a", "continuous")]))
