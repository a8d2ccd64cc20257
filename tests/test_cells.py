"""What a cell of a table means: in every spelling, delimiter, encoding and line end, and in both readers alike."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ccigkit.attributes import Attribute, Table
from ccigkit.data.files.cells import as_attribute, numbers
from ccigkit.data.files.columns import describe_kinds, is_table, read_columns, read_table
from ccigkit.data.files.spelling import bare, is_hole
from ccigkit.data.table import ImageTable
from ccigkit.errors import ConfigError, DataError, UserError
from tests.helpers import ccigkit, process

N = 12
SIZES = [1.5, 2.25, -3.0, 0.5, 10.75, 2.5, 1.25, 0.125, 7.0, 12.5, 3.5, 8.25]
COLOURS = ["red", "blue", "grün"] * 4
HERE = Path("t.csv")


def text(columns: dict[str, Sequence[object]], delimiter: str = ",", end: str = "\n") -> str:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
    writer.writerows([list(columns), *zip(*columns.values(), strict=True)])
    return file.getvalue()


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Table]:
    """A table of a file with these contents."""

    def read(content: str | bytes, name: str = "t.csv", **options: Any) -> Table:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(tmp_path / name, **options)

    return read


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., ImageTable]:
    """The same columns, of images."""

    def read(columns: dict[str, Sequence[object]], **options: Any) -> ImageTable:
        n = len(next(iter(columns.values())))
        names = [f"p{i}.png" for i in range(n)]
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for i, name in enumerate(names):
            Image.new("L", (4, 4), i).save(folder / name)
        (folder / "labels.csv").write_text(text({"file": names} | columns), encoding="utf-8")
        return ImageTable(root=str(folder), size=4, cache=str(tmp_path / "cache"), **options)

    return read


# --- holes ------------------------------------------------------------------------------------------------------------

HOLES = ["", " ", "NA", "N/A", "#N/A", "?", "None", "none", "null", "NULL", "nan", "NaN", "<NA>", "NaT", "#DIV/0!", "*"]


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("filled", [SIZES, COLOURS, [0, 1] * 6, ["yes", "no"] * 6, [1, 2, 3] * 4, ["0_1", "1_0"] * 6])
def test_a_hole_is_a_hole_among_anything_and_everywhere(
    hole: str, filled: list[object], table: Any, pictures: Any
) -> None:
    columns = {"a": [0.5 * i * i for i in range(N)], "b": [*filled[:4], hole, *filled[5:]]}
    for read in (lambda **o: table(text(columns), **o), lambda **o: pictures(columns, attributes=["b"], **o)):
        with pytest.raises(DataError, match=r"b is empty( or infinite)? in 1 rows; .* in row 5 of 12; data.missing"):
            read()
        with pytest.warns(UserWarning, match=r"dropped 1 of 12 rows, which have holes"):
            read(missing="drop")
    whole = table(text({name: [*cells[:4], *cells[5:]] for name, cells in columns.items()}))
    with pytest.warns(UserWarning, match="dropped 1"):
        dropped = table(text(columns), missing="drop")
    assert dropped.attributes[:] == whole.attributes[:]
    np.testing.assert_array_equal(dropped.values, whole.values)


def test_holes_are_dropped_from_the_command_line(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    columns: dict[str, Sequence[object]] = {name: random.normal(size=40).tolist() for name in "abc"}
    columns["b"] = [*columns["b"][:7], "NA", *columns["b"][8:]]
    (tmp_path / "t.csv").write_text(text(columns))
    assert "data.missing=drop" in ccigkit("graph", tmp_path / "t.csv").refusal()
    for how in (("--missing", "drop"), ("data.missing=drop",)):
        done = process("graph", tmp_path / "t.csv", *how, folder=tmp_path)
        assert done.code == 0, done.err
        assert "39 rows" in done.out
        assert done.err.splitlines() == [f"ccigkit: {tmp_path / 't.csv'}: dropped 1 of 40 rows, which have holes"]
    assert "refuse" in ccigkit("graph", tmp_path / "t.csv", "--missing", "perhaps").refusal()


def test_a_row_with_no_cell_is_no_row_at_the_end_and_a_hole_elsewhere(table: Any) -> None:
    columns = {"a": SIZES, "b": COLOURS}
    assert len(table(text(columns) + ",\n,\n , \n").values) == N
    lines = text(columns).splitlines()
    with pytest.raises(DataError, match=r"a is empty or infinite in 1 rows; .* in row 3"):
        table("\n".join([*lines[:3], ",", *lines[3:]]))


def test_columns_and_cells_of_nothing_are_dropped(table: Any) -> None:
    columns: dict[str, Sequence[object]] = {"a": SIZES, "b": COLOURS}
    same = table(text(columns))
    lines = text(columns).splitlines()
    for more in ((",,", ",,"), ("", ",,")):
        found = table("\n".join(line + more[i > 0] for i, line in enumerate(lines)))
        assert found.attributes[:] == same.attributes[:]
    with pytest.raises(DataError, match="column 4 has cells but no name"):
        table("\n".join(line + (",,5" if i else ",,") for i, line in enumerate(lines)))
    with pytest.warns(UserWarning, match=r"not taken: 'c' \(is empty\)"):
        assert table(text(columns | {"c": [""] * N})).names == ("a", "b")


def test_no_row_without_a_hole(table: Any) -> None:
    with pytest.raises(DataError, match="no row is without a hole; choose fewer columns"):
        table("a,b\n1,\n,2\n5,\n,4\n", missing="drop")


def test_no_rows_are_dropped_for_a_column_that_hardly_has_any(table: Any, pictures: Any) -> None:
    columns = {"a": SIZES, "b": COLOURS, "remark": ["x", "y", *[""] * 10]}
    with pytest.warns(UserWarning, match=r"not taken: '?remark'? \(is empty in 10 of 12 rows\)"):
        assert len(table(text(columns), missing="drop").values) == N
    with pytest.warns(UserWarning, match=r"not taken: '?remark'? \(is empty in 10 of 12 rows\)"):
        assert pictures(columns, missing="drop").table().names == ("a", "b")
    with pytest.warns(UserWarning, match="dropped 10 of 12 rows"):
        assert len(table(text(columns), attributes=["a", "remark"], missing="drop").values) == 2


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["0_1", "1_000", "1e", "0x10", "1 000", "1/2", "12%", "--1", "1.2.3", "5,"])
def test_what_only_a_programming_language_calls_a_number_is_a_word(word: str) -> None:
    assert numbers(["1", word]) is None


@pytest.mark.parametrize("word", ["1", "-1", "+1", ".5", "5.", "1e3", "1E-3", "-1.5e+10", " 7 ", "inf", "-Infinity"])
def test_what_a_spreadsheet_calls_a_number_is_one(word: str) -> None:
    assert numbers(["0", word, ""])[1] == float(word)  # type: ignore[index]


def test_truths_mix_with_none_but_zero_and_one() -> None:
    assert numbers(["yes", "no", "1"]).tolist() == [1, 0, 1]  # type: ignore[union-attr]
    assert numbers(["yes", "no", "2.5"]) is None


COMMAS = {  # how a file is written, and what is said
    "semicolons": (";", lambda x: str(x).replace(".", ","), "separated by semicolons; decimal commas in size"),
    "three digits": (";", lambda x: f"{x:.3f}".replace(".", ","), "separated by semicolons; decimal commas in size"),
    "tabs": ("\t", lambda x: str(x).replace(".", ","), "separated by tabs; decimal commas in size"),
    "quoted": (",", lambda x: str(x).replace(".", ","), "decimal commas in size"),
    "thousands": (";", lambda x: f"{1000 * x:,.1f}".translate({44: 46, 46: 44}), "decimal commas in size"),
}


@pytest.mark.parametrize(("delimiter", "write", "said"), COMMAS.values(), ids=COMMAS)
def test_decimal_commas_are_understood(delimiter: str, write: Callable[[float], str], said: str, table: Any) -> None:
    columns = {"size": [write(x) for x in SIZES], "colour": COLOURS}
    with pytest.warns(UserWarning, match=said):
        found = table(text(columns, delimiter))
    scale = 1000 if write(1.0) == "1.000,0" else 1
    np.testing.assert_allclose(found.values[:, 0], scale * np.array(SIZES))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (text({"a": ["1,234", "5,678", "9,876", "2,345"], "b": [1, 2, 4, 8]}), "a is '1,234', which may be a thousand"),
        (
            text({"a": ["1.234", "5.678", "2.345", "9.100"], "b": ["1,5", "2,5", "1,0", "0,2"]}, ";"),
            "a is written with",
        ),
        ("a;b\n1,234;0.5\n5,678;1.5\n7,123;2.25\n1,100;0.1\n", "a is '1,234', which may be a thousand"),
    ],
)
def test_a_thousand_that_may_be_a_decimal_is_refused(content: str, said: str, table: Any) -> None:
    with pytest.raises(DataError, match=said):
        table(content)


@pytest.mark.parametrize("unit", [1e-13, 1e-9, 1e9, 1e13])
def test_a_table_in_any_unit_is_the_same_table(unit: float, table: Any) -> None:
    columns = {"a": [x * unit for x in SIZES], "b": [x * x * unit for x in SIZES]}
    same = table(text({"a": SIZES, "b": [x * x for x in SIZES]}))
    np.testing.assert_allclose(table(text(columns)).latents, same.latents, atol=1e-9)


@pytest.mark.parametrize("learner", ["notears", "dagma"])
def test_units_too_small_for_raw_values_are_describe_kinds(learner: str, tmp_path: Path) -> None:
    cause = np.random.default_rng(0).normal(size=60)
    (tmp_path / "t.csv").write_text(text({"a": cause * 1e-13, "b": (cause + 0.1 * cause[::-1]) * 1e-13}))
    command = ("graph", tmp_path / "t.csv", "--structure", learner)
    assert "structure.standardise=true" in ccigkit(*command, "structure.standardise=false").refusal()
    assert "a" in ccigkit(*command).out


# --- kinds ------------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[list[object], str]] = {
    "0 and 1": ([0, 1], "binary: v"),
    "-1 and 1": ([-1, 1], "binary: v"),
    "-1 and 0": ([-1, 0], "categorical: v (-1, 0)"),
    "1 and 2": ([1, 2], "categorical: v (1, 2)"),
    "2 and 3": ([3, 2], "categorical: v (2, 3)"),
    "any two": ([0, 100], "categorical: v (0, 100)"),
    "two as floats": (["1.0", "2.0"], "categorical: v (1.0, 2.0)"),
    "-1, 0 and 1": ([-1, 0, 1], "categorical: v (-1 < 0 < 1)"),
    "0, 1 and 2": ([2, 1, 0], "categorical: v (0, 1, 2)"),
    "1, 2 and 3": ([2, 1, 3], "categorical: v (1 < 2 < 3)"),
    "1 to 5": ([5, 4, 3, 2, 1], "categorical: v (1 < 2 < 3 < 4 < 5)"),
    "leading zeros": (["02", "01", "03"], "categorical: v (01, 02, 03)"),
    "codes": (["0_1", "1_0", "1_1"], "categorical: v (0_1, 1_0, 1_1)"),
    "with a gap": ([3, 4, 5, 6, 8], "categorical: v (3 < 4 < 5 < 6 < 8)"),
    "counts with a gap": ([0, 1, 3], "categorical: v (0, 1, 3)"),
    "doses": ([0, 5, 10], "continuous: size, v"),
    "dozens": ([10, 11, 12], "continuous: size, v"),
    "years": ([2010, 2011, 2012], "continuous: size, v"),
    "fractions": ([0.5, 1.5], "continuous: size, v"),
}


@pytest.mark.parametrize(("values", "kind"), KINDS.values(), ids=KINDS)
def test_kinds_of_few_numbers(values: list[object], kind: str, table: Any, pictures: Any) -> None:
    columns = {"v": [values[i % len(values)] for i in range(N)]}
    other = {"size": SIZES}
    assert kind in describe_kinds(table(text(other | columns)).attributes)
    with pytest.warns(UserWarning, match="images"):
        data = pictures(other | columns)
    assert kind in describe_kinds(data.table().attributes)


def test_numbers_that_are_read_as_ordered_are_said_and_can_be_said_otherwise(table: Any) -> None:
    columns = {"size": SIZES, "grade": [1, 2, 3] * 4, "code": [0, 1, 2] * 4}
    with pytest.warns(UserWarning, match=r"ordered labels in grade; .* 'data.kinds={grade = \"categorical\"}'"):
        ordered = [attribute.ordered for attribute in table(text(columns)).attributes]
    assert ordered == [False, True, False]
    for kind in ("categorical", "continuous", "ordered"):
        with warnings.catch_warnings(action="error"):
            grade = table(text(columns), kinds={"grade": kind}).attributes[1]
        assert grade.kind == ("continuous" if kind == "continuous" else "categorical")
        assert grade.ordered == (kind == "ordered")


def test_a_mark_is_a_hole_unless_its_like_is_there(table: Any) -> None:
    with pytest.raises(DataError, match=r"b is empty in 6 rows"):
        table(text({"a": SIZES, "b": ["b", "*"] * 6}))
    for pair in (("-", "+"), ("*", "**")):
        assert {*table(text({"a": SIZES, "b": [*pair] * 6})).attributes[1].categories} == {*pair}


@pytest.mark.parametrize("values", [[-1, 0, 1], [1, 2], [1, 2, 3], [0.5, 1.5], [-1, 0], ["a", "b"]])
def test_what_cannot_be_binary_is_refused_in_one_line(values: list[object], table: Any) -> None:
    with pytest.raises(DataError, match="v is to be binary but has") as caught:
        table(text({"a": SIZES, "v": [values[i % len(values)] for i in range(N)]}), kinds={"v": "binary"})
    assert "\n" not in str(caught.value)


def test_half_a_sex_cannot_be_set(table: Any) -> None:
    sex = table(text({"a": SIZES, "sex": [1, 2] * 6})).attributes[1]
    with pytest.raises(ConfigError, match=r"sex=1.5 is impossible: sex is categorical, so one of 1, 2"):
        sex.intervention(1.5)


@pytest.mark.parametrize("values", [[1000001, 1000002, 1000003], [0.1234567, 0.1234568], [10**15, 10**15 + 1]])
def test_categories_are_written_as_in_the_table(values: list[object], table: Any, pictures: Any) -> None:
    columns = {"a": SIZES, "site": [values[i % len(values)] for i in range(N)]}
    words = tuple(map(str, values))
    assert table(text(columns), kinds={"site": "categorical"}).attributes[1].categories == words
    with pytest.warns(UserWarning, match="images"):
        assert pictures(columns, kinds={"site": "categorical"}).attributes[1].categories == words


def test_typed_cells_are_what_their_text_is() -> None:
    for typed, written in (([1.0, 2.0, 1.0], ["1", "2", "1"]), ([True, False, True], ["yes", "no", "yes"])):
        one, other = (as_attribute("a", cells, None, HERE) for cells in (typed, written))
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1], other[1])
    with pytest.raises(DataError, match="a is empty or infinite in 1 rows"):
        as_attribute("a", [1.5, None, 2.5], None, HERE)


# --- which columns ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "index", "id", "X"])
@pytest.mark.parametrize("order", ["in order", "backwards", "shuffled", "with gaps"])
def test_a_numbering_is_no_attribute(name: str, order: str, table: Any, pictures: Any) -> None:
    random = np.random.default_rng(0)
    numbering = {
        "in order": np.arange(N), "backwards": np.arange(N, 0, -1), "shuffled": random.permutation(N),
        "with gaps": random.permutation(100)[:N],
    }[order]  # fmt: skip
    if name == "X" and order == "with gaps":
        return  # which may be anything
    columns = {name: numbering.tolist(), "size": SIZES, "colour": COLOURS}
    with pytest.warns(UserWarning, match=r"not taken: '.*' \((has no name|numbers the rows)\)"):
        assert table(text(columns)).names == ("size", "colour")
    with pytest.warns(UserWarning, match="images"):
        assert pictures(columns).table().names == ("size", "colour")


HEADLESS = {
    "numbers": "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,other\n5.5,2.5,other\n",
    "whole numbers": "3,17,1\n4,12,0\n5,11,1\n9,10,0\n",
    "words": "red,round\nblue,long\nred,round\nblue,round\n",
    "images": "001.jpg,red\n002.jpg,blue\n003.jpg,red\n004.jpg,red\n",
    "truths": "yes,no\nno,no\nyes,yes\nno,yes\n",
    "a number twice": "1,1,5\n2,1,6\n3,0,9\n4,1,7\n",
    "decimal commas": "1,5;2,5\n2,5;3,5\n1,7;0,5\n0,2;9,9\n",
}


@pytest.mark.parametrize("content", HEADLESS.values(), ids=HEADLESS)
def test_a_table_without_a_header_is_noticed(content: str, table: Any) -> None:
    with pytest.raises(DataError, match=r"seems to have no header: .* put a line .*, or, if these are the names,"):
        table(content)


@pytest.mark.parametrize("head", [",0,1", "0,1,2", "2019a,b,c", "size,red,c", "x1,x2,x3"])
def test_a_header_is_a_header(head: str, table: Any) -> None:
    cells = {"a": range(3, 3 + 2 * N, 2), "b": COLOURS, "c": SIZES}
    body = text(cells).partition("\n")[2]
    assert len(table(f"{head}\n{body}").values) == N


# --- how it is written ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.filterwarnings("ignore:.*read as Windows-1252:UserWarning")
def test_encodings_and_line_ends(encoding: str, end: str, table: Any) -> None:
    found = table(text({"größe": SIZES, "colour": COLOURS}, end=end).encode(encoding))
    assert found.names == ("größe", "colour")
    assert found.attributes[1].categories == ("blue", "grün", "red")
    np.testing.assert_array_equal(found.values[:, 0], SIZES)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a,b\n1,\x81\n2,\x8d\n", "can't decode byte 0x81"),
        (b"a,b\n1,x\0y\n2,z\n", "it holds zero bytes"),
        (b'a,b\n1,"x\n2,z\n', "unexpected end of data"),
        (b"a,b\n1,x\n2\n", "row 3: 1 cells, but the header has 2"),
        (b"\xff\xfea\0,\0b\0\n\0\xd8", "truncated"),
        (bytes(range(256)) * 9, "is not a table of separated text"),
        (b"PK\x03\x04\x14\0\x06\0", "but a spreadsheet or a zip; export the table as .csv"),
        (gzip.compress(b"a,b\n1,2\n"), "but compressed, and should end in .gz"),
        (b"", "needs a header and at least one row"),
    ],
)
def test_what_is_no_text_is_refused_in_one_line(content: bytes, said: str, table: Any) -> None:
    with pytest.raises(DataError, match=said) as caught:
        table(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.tsv", "t.TSV", "t.csv.gz", "T.Tsv.GZ"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.filterwarnings("ignore:.*separated by:UserWarning")
def test_endings_of_tables(name: str, delimiter: str, table: Any, tmp_path: Path) -> None:
    content = text({"size": SIZES, "colour": COLOURS}, delimiter).encode()
    found = table(gzip.compress(content) if name.lower().endswith("gz") else content, name)
    assert describe_kinds(found.attributes) == "categorical: colour (blue, grün, red); continuous: size"
    assert is_table(tmp_path / name)
    assert not is_table(tmp_path / f"{name}.txt")


@pytest.mark.parametrize(
    "content", [gzip.compress(b"a,b\n1,2\n")[:-9], b"a,b\n1,2\n", gzip.compress(b"a,b\n1,2\n") + b"x"]
)
def test_a_damaged_gz_is_refused(content: bytes, table: Any) -> None:
    with pytest.raises(DataError, match="is not a table of separated text"):
        table(content, "t.csv.gz")


def test_excel_says_its_delimiter(table: Any) -> None:
    with pytest.warns(UserWarning, match="separated by semicolons"):
        assert table("sep=;\r\n" + text({"size": SIZES, "colour": COLOURS}, ";", "\r\n")).names == ("size", "colour")


def test_a_delimiter_in_names_is_not_the_files(table: Any) -> None:
    with pytest.warns(UserWarning, match="separated by semicolons; decimal commas"):
        found = table("length, mm;weight, g\n1,5;2,5\n2,5;3,5\n1,75;0,5\n")
    assert found.names == ("length, mm", "weight, g")


# --- parquet ----------------------------------------------------------------------------------------------------------


def png(bright: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (4, 4), bright).save(file, "PNG")
    return file.getvalue()


ODD: dict[str, list[Any]] = {
    "mask": [{"bytes": png(255), "path": None} for _ in range(N)],
    "hash": [bytes([i, 0, 7]) for i in range(N)],
    "box": [[0.0, 1.0, 2.0, float(i)] for i in range(N)],
    "tags": [["a"] * (i % 3) for i in range(N)],
    "meta": [{"make": "x", "iso": i} for i in range(N)],
    "none": [None] * N,
}


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.filterwarnings("ignore:.*images; :UserWarning")
def test_parquet_cells_that_are_not_single_values(turn: int, tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"image": [png(5 * i) for i in range(N)], "bright": [5 * i for i in range(N)], **ODD}
    names = list(columns)
    order = [*names[turn:], *names[:turn]]
    parquet.write_table(arrow.table({name: columns[name] for name in order}), tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match="images in image"):
        data = ImageTable(root=str(tmp_path), size=4, cache=str(tmp_path / "cache"))
    assert data.table().names == ("bright",)
    for split in (data.load("train"), data.load("test")):
        np.testing.assert_array_equal(split.images[:, 0, 0, 0], split.values[:, 0])
    with pytest.raises(DataError, match="box holds lists, structures or bytes, not single values"):
        ImageTable(root=str(tmp_path), size=4, attributes=["box"])
    masks = ImageTable(root=str(tmp_path), size=4, image="mask", cache=str(tmp_path / "cache"))
    assert int(masks.load("train").images.min()) == 255
    parquet.write_table(arrow.table({n: columns[n] for n in order if n != "image"}), tmp_path / "u.parquet")


def test_parquet_types_are_the_kinds_of_their_text(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {
        "size": arrow.array(SIZES, arrow.float32()),
        "grade": arrow.array([1.0, 2.0, 3.0] * 4),
        "colour": arrow.array(COLOURS).dictionary_encode(),
        "when": arrow.array([10**18 + 7 * i for i in range(N)], arrow.timestamp("ns")),
        "price": arrow.array([*map(str, SIZES)]).cast(arrow.decimal128(10, 3)),
        "alive": arrow.array([True, False] * 6),
    }
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    with pytest.warns(UserWarning, match=r"not taken: 'when' \(12 different texts, such as .*\)"):
        found = read_table(tmp_path / "t.parquet")
    kinds = {"size": "continuous", "grade": "categorical", "colour": "categorical", "price": "continuous"}
    assert {a.name: a.kind for a in found.attributes} == {**kinds, "alive": "binary"}
    assert found.attributes[1].categories == ("1", "2", "3")


# --- anything ---------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8).filter(
    lambda word: not is_hole(word) and bare(word) == word and numbers([word]) is None
)
FORMS = {
    "delimiter": st.sampled_from([",", ";", "\t"]),
    "quoting": st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    "end": st.sampled_from(["\n", "\r\n", "\r"]),
    "encoding": st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    "suffix": st.sampled_from([".csv", ".tsv", ".csv.gz"]),
}


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(WORDS, min_size=2, max_size=4, unique_by=str.casefold),
    values=st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 4)), min_size=6, max_size=20, unique=True),
    form=st.fixed_dictionaries(FORMS),
)
def test_any_table_is_read_as_it_was_written(
    words: list[str], values: list[float], form: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / f"t{form['suffix']}"
    chosen = [words[i % len(words)] for i in range(len(values))]
    file = io.StringIO()
    writer = csv.writer(file, delimiter=form["delimiter"], quoting=form["quoting"], lineterminator=form["end"])
    writer.writerows([["size", "a word"], *zip(values, chosen, strict=True)])
    content = file.getvalue().encode(form["encoding"])
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    assert {name: list(cells) for name, cells in read_columns(path).items()} == {
        "size": [str(value) for value in values], "a word": chosen
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_table(path, ["size", "a word"], {"size": "continuous", "a word": "categorical"})
    np.testing.assert_array_equal(found.values[:, 0], values)
    assert [found.attributes[1].categories[int(code)] for code in found.values[:, 1]] == chosen


ODDEST = [
    *HOLES, "1", "2", "0", "-1", "1.5", "1,5", "1,234", "1.234,5", "1e999", "-inf", "1_0", "yes", "No", "TRUE", "red",
    "blue", "x;y", "a,b", "tab\there", "line\nbreak", '"', "'", "=1+1", "00", "1.0", "é", "e\u0301", "\u200b", "\ufeff",
    "2024-01-01", "12:30", "5 kg", "10%", "[1, 2]", "1/2", "$5", "a.jpg", "\\N", "-", ".", "+", "e", "1e", "0x1F", "🙂",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_odd_cells_are_a_table_or_one_line(seed: int, tmp_path: Path) -> None:
    """A thousand random tables of them, 125 for each seed."""
    random = np.random.default_rng(seed)
    path = tmp_path / "t.csv"
    for _ in range(125):
        n, d = random.integers(1, 9), random.integers(1, 5)
        few = random.choice(ODDEST, random.integers(1, 6))
        rows = [[str(cell) for cell in random.choice(few if random.random() < 0.7 else ODDEST, d)] for _ in range(n)]
        names = [f"c{j}" if random.random() < 0.8 else str(random.choice(ODDEST)) for j in range(d)]
        file = io.StringIO()
        delimiter, end = str(random.choice([",", ";", "\t"])), str(random.choice(["\n", "\r\n"]))
        quoting = int(random.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
        csv.writer(file, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows([names, *rows])
        path.write_bytes(file.getvalue().encode(str(random.choice(["utf-8", "utf-8-sig", "utf-16"]))))
        for missing in ("refuse", "drop"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    found = read_table(path, missing=missing)  # type: ignore[arg-type]
                except UserError as error:
                    assert "\n" not in str(error), rows  # noqa: PT017
                else:
                    assert isinstance(found, Table)
                    assert np.isfinite(found.latents).all(), rows


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(ODDEST), st.floats(), st.integers(), st.booleans(), st.none()), min_size=1))
def test_odd_cells_of_any_type_are_an_attribute_or_one_line(cells: list[object]) -> None:
    try:
        attribute, values = as_attribute("a", cells, None, HERE)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert isinstance(attribute, Attribute)
        assert np.isfinite(values).all()
