"""The page that shows a data set, and the list of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ccigkit.attributes import Attribute, Table
from ccigkit.interfaces import DataModule, Split
from PIL import Image

from ccigkit.commands.components import data_table
from ccigkit.component.registry import build
from ccigkit.show.sheet import caption, correlations, fitted, save_sheet, wrapped
from ccigkit.show.tables import attribute_table
from tests.helpers import ccigkit


class Unknown(DataModule):
    """Data whose truth nobody knows."""

    name = "unknown"
    attributes = tuple(Attribute(f"Attribute_{j}", "binary") for j in range(40))
    image_shape = (3, 200, 160)

    def load(self, split: str) -> Split:
        import torch

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


def test_small_pictures_grow_by_whole_pixels_and_large_ones_shrink() -> None:
    assert fitted(Image.new("RGB", (32, 32))).size == (128, 128)
    assert fitted(Image.new("RGB", (96, 96))).size == (128, 128)
    assert fitted(Image.new("RGB", (178, 218))).size == (105, 128)


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
    from PIL import ImageFont

    font = ImageFont.load_default(size=11)
    lines = wrapped(["one", "two", "a much longer part", "three"], font, 80)
    assert " ".join(lines) == "one, two, a much longer part, three"
    assert all(font.getlength(line) <= 80 for line in lines if "longer" not in line)


def test_correlations_are_blue_up_and_red_down() -> None:
    x = np.linspace(0, 1, 50)
    names = [Attribute(name, "continuous") for name in ("a", "b", "c")]
    picture = np.asarray(correlations(Table.fit(names, np.stack([x, x, -x], axis=1))))
    cell = 46
    up, down = (picture[-3 * cell + 4, -k * cell + 4] for k in (2, 1))
    assert up[2] > up[0]
    assert down[0] > down[2]


def test_the_list_tells_attributes_size_truth_and_needs() -> None:
    listed = ccigkit("data", "list").out
    assert all(word in listed for word in ("pendulum", "flow", "digits", "celeba", "graph of 4"))
    assert data_table().row_count >= 9
    assert attribute_table(build("data", {"name": "flow", "n": 20}, {})).row_count == 4
