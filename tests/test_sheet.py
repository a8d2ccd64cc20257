"""The page that shows a data set, and the list of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ccigkit.attributes import Attribute, Table
from ccigkit.commands.components import data_table
from ccigkit.component.registry import build
from ccigkit.interfaces import DataModule, Split
from ccigkit.show.paper import Paper
from ccigkit.show.sheet import DPI, MARGIN, TOP, caption, contact_sheet, correlations, save_sheet, wrapped
from ccigkit.show.tables import attribute_table
from tests.helpers import ccigkit


class Unknown(DataModule):
    """Data whose truth nobody knows."""

    name = "unknown"
    attributes = tuple(Attribute(f"Attribute_{j}", "binary") for j in range(40))
    image_shape = (3, 200, 160)

    def load(self, split: str) -> Split:
        random = np.random.default_rng(0)
        images = torch.from_numpy(random.integers(0, 255, (5, *self.image_shape), dtype=np.uint8))
        values = (np.arange(5)[:, None] + np.arange(40)) % 3 > 1
        return Split(images, values.astype(float))


@pytest.mark.parametrize("name", ["pendulum", "flow", "faces", "digits"])
def test_a_page_is_written_for_every_drawn_data_set(name: str, tmp_path: Path) -> None:
    save_sheet(build("data", {"name": name, "n": 40, "size": 32}, {}), tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as page:
        assert page.width > 800
        assert np.asarray(page.convert("L")).std() > 10


def test_a_page_needs_no_truth_and_takes_many_attributes(tmp_path: Path) -> None:
    save_sheet(Unknown(), tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


def pixels(paper: Paper, path: Path) -> np.ndarray:
    """A sheet as it is printed at 100 dots per inch."""
    paper.save(path, DPI)
    with Image.open(path) as file:
        return np.asarray(file.convert("RGB")).astype(int)


@pytest.mark.parametrize(("size", "grown"), [((32, 32), (128, 128)), ((96, 96), (128, 128)), ((178, 218), (105, 128))])
def test_small_pictures_grow_by_whole_pixels_and_large_ones_shrink(
    size: tuple[int, int], grown: tuple[int, int], tmp_path: Path
) -> None:
    wide, high = size
    checked = ((np.arange(high)[:, None] + np.arange(wide)) % 2 * 200).astype(np.uint8)
    split = Split(torch.from_numpy(checked)[None, None], np.zeros((1, 1)))
    table = Table.fit([Attribute("x", "continuous")], np.array([[0.0], [1.0]]))
    paper = Paper()
    contact_sheet(paper, split, table)
    printed = pixels(paper.cut(2, 2.4), tmp_path / "sheet.png")[..., 0]
    left, top = round(DPI * MARGIN), round(DPI * TOP)
    rows, columns = (np.flatnonzero((printed[: top + 134] < 250).any(axis=axis)) for axis in (1, 0))
    # the frame adds a pixel at most
    assert 0 <= np.ptp(columns) + 1 - grown[0] <= 2
    assert 0 <= np.ptp(rows) + 1 - grown[1] <= 2
    if size == (32, 32):
        inside = printed[top + 2 : top + 126, left + 2 : left + 126]
        changes = np.flatnonzero((np.diff(inside, axis=1) != 0).any(axis=0))
        assert set(np.diff(changes)) == {4}
        assert set(np.unique(inside)) == {0, 200}


def test_captions_say_labels_by_name_and_numbers_with_their_value() -> None:
    attributes = [
        Attribute("Smiling", "binary"),
        Attribute("Big_Nose", "binary"),
        Attribute("age", "continuous"),
        Attribute("digit", "categorical", categories=("zero", "one")),
    ]
    table = Table.fit(attributes, np.array([[1, 0, 30.5, 1], [0, 1, 20, 0.0]]))
    assert caption(table, table.values[0]) == ["Smiling", "age 30.5", "digit one"]


def test_lines_are_as_long_as_fits() -> None:
    lines = wrapped(["one", "two", "a much longer part", "three"], len, 14)
    assert " ".join(lines) == "one, two, a much longer part, three"
    assert lines == ["one, two,", "a much longer part,", "three"]


def test_a_line_is_measured_as_it_is_printed(tmp_path: Path) -> None:
    paper = Paper()
    paper.write(0.1, 0.2, "Wearing Lipstick", 10)
    dark = (pixels(paper.cut(3, 0.4), tmp_path / "line.png") < 128).any(axis=(0, 2))
    assert paper.length("Wearing Lipstick", 10) == pytest.approx(np.ptp(np.flatnonzero(dark)) / DPI, abs=0.05)


def test_correlations_are_blue_up_and_red_down(tmp_path: Path) -> None:
    x = np.linspace(0, 1, 50)
    names = [Attribute(name, "continuous") for name in ("a", "b", "c")]
    paper = Paper()
    right, lower = correlations(paper, Table.fit(names, np.stack([x, x, -x], axis=1)))
    picture = pixels(paper.cut(right, lower), tmp_path / "map.png")
    cell = 46
    up, down = (picture[-3 * cell + 4, -k * cell + 4] for k in (2, 1))
    assert up[2] > up[0]
    assert down[0] > down[2]


def test_the_list_tells_attributes_size_truth_and_needs() -> None:
    listed = ccigkit("data", "list").out
    assert all(word in listed for word in ("pendulum", "flow", "digits", "celeba", "graph of 4"))
    assert data_table().row_count >= 9
    assert attribute_table(build("data", {"name": "flow", "n": 20}, {})).row_count == 4
