"""A user's own words: any name goes through every file and comes back, and is markup to nobody."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import time
import tomllib
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from ccigkit.attributes import Attribute, Attributes, Table, parse_do
from ccigkit.causal.edges import parse_edge, read_edge
from ccigkit.commands.config import Config, KnowledgeSettings, parse_settings
from ccigkit.commands.train import assemble
from ccigkit.data.files.cells import as_attribute
from ccigkit.data.files.columns import is_table, read_table
from ccigkit.errors import ConfigError, DataError, GraphError
from ccigkit.evaluation.boards import Board, terminal_table
from ccigkit.evaluation.page import anchor
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.images import save_graph, save_rows
from ccigkit.model import load_model, save_model
from ccigkit.names import fault, heading, in_file_name, labels, number, one_line, quoted, setting, shown
from ccigkit.show import progress, tables
from ccigkit.show.drawings import graph_svg
from ccigkit.show.layout import folded, layered
from ccigkit.show.paper import Paper
from ccigkit.show.sheet import correlations
from ccigkit.show.terminal import plain, say
from ccigkit.structure.learned import Learned
from tests.helpers import Outcome, ccigkit, command, environment, tiny

torch.set_num_threads(1)

ODD = (
    "Unnamed: 0", "a:b", "x->y", "a -> b", "a -> b : 1", 'say "hi"', "it's", "back\\slash", "# remark", "a=b", "r=1",
    "speed [m/s]", "rate [/min]", "rate [bold]", ":smile:", "US$$", "in_$_out_$", "$x_1$", "w/h", "..", "年齢", "é",
    "{x}", "<b>&amp;", "%2F", "{{ 1 }}", "true", "1", "nan", "blood pressure", "a.b", "x" * 300, "😀", "שלום",
)  # fmt: skip
QUICK = settings(max_examples=60, deadline=None)
NAMES = st.lists(st.one_of(st.text(min_size=1), st.sampled_from(ODD), st.text('ab->: "\\\n#=', min_size=1)),
                 min_size=2, max_size=5, unique=True)  # fmt: skip
TABLE_NAMES = NAMES.map(lambda names: list(dict.fromkeys(n for n in map(heading, names) if not fault(n)))).filter(
    lambda names: len(names) > 1
)


def chain(names: Sequence[str]) -> CausalGraph:
    """Every name the cause of the next, and the first of the last."""
    strengths = np.diag(0.25 + np.arange(len(names) - 1.0), 1)
    strengths[0, -1] = -0.5
    return CausalGraph(tuple(names), strengths)


def attributes(names: Sequence[str]) -> Attributes:
    rows = np.random.default_rng(0).normal(size=(9, len(names)))
    return Table.fit([Attribute(name, "continuous") for name in names], rows).attributes


def from_text(text: str, folder: Path) -> CausalGraph:
    path = folder / "graph.toml"
    path.write_text(text, encoding="utf-8")
    return CausalGraph.from_toml(path)


# --- A: names come back from every file -------------------------------------------------------------------------------


@QUICK
@given(names=NAMES)
@example(names=["a", "b", "b : 1", "a -> b"])
@example(names=["a -> b", "c", "a", "b -> c"])
@example(names=[" a", "a", "a ", "->"])
@example(names=list(ODD))
def test_a_graph_of_any_names_comes_back_from_toml(names: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    graph = chain(names)
    assert from_text(graph.to_toml(), tmp_path_factory.getbasetemp()) == graph


@QUICK
@given(names=NAMES, remark=st.text())
def test_remarks_and_edges_left_out_stay_comments(
    names: list[str], remark: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    graph = chain(names)
    remarks = {(cause, effect): remark for cause in names for effect in names if cause != effect}
    assert from_text(graph.to_toml(remarks), tmp_path_factory.getbasetemp()) == graph


def test_edges_of_ordinary_names_are_lines_as_ever() -> None:
    graph = CausalGraph.from_edges(("blood pressure", "Male"), ["Male -> blood pressure : 0.7"])
    assert graph.to_toml() == 'names = ["blood pressure", "Male"]\nedges = [\n    "Male -> blood pressure : 0.7",\n]\n'


def test_an_edge_that_can_be_read_in_two_ways_is_refused_with_both() -> None:
    with pytest.raises(GraphError, match=r'2 ways; write \{ cause = "a", effect = "b -> c" \} or \{ cause = "a -> b"'):
        parse_edge("a -> b -> c", ["a", "b -> c", "a -> b", "c"])
    assert read_edge({"cause": "a -> b", "effect": "c", "strength": 2}, ["a -> b", "c"]) == ("a -> b", "c", 2.0)


@pytest.mark.parametrize("edge", ['{cause = "a"}', '{cause = "a", effect = 1}', '{cause = "a", effect = "b", x = 1}',
                                  '{cause = "a", effect = "b", strength = true}', '"a"', '"a -> z"'])  # fmt: skip
def test_an_edge_that_is_none_is_one_line(edge: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError) as refused:
        from_text(f'names = ["a", "b"]\nedges = [{edge}]', tmp_path)
    assert "\n" not in str(refused.value)


@QUICK
@given(names=TABLE_NAMES)
@example(names=list(ODD))
def test_knowledge_of_any_names_comes_back_from_a_configuration(names: list[str]) -> None:
    known = {
        "required": [{"cause": names[0], "effect": names[1]}],
        "forbidden": [{"cause": names[1], "effect": names[0]}],
    }
    table = {**known, "tiers": [names[:1], names[1:]], "roots": names[:1], "leaves": names[1:]}
    config = Config.resolve([("test", {"knowledge": table})])
    again = Config.resolve([("file", tomllib.loads(config.to_toml()))])
    assert again.knowledge.added_to(Knowledge(), names) == Knowledge(
        frozenset({(names[0], names[1])}),
        frozenset({(names[1], names[0])}),
        (tuple(names[:1]), tuple(names[1:])),
        frozenset(names[:1]),
        frozenset(names[1:]),
    )


def test_the_names_say_which_arrow_is_the_edges() -> None:
    own = KnowledgeSettings(required=["x->y -> a:b", "a -> x->y"], from_data=False)
    known = own.added_to(Knowledge(), ["a", "x->y", "a:b"])
    assert known.required == {("x->y", "a:b"), ("a", "x->y")}


@QUICK
@given(names=TABLE_NAMES)
@example(names=list(ODD))
def test_a_configuration_with_any_names_comes_back(names: list[str]) -> None:
    data = {"name": "table", "attributes": names, "kinds": dict.fromkeys(names, "binary"), "image": names[0]}
    config = Config.resolve([("test", {"data": data})])
    assert Config.resolve([("file", tomllib.loads(config.to_toml()))]).tables == config.tables
    typed = shlex.split(setting("data.kinds", {names[0]: "binary"}))
    assert parse_settings(typed) == {"data": {"kinds": {names[0]: "binary"}}}


@QUICK
@given(names=TABLE_NAMES, value=st.floats(-0.2, 0.2))
@example(names=list(ODD), value=0.1)
@example(names=["a", "a=0.1", "a=0.1=0.1"], value=0.1)
def test_any_name_can_be_set(names: list[str], value: float) -> None:
    assert parse_do([f"{name}={value!r}" for name in names], attributes(names)) == dict.fromkeys(names, value)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\rb", "tab\t", "bell\a", "\x1b[31m", "\ud800", "\u2028"])
def test_a_name_that_is_none_is_refused_with_the_remedy(name: str) -> None:
    with pytest.raises(DataError, match=r"the attribute name .* rename that column"):
        Attributes([Attribute("a", "binary"), Attribute(name, "binary")])


@pytest.mark.parametrize(("header", "name"), [("line\nbreak", "line break"), (" a\r\n (b) ", "a (b)"), ("a\tb", "a b")])
def test_a_heading_in_several_lines_is_a_name_in_one(header: str, name: str, tmp_path: Path) -> None:
    table = read_table(write_csv(tmp_path / "t.csv", [header, "x"]))
    assert table.names == (name, "x")


def write_csv(path: Path, names: Sequence[str], n: int = 40) -> Path:
    """A table whose columns cause one another in turn."""
    rows = np.random.default_rng(0).normal(size=(n, len(names))).cumsum(axis=1).round(3)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *rows.tolist()])
    return path


@settings(max_examples=12, deadline=None)
@given(names=TABLE_NAMES)
@example(names=list(ODD[:12]))
@example(names=list(ODD[12:24]))
def test_the_graph_of_a_table_of_any_names_is_learned_written_and_handed_back(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp()
    table, out = write_csv(folder / "names.csv", names), folder / "names.toml"
    done = ccigkit("graph", table, "--structure", "boss", "--out", out)
    if "no header" in done.err:  # numbers over numbers, all of them, may be a first row
        assert all(number(name) is not None for name in names)
        return
    assert done.code == 0, done.err
    known = ccigkit("graph", table, "--structure", "known", f"structure.graph={quoted(str(out))}", "--truth", out)
    assert known.code == 0, known.err
    assert "SHD to the true graph: 0" in known.out
    assert CausalGraph.from_toml(out).names == read_table(table).names


# --- a whole run, with names of every kind ----------------------------------------------------------------------------

COLUMNS = ("Unnamed: 0.1", "x->y", 'say "hi"', "speed [m/s]", "US$$ in_$_out", "w/h", "a=b", "年齢")
DO = ("--do", "w/h=0.1", "--do", "a=b=0.2", "--do", "rating [1]=3")
TRAIN = ("data.size=32", "backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps on images whose table has names and categories of every kind, then resumed for a third."""
    folder = tmp_path_factory.mktemp("own")
    random, rows = np.random.default_rng(0), []
    for i in range(40):
        name = f"{i}.png"
        (folder / "images").mkdir(exist_ok=True)
        Image.new("RGB", (24, 24), tuple(random.integers(0, 255, 3).tolist())).save(folder / "images" / name)
        rows.append([name, *random.normal(size=len(COLUMNS)).round(3), 1 + i % 3])
    with (folder / "images" / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["photo", *COLUMNS, "rating [1]"], *rows])
    words = (f"data.root={folder / 'images'}", f"data.cache={folder / 'cache'}", *TRAIN)
    words += ('data.kinds={"rating [1]" = "categorical"}', 'knowledge.required=["x->y -> a=b"]', "--data", "table")
    for steps in (2, 3):
        done = ccigkit("train", *words, "--steps", steps, "--run", folder / "run [x]")
        assert done.code == 0, done.err
    assert f"{folder / 'run [x]'}: table" in done.out
    assert "going on from step 2" in done.out
    return folder / "run [x]"


def test_a_run_with_any_names_loads(run: Path) -> None:
    model = load_model(run)
    assert model.attributes.names == (*COLUMNS, "rating [1]")
    assert ("x->y", "a=b") in model.graph.edges
    assert CausalGraph.from_toml(run / "graph.toml").edges == model.graph.edges
    assert [edge[:2] for edge in json.loads((run / "model.json").read_text())["edges"]] == [
        list(edge) for edge in model.graph.edges
    ]


def test_a_question_of_any_words_is_one_file_in_the_folder_that_was_asked_for(run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "me.png")
    done = ccigkit("counterfactual", run, tmp_path / "me.png", *DO, "--out", tmp_path / "out [x]")
    assert done.code == 0, done.err
    (made,) = (tmp_path / "out [x]").iterdir()
    assert made.name == "me do(w%2Fh=0.1,a=b=0.2,rating [1]=3).png"
    assert ccigkit("sample", run, "-n", 1, *DO, "--out", tmp_path / "s.png").code == 0


def test_pictures_of_one_name_do_not_overwrite_each_other(run: Path, tmp_path: Path) -> None:
    given = [tmp_path / name for name in ("a/me.png", "b/me.png", "me.jpg", "you.png")]
    for shade, path in enumerate(given):
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (60 * shade,) * 3).save(path)
    assert ccigkit("counterfactual", run, *given, "--do", "w/h=0.1", "--out", tmp_path / "out").code == 0
    made = sorted(path.name.partition(" do(")[0] for path in (tmp_path / "out").iterdir())
    assert made == ["a me", "b me", "me.jpg", "you"]


def test_a_run_with_any_names_is_measured(run: Path, tmp_path: Path) -> None:
    done = ccigkit("evaluate", run, "--metric", "composition", "composition.n=4", "--json", tmp_path / "[j].json")
    assert done.code == 0, done.err
    assert "run [x]: composition" in done.out


# --- B: nobody's markup -----------------------------------------------------------------------------------------------


def printed(show: Callable[[Console], None]) -> str:
    """What is printed on a terminal with colours, without these."""
    console = Console(file=io.StringIO(), force_terminal=True, width=4000, color_system=None)
    show(console)
    found = console.file
    assert isinstance(found, io.StringIO)
    return found.getvalue()


WORDS = tuple(dict.fromkeys(one_line(name) for name in ODD))


@pytest.mark.parametrize("name", WORDS)
def test_a_terminal_shows_a_name_as_it_stands(name: str) -> None:
    graph = chain([name, "other"])
    learned = Learned(graph, _learner(), 0.0, Knowledge(tiers=((name,), ("other",))))
    row: Any = {"do": name, "row": name, "x": name}
    shows: list[Callable[[Console], None]] = [
        lambda c: say(c, name, plain(name, "bold")),
        lambda c: tables.describe_graph(c, learned, graph),
        lambda c: c.print(tables.facts_table({name: name}, name)),
        lambda c: c.print(tables.rows_table([{name: name}], name)),
        lambda c: c.print(terminal_table(Board(name, ("do", "row", "x"), (row,), {}))),
        lambda c: c.print(tables.frequency_table(_resampled(graph), graph)),
    ]
    for show in shows:
        assert name in printed(show)


@pytest.mark.parametrize("name", WORDS)
def test_a_live_line_shows_a_name_as_it_stands(name: str) -> None:
    def live(console: Console) -> None:
        with progress.progress(console, 2, 0) as tell:
            tell(1, {f"x.{name}": 1.0}, 1.0)
        with progress.counting(console, name, 2) as advance:
            advance()

    assert name.split(".")[-1] in printed(live)


def _learner() -> Any:
    from ccigkit.component.registry import build

    return build("structure", {"name": "boss"}, {"names": ("a", "b")})


def _resampled(graph: CausalGraph) -> Any:
    from ccigkit.structure.assess.bootstrap import Bootstrap

    return Bootstrap(graph, graph.adjacency.astype(float), 3)


def test_what_steers_a_terminal_is_shown_and_not_sent() -> None:
    assert one_line("\x1b[31mred\a\nand\tmore\u2028") == "\\x1b[31mred\\x07 and more "
    assert "\x1b" not in printed(lambda c: say(c, "\x1b[2J"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_that_lacks_a_letter_gets_its_number(encoding: str, tmp_path: Path) -> None:
    table = write_csv(tmp_path / "t.csv", ["年齢", "é", "x"])
    words = command("graph", table, "--structure", "boss", "data.attributes=['年齢', 'é', 'x']")
    env = environment(PYTHONIOENCODING=encoding)
    done = subprocess.run(words, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"\\u5e74\\u9f62" in done.stdout
    bad = subprocess.run(command("graph", tmp_path / "年.csv"), env=env, capture_output=True, check=False)
    assert (bad.returncode, b"\\u5e74.csv" in bad.stderr, bad.stderr.count(b"\n")) == (2, True, 1)


@pytest.mark.parametrize("name", [*ODD, "a\nb", "\x1b[31m", "$", r"\frac{1}{2}", "^_{"])
def test_every_picture_takes_every_name(name: str, tmp_path: Path) -> None:
    save_graph(chain([name, "other"]), tmp_path / "graph.png", title=name, shares=np.full((2, 2), 0.5))
    save_rows([(name, torch.zeros(1, 3, 8, 8))], tmp_path / "rows.png", name)
    if not fault(name):
        values = np.random.default_rng(0).normal(size=(9, 2))
        paper = Paper()
        correlations(paper, Table.fit([Attribute(n, "continuous") for n in (name, "other")], values))
        paper.cut(3, 3).save(tmp_path / "map.png")


def test_a_formula_is_not_typeset(tmp_path: Path) -> None:
    inked = {}
    for name in ("x", "$x$"):
        save_graph(CausalGraph((name,), np.zeros((1, 1))), tmp_path / "graph.png")
        with Image.open(tmp_path / "graph.png") as picture:
            inked[name] = int((np.asarray(picture.convert("L")) < 80).any(axis=0).sum())
    assert inked["$x$"] > 2 * inked["x"], "the dollars stand there"


@pytest.mark.parametrize("name", [*ODD, "</text><script>", "\x1b"])
def test_a_page_holds_a_name_as_text(name: str) -> None:
    parser = Texts()
    parser.feed(graph_svg(chain([name, "other"]), None, name))
    assert shown(name) in parser.texts
    assert "script" not in parser.tags


class Texts(HTMLParser):
    """What a page says, and in which elements."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)


def test_every_text_has_an_address_of_its_own() -> None:
    texts = ("realism", "年齢", "名前", "a b", "a/b", "A-B", "")
    assert len({anchor(text) for text in texts}) == len(texts)
    assert anchor("realism") == "realism"


@QUICK
@given(text=st.text(min_size=1))
@example(text="x" * 500)
@example(text="年" * 200)
@example(text="../../etc")
def test_any_text_can_be_part_of_a_file_name(text: str) -> None:
    part = in_file_name(text)
    assert not set(part) & set('<>:"/\\|?*\0\n')
    assert len(part.encode("utf-8", "surrogatepass")) <= 220
    assert Path("out", f"{part}.png").parent == Path("out")


@QUICK
@given(a=st.text('a/%2F:é"', max_size=5), b=st.text('a/%2F:é"', max_size=5))
def test_different_texts_are_different_in_file_names(a: str, b: str) -> None:
    assert (in_file_name(a) == in_file_name(b)) == (a == b)


@QUICK
@given(paths=st.lists(st.tuples(st.sampled_from("abA"), st.sampled_from("xyX"), st.sampled_from(["png", "jpg"])),
                      unique=True, max_size=8))  # fmt: skip
def test_different_files_have_different_labels(paths: list[tuple[str, str, str]]) -> None:
    given = [Path(folder, f"{stem}.{ending}") for folder, stem, ending in paths]
    found = labels(given)
    assert len({label.casefold() for label in found}) == len(given)
    stems = [path.stem.casefold() for path in given]
    assert all(
        label == path.stem for label, path in zip(found, given, strict=True) if stems.count(path.stem.casefold()) == 1
    )


@pytest.mark.parametrize("name", ["rating", "blood pressure", "it's", 'say "hi"', "a.b", "年齢", "x = 1"])
def test_the_remedy_offered_for_a_column_can_be_typed(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        as_attribute(name, ["1", "2", "3", "4", "x"], None, tmp_path)
    remedy = str(refused.value).partition("or say what it is: ")[2]
    assert parse_settings(shlex.split(remedy)) == {"data": {"kinds": {name: "categorical"}}}


@pytest.mark.parametrize("word", ["data.image=a\nb = 2", "data.image=1\nx=2"])
def test_a_setting_is_one_value(word: str) -> None:
    assert parse_settings([word]) == {"data": {"image": word.partition("=")[2]}}


def test_bytes_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    assert "not written in UTF-8" in ccigkit("train", "--data", "table", f"data.root={tmp_path}/\udcff").refusal()


# --- C: categories as the table writes them ---------------------------------------------------------------------------

RATING = Attribute("r", "categorical", categories=("1", "2", "3")).fitted(np.array([0.0, 1, 2, 2]))
SHAPE = Attribute("shape", "categorical", categories=("flat", "round")).fitted(np.array([0.0, 1, 1]))
WRITTEN = Attributes([RATING, SHAPE, Attribute("age", "continuous").fitted(np.array([20.0, 40])),
                      Attribute("smoker", "binary").fitted(np.array([0.0, 1]))])  # fmt: skip


@pytest.mark.parametrize("value", [1, 1.0, "1", "1.0", " 1 ", np.int64(1), np.float32(1), np.str_("1"), "1e0", "+1"])
def test_a_category_that_is_a_number_is_named_as_it_is_written(value: Any) -> None:
    assert WRITTEN.interventions({"r": value}) == {0: RATING.intervention(0)}
    assert parse_do([f"r={value}"], WRITTEN) == {"r": "1"}


@pytest.mark.parametrize(
    "value", [0, "0", 4, 1.5, "one", "1_0", "", "nan", None, float("nan"), float("inf"), 10**400, True]
)
def test_what_no_category_is_called_is_refused(value: Any) -> None:
    if value is True:
        assert WRITTEN.interventions({"r": True}) == WRITTEN.interventions({"r": 1})
        return
    with pytest.raises(ConfigError, match="1, 2, 3") as refused:
        WRITTEN.interventions({"r": value})
    assert "\n" not in str(refused.value)


def test_a_tensor_or_an_array_holds_codes_and_a_list_values() -> None:
    codes = torch.tensor([0.0, 2.0])
    expected = RATING.intervention(codes)
    for value in (codes, codes.numpy(), ["1", 3], (1, "3.0")):
        assert torch.equal(WRITTEN.interventions({"r": value})[0], expected)  # type: ignore[dict-item]


def test_a_word_is_no_number_and_a_number_no_word() -> None:
    for value in (0, 1, "0", "1"):
        with pytest.raises(ConfigError, match="one of flat, round"):
            WRITTEN.interventions({"shape": value})
    assert WRITTEN.interventions({"shape": "round"}) == {1: SHAPE.intervention(1)}


def test_numbers_may_be_said_in_text_everywhere() -> None:
    assert WRITTEN.interventions({"age": "30"}) == WRITTEN.interventions({"age": 30})
    assert WRITTEN.interventions({"smoker": "1"}) == WRITTEN.interventions({"smoker": True})
    for name in ("age", "smoker"):
        for value in ("old", "", "3_0", None, [None]):
            with pytest.raises(ConfigError, match="is not a value of"):
                WRITTEN.interventions({name: value})  # type: ignore[dict-item]


def test_a_number_that_two_categories_are_written_like_is_refused_and_each_as_written_is_not() -> None:
    odd = Attributes([Attribute("r", "categorical", categories=("1", "1.0", "01")).fitted(np.array([0.0, 1, 2]))])
    for code, text in enumerate(("1", "1.0", "01")):
        assert odd.interventions({"r": text}) == {0: odd[0].intervention(code)}
    with pytest.raises(ConfigError, match="say which, as it is written"):
        odd.interventions({"r": "1.00"})


WORD = st.text(min_size=1).map(str.strip).filter(bool)


@QUICK
@given(words=st.lists(st.one_of(WORD, st.integers().map(str), st.floats(allow_nan=False).map(repr)), min_size=2,
                      max_size=5, unique=True), name=st.sampled_from(ODD))  # fmt: skip
@example(words=["1", "1=2", "=", "a=b"], name="a=b")
def test_any_category_is_set_by_its_word(words: list[str], name: str) -> None:
    codes = np.arange(float(len(words)))
    found = Attributes([Attribute(name, "categorical", categories=tuple(words)).fitted(codes)])
    for code, word in enumerate(words):
        assert found.interventions({name: word}) == {0: found[0].intervention(code)}
        assert parse_do([f"{name}={word}"], found) == {name: word}


def test_a_model_means_by_a_number_what_the_table_writes(tmp_path: Path) -> None:
    config = tiny()
    table = Table.fit(
        [Attribute("r", "categorical", categories=("1", "2", "3")), Attribute("x->y", "continuous")],
        np.stack([np.arange(30.0) % 3, np.random.default_rng(0).normal(size=30)], axis=1),
    )
    graph = CausalGraph.from_weights(table.names, [("r", "x->y", 0.123456789)])
    data: Any = type("Data", (), {"image_shape": (3, 32, 32), "frame": 1.0})
    model, _ = assemble(config, data, table, Learned(graph, _learner(), 0.0, Knowledge()))
    save_model(model, tmp_path, config.tables)
    loaded = load_model(tmp_path)
    assert loaded.graph == model.graph, "to the last digit"
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    asked: list[Any] = [1, "1", "1.0", torch.tensor(0.0), torch.zeros(2), ["1", 1]]
    first, *others = (loaded.counterfactual(image, {"r": value}) for value in asked)
    assert all(torch.equal(first, other) for other in others)
    with pytest.raises(ConfigError, match="r=0 is impossible"):
        loaded.sample(1, {"r": 0})


# --- J: endings, arguments, and pictures of large graphs --------------------------------------------------------------


@pytest.mark.parametrize("name", ["t.csv", "T.CSV", "t.TSV", "a.b.Parquet", "t.csv.gz", "T.TSV.GZ", "date=2024/t.csv"])
def test_a_table_is_known_by_its_ending_in_any_case(name: str) -> None:
    assert is_table(Path(name))


@pytest.mark.parametrize("name", ["t.txt", "csv", "t.gz", "t.csv.zip", "t.csv/"[:-1] + "x"])
def test_what_does_not_end_like_a_table_is_none(name: str) -> None:
    assert not is_table(Path(name))


@pytest.mark.parametrize("name", ["T.CSV", "date=2024/t.csv", "data.size=3.csv", "[x] $y$.csv"])
def test_a_file_that_is_there_is_a_table_whatever_its_name(name: str, tmp_path: Path) -> None:
    table = write_csv(tmp_path / name, ["a", "b"])
    for words in ((table,), ("train.seed=1", table)):
        done: Outcome = ccigkit("graph", *words, "--structure", "boss", "--out", tmp_path / "G.TOML")
        assert done.code == 0, done.err
        assert f"{table}: 40 rows" in done.out
    assert CausalGraph.from_toml(tmp_path / "G.TOML").names == ("a", "b")


def test_an_argument_that_is_neither_table_nor_setting_is_named(tmp_path: Path) -> None:
    assert "there is no table none.CSV" in ccigkit("graph", "none.CSV").refusal()
    assert "'date=2024/none.csv' is not KIND.OPTION=VALUE" in ccigkit("graph", "date=2024/none.csv").refusal()
    assert "does not end like a table" in ccigkit("graph", write_csv(tmp_path / "t.txt", ["a"])).refusal()
    assert "is not KIND.OPTION=VALUE" in ccigkit("graph", "x" * 5000).refusal()


@pytest.mark.parametrize("shape", ["nothing", "star", "chain"])
def test_a_graph_of_many_attributes_is_a_picture_that_can_be_looked_at(shape: str, tmp_path: Path) -> None:
    size = 500 if shape == "nothing" else 120
    strengths = np.zeros((size, size))
    if shape == "star":
        strengths[0, 1:] = 1
    if shape == "chain":
        strengths += np.diag(np.ones(size - 1), 1)
    start = time.monotonic()
    save_graph(CausalGraph(tuple(f"Attribute_{i}" for i in range(size)), strengths), tmp_path / "graph.png")
    with Image.open(tmp_path / "graph.png") as picture:
        assert max(picture.size) <= 12_000
        assert picture.width * picture.height <= 25e6
    assert time.monotonic() - start < 30


def test_a_broken_layer_keeps_causes_above_their_effects() -> None:
    names = tuple(f"Attribute_{i}" for i in range(90))
    strengths = np.zeros((90, 90))
    strengths[:30, 30:60] = np.eye(30)  # thirty pairs, and thirty without an edge
    drawn = layered(CausalGraph(names, strengths))
    assert drawn.width < 38, "thirty boxes beside each other are 41 inches wide"
    assert len(set(drawn.places.values())) == 90
    for way in drawn.arrows.values():
        assert all(upper[1] < lower[1] for upper, lower in pairwise(way))
    lowest = max(drawn.places[name][1] for name in names[:60])
    assert all(drawn.places[name][1] > lowest for name in names[60:])


def test_a_chain_of_hundreds_is_folded_into_columns_that_can_be_read() -> None:
    names, strengths = tuple(f"Attribute_{i}" for i in range(300)), np.diag(np.ones(299), 1)
    long = layered(CausalGraph(names, strengths))
    page = folded(long)
    assert long.height > 300
    assert max(page.width, page.height) < 40
    assert len(set(page.places.values())) == 300
    assert min(min(point) for way in page.arrows.values() for point in way) >= 0
    assert max(x for way in page.arrows.values() for x, _ in way) <= page.width
    assert max(y for way in page.arrows.values() for _, y in way) <= page.height
    for (cause, effect), way in page.arrows.items():
        assert (way[0], way[-1]) == (page.places[cause], page.places[effect])
        assert not {*way[1:-1]} & {*page.places.values()}


def test_a_graph_of_few_layers_is_in_one_piece() -> None:
    drawn = layered(CausalGraph(("a", "b"), np.array([[0.0, 1.0], [0.0, 0.0]])))
    assert folded(drawn) is drawn
