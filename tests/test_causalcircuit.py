"""CausalCircuit's published files: pairs before and after an intervention."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccigkit import testing
from ccigkit.component.options import options_of
from ccigkit.component.registry import signature_fault
from ccigkit.data.causalcircuit import NAMES, CausalCircuit
from ccigkit.errors import DataError
from tests.data_folders import write_causalcircuit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_causalcircuit(tmp_path / "circuit")


@pytest.fixture
def circuit(tmp_path: Path, folder: Path) -> Callable[..., CausalCircuit]:
    return lambda **options: CausalCircuit(
        **{"root": str(folder), "cache": str(tmp_path / "cache"), "size": 16, **options}
    )


def brightness(images: Any) -> Any:
    """Arm, blue, green and red, as the pictures show them in their quarters."""
    return images[:, 0][:, [12, 12, 4, 4], [12, 4, 12, 4]].double().numpy() / 255


def test_is_a_component_and_keeps_the_contract(tmp_path: Path) -> None:
    assert signature_fault(CausalCircuit) is None
    assert all(option.help for option in options_of(CausalCircuit).values())
    folder = write_causalcircuit(tmp_path / "one", parts=1)
    testing.check(CausalCircuit, root=str(folder), cache=str(tmp_path / "cache"), size=16)


def test_every_image_has_its_own_latents(circuit: Callable[..., CausalCircuit]) -> None:
    for split, count in (("train", 24), ("test", 12)):
        loaded = circuit().load(split)
        assert len(loaded) == count
        np.testing.assert_allclose(brightness(loaded.images), loaded.values, atol=0.03)


def test_pairs_are_before_and_after(circuit: Callable[..., CausalCircuit], folder: Path) -> None:
    pairs = circuit().pairs("train")
    np.testing.assert_allclose(brightness(pairs.before.images), pairs.before.values, atol=0.03)
    np.testing.assert_allclose(brightness(pairs.after.images), pairs.after.values, atol=0.03)
    assert not np.allclose(pairs.before.values, pairs.after.values)
    with np.load(folder / "train-0.npz", allow_pickle=True) as file:
        np.testing.assert_array_equal(pairs.held[:12, ::-1], file["intervention_masks"])


def test_what_was_set_is_known_of_the_images_after(circuit: Callable[..., CausalCircuit]) -> None:
    both, pairs = circuit(both=True), circuit().pairs("train")
    table, images = both.table(), both.load("train").images
    assert pairs.held is not None
    for moment, one, held in ((0, pairs.before, np.zeros_like(pairs.held)), (1, pairs.after, pairs.held)):
        assert (images[moment::2] == one.images).all()
        np.testing.assert_array_equal(table.values[moment::2], one.values)
        np.testing.assert_array_equal(table.intervened[moment::2], held)  # type: ignore[index]
    again = both.pairs("train")
    assert (again.before.images == pairs.before.images).all()
    np.testing.assert_array_equal(again.before.values, pairs.before.values)


def test_the_truth_is_the_published_graph(circuit: Callable[..., CausalCircuit]) -> None:
    truth = circuit().truth
    assert truth is not None
    assert truth.names == NAMES
    assert set(truth.edges) == {
        ("arm", "blue"), ("arm", "green"), ("arm", "red"), ("blue", "red"), ("green", "red")
    }  # fmt: skip


class Harm:
    """What a file of a stranger could have in it."""

    def __reduce__(self) -> Any:
        return print, ("code of the file was run",)


def test_no_code_of_a_file_is_run(folder: Path, circuit: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with np.load(folder / "train-0.npz", allow_pickle=True) as file:
        content = {name: file[name] for name in file.files}
    content["imgs"][0, 0] = Harm()
    np.savez(folder / "train-0.npz", **content)
    with pytest.raises(DataError, match=r"cannot read imgs in .*train-0.npz: it wants to run builtins.print"):
        circuit().load("train")
    assert "was run" not in capsys.readouterr().out


def test_bad_images_are_refused_or_skipped(folder: Path, circuit: Callable[..., CausalCircuit]) -> None:
    with np.load(folder / "train-0.npz", allow_pickle=True) as file:
        content = {name: file[name] for name in file.files}
    content["imgs"][3, 0] = b"no image"
    np.savez(folder / "train-0.npz", **content)
    with pytest.raises(DataError, match=r"^1 of 24 images in .* cannot be read, first train-0:3:before \(not an image"):
        circuit().load("train")
    with pytest.warns(UserWarning, match="left out"):
        assert len(circuit(on_bad="skip").load("train")) == 23


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.rename(path.with_name("else.npz")), "has no train.npz, nor a train-0.npz"),
        (lambda path: path.write_text("<html>"), "is an HTML page, not an .npz file"),
        (lambda path: path.write_bytes(path.read_bytes()[:500]), "cannot read .*train.npz: .*fetch it again"),
        (lambda path: np.savez(path, latents=np.zeros(3)), "unknown array 'original_latents': .* known are latents"),
        (lambda path: np.savez(path, original_latents=np.zeros((3, 4))), r"is \[3, 4\], not \[n, 2, 4\]"),
        (lambda path: np.savez(path, original_latents=np.zeros((3, 2, 4))), "unknown array 'imgs'"),
    ],
)
def test_bad_files(tmp_path: Path, spoil: Callable[[Path], Any], message: str) -> None:
    folder = write_causalcircuit(tmp_path / "one", parts=1)
    spoil(folder / "train.npz")
    with pytest.raises(DataError, match=message) as caught:
        CausalCircuit(root=str(folder), cache=str(tmp_path / "cache")).load("train")
    assert "\n" not in str(caught.value)


def test_every_protocol_of_pickle_is_read(folder: Path, circuit: Callable[..., CausalCircuit]) -> None:
    before = circuit().load("train").images.clone()
    with np.load(folder / "train-0.npz", allow_pickle=True) as file:
        imgs = file["imgs"]
    for protocol in (2, 3, 4):
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(imgs))
        with zipfile.ZipFile(folder / "train-0.npz") as archive:
            others = {name: archive.read(name) for name in archive.namelist() if name != "imgs.npy"}
        with zipfile.ZipFile(folder / "train-0.npz", "w") as archive:
            archive.writestr("imgs.npy", header.getvalue() + pickle.dumps(imgs, protocol=protocol))
            for name, content in others.items():
                archive.writestr(name, content)
        assert (circuit().load("train").images == before).all()


def test_an_array_that_claims_more_than_its_file_has_is_named(folder: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_2_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2, 4)})
    path = folder / "train-0.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("original_latents.npy", header.getvalue() + bytes(64))
    with pytest.raises(DataError, match=r"cannot read original_latents in .*: it claims 70368744177664 bytes and has"):
        CausalCircuit(root=str(folder)).table()
