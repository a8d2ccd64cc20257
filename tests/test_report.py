"""The report: one page that holds everything it shows, opened in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import DataError
from ccigkit.evaluation import evaluate
from ccigkit.evaluation.exhibits import exhibit, sweep
from ccigkit.evaluation.page import write_report
from ccigkit.graph import CausalGraph
from ccigkit.metrics.readers.predictor import predictor
from ccigkit.show.drawings import curve_svg, graph_svg, save_graph, verdicts
from tests.browser import browse, needs_browser, screenshot
from tests.helpers import TINY, ccigkit
from tests.outside import Oracle

torch.set_num_threads(1)

SECTIONS = ("At a glance", "The graph", "Counterfactuals", "Every do()", "Seeing and doing", "What moves what",
            "Traversals", "Training", "Metrics", "Provenance")  # fmt: skip


SECTION = """
import ccigkit


@ccigkit.hookimpl
def ccigkit_report_sections(name, model, data):
    return {"Of a plugin": f"<p class='faint'>{len(data.table().names)} attributes</p>"}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(found / "cache"))
        yield found


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    """The report of a run of two steps."""
    run = folder / "<tiny>"
    done = ccigkit("train", "--data", "pendulum", *TINY, "--steps", 2, "--run", run)
    assert done.code == 0, done.err
    words = ("--metric", "truth", "truth.n=8", "truth.predictor_steps=2", "--metric", "graph")
    (folder / "mine.py").write_text(SECTION)
    words += ("--plugin", str(folder / "mine.py"))
    done = ccigkit("evaluate", run, *words, "--html", folder / "report.html")
    assert done.code == 0, done.err
    return folder / "report.html"


def test_the_page_holds_everything_it_shows(page: Path) -> None:
    text = page.read_text()
    for section in SECTIONS:
        assert re.search(rf"<h[23]>{re.escape(section)}</h[23]>", text), section
    addresses = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert addresses
    assert {address.partition(",")[0] for address in addresses if not address.startswith("#")} == {
        "data:image/webp;base64"
    }
    assert all(f'id="{address[1:]}"' in text for address in addresses if address.startswith("#"))
    assert "url(" not in text
    assert "<script" not in text


def test_a_section_of_a_plugin_stands_in_it(page: Path) -> None:
    assert "<h3>Of a plugin</h3>\n  <p class='faint'>4 attributes</p>" in page.read_text()


def test_names_are_text_and_nothing_else(page: Path) -> None:
    assert "&lt;tiny&gt;" in page.read_text()
    assert "<tiny>" not in page.read_text()


@needs_browser
def test_a_browser_without_a_network_opens_it(page: Path) -> None:
    shown = browse(page, "--dump-dom", folder=page.parent)
    assert all(section in shown for section in SECTIONS)
    with Image.open(screenshot(page, page.parent / "report.png")) as file:
        pixels = np.asarray(file.convert("RGB")).astype(float)
    assert pixels.shape == (1600, 1200, 3)
    assert pixels.std() > 5  # something is there
    assert np.abs(np.diff(pixels[:, :60], axis=1)).max() < 40  # and the margin is a margin: nothing has run over


def test_a_model_that_is_not_ours_is_shown_too(folder: Path) -> None:
    data = Pendulum(n=60, size=32)
    model = Oracle(data)
    found = evaluate(model, data, metrics=("truth",), options={"truth": {"n": 8, "predictor_steps": 2}})
    write_report(
        folder / "oracle.html",
        {"oracle": [found]},
        [exhibit("oracle", model, data, predictor(data, steps=2))],
        "by hand",
    )
    text = (folder / "oracle.html").read_text()
    assert "The graph</h3>" not in text
    assert "Training</h3>" not in text
    assert "the true ones" in text


def test_the_oracles_pictures_move_as_the_true_ones(folder: Path) -> None:
    data = Pendulum(n=60, size=32)
    shown = exhibit("oracle", Oracle(data), data, predictor(data, steps=2))
    ours, true = shown.effects
    assert torch.equal(ours.matrix, true.matrix)
    by_label = {strip.label: strip.images for strip in shown.counterfactuals[0].strips}
    assert torch.equal(by_label["the model's"], by_label["the true ones"])
    assert bool((by_label["where they differ"] == 1).all())
    assert {seen.panel.heading.split()[0] for seen in shown.seeing} == {"length", "position"}
    assert len(sweep(Oracle(data), *(t[:1] for t in _test_images(data)), 0)) == 9


def _test_images(data: Pendulum) -> tuple[torch.Tensor, torch.Tensor]:
    test = data.load("test")
    return test.images.float() / 127.5 - 1, torch.as_tensor(test.values).float()


def test_each_edge_is_what_it_is_said_to_be() -> None:
    names = ("a", "b", "c", "d")
    truth = CausalGraph.from_edges(names, ["a -> b", "b -> c", "a -> d"])
    graph = CausalGraph.from_edges(names, ["a -> b", "c -> b", "c -> d"])
    assert verdicts(graph, truth) == {
        ("a", "b"): "right", ("c", "b"): "reversed", ("c", "d"): "extra", ("a", "d"): "missing",
    }  # fmt: skip
    assert set(verdicts(graph, None).values()) == {"right"}
    drawn = graph_svg(graph, truth, "<a graph>")
    assert all(drawn.count(f"edge {kind}") == 1 for kind in ("right", "reversed", "extra", "missing"))
    assert "&lt;a graph&gt;" in drawn


def test_a_graphs_file_is_the_same_each_time_and_keeps_names_as_text(tmp_path: Path) -> None:
    graph = CausalGraph.from_edges(("the_cause", "<b>"), ["the_cause -> <b>"])
    for name in ("one.svg", "two.svg"):
        save_graph(graph, tmp_path / name, title="a title")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    assert all(f">{word}</text>" in text for word in ("the cause", "&lt;b&gt;", "a title"))
    with pytest.raises(DataError, match=r"graph\.txt does not end in an image format"):
        save_graph(graph, tmp_path / "graph.txt")


def test_a_drawing_in_a_page_brings_nothing_that_others_there_could_meet() -> None:
    drawn = graph_svg(CausalGraph.from_edges(("#3f51b5", "\uffff"), []), None, "a graph")
    assert not re.search(r"\bid=|<style|url\(|href|<defs|<metadata", drawn)
    assert ">#3f51b5</text>" in drawn, "a name that is a colour stays a name"
    assert 'style="fill: #' not in drawn
    assert "stroke: #" not in drawn, "every colour is the page's"


def test_a_curve_has_few_points_and_keeps_its_ends() -> None:
    drawn = curve_svg([(step, 1 / (1 + step)) for step in range(5000)], "loss")
    points = re.findall(r"[ML] ([\d.]+) ([\d.]+)", drawn)
    assert len(points) == 120
    heights = [float(y) for _, y in points]
    assert heights == sorted(heights)  # a loss that falls goes down the page
    assert len(re.findall("[ML] ", curve_svg([(1, 2.0)], "one"))) == 2
