"""CelebA as people have it: whole, as a zip, as CSV, cut short, and with files in it that are no images."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image

from ccigkit.component.options import options_of
from ccigkit.component.registry import build, signature_fault
from ccigkit.data.celeba import CelebA
from ccigkit.data.files.crops import Crop, View
from ccigkit.errors import DataError, UserError
from ccigkit.images import read_image, to_bytes
from tests.celeba_folder import ATTRIBUTES, faces, image_name, write_celeba
from tests.data_folders import write_parquet

PARTITION = "0" * 28 + "1" * 4 + "2" * 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_celeba(tmp_path / "celeba", partition=PARTITION)


@pytest.fixture
def celeba(tmp_path: Path) -> Callable[..., CelebA]:
    """CelebA below tmp_path, with its cache there too."""
    usual = {"name": "celeba", "root": str(tmp_path), "cache": str(tmp_path / "cache"), "size": 32}
    return lambda **options: build("data", {**usual, **options}, {})


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per image that is decoded from now on."""
    calls: list[int] = []
    pixels = View.pixels

    def counting(view: View, content: bytes) -> Any:
        calls.append(len(content))
        return pixels(view, content)

    monkeypatch.setattr(View, "pixels", counting)
    return calls


def image_bytes(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def labels_of(folder: Path) -> Path:
    return folder / "list_attr_celeba.txt"


def change_lines(path: Path, change: Callable[[list[str]], list[str]], *, count: bool = True) -> None:
    """Rewrite a file line by line, and keep the count in its first line right."""
    lines = change(path.read_text().splitlines())
    path.write_text("\n".join([str(len(lines) - 2), *lines[1:]] if count else lines) + "\n")


# --- what is read -----------------------------------------------------------------------------------------------------


def test_is_a_component() -> None:
    assert signature_fault(CelebA) is None
    assert all(option.help for option in options_of(CelebA).values())


def test_nothing_is_looked_at_before_it_is_needed() -> None:
    data = CelebA(root="/nowhere", size=48)
    assert data.image_shape == (3, 48, 48)
    assert [a.name for a in data.attributes][:2] == ["Smiling", "Male"]
    assert {a.kind for a in data.attributes} == {"binary"}
    assert data.truth is None


def test_splits_follow_the_partition(folder: Path, celeba: Callable[..., CelebA]) -> None:
    data = celeba(attributes=["Male", "Young", "Attractive"])
    train, test = data.load("train"), data.load("test")
    assert (len(train), len(test)) == (28, 8)
    assert train.images.shape == (28, 3, 32, 32)
    assert train.images.dtype is torch.uint8
    at = [ATTRIBUTES.index(name) for name in ("Male", "Young", "Attractive")]
    labels = np.array(faces(40)[1], dtype=float)[:, at]
    np.testing.assert_array_equal(train.values, labels[:28])
    np.testing.assert_array_equal(test.values, labels[32:])


def test_every_row_has_its_own_image(folder: Path, celeba: Callable[..., CelebA]) -> None:
    images = celeba().load("test").images
    for i, image in enumerate(images):
        np.testing.assert_array_equal(image.numpy(), View(Crop(128), 32).pixels(faces(40)[0][32 + i]))


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("csv", [False, True])
def test_layouts_give_the_same_tensors(tmp_path: Path, folder: Path, celeba: Any, zipped: bool, csv: bool) -> None:
    other = write_celeba(tmp_path / "other", partition=PARTITION, csv=csv, zipped=zipped)
    for split in ("train", "test"):
        one, two = celeba().load(split), celeba(root=str(other)).load(split)
        assert torch.equal(one.images, two.images)
        np.testing.assert_array_equal(one.values, two.values)


def test_zip_without_a_folder_and_with_what_a_mac_adds(tmp_path: Path, folder: Path, celeba: Any) -> None:
    other = write_celeba(tmp_path / "other", partition=PARTITION, zipped=True)
    with zipfile.ZipFile(other / "img_align_celeba.zip", "w") as archive:
        for i, content in enumerate(faces(40)[0]):
            archive.writestr(image_name(i), content)
            archive.writestr(f"__MACOSX/._{image_name(i)}", b"\0")
    assert torch.equal(celeba(root=str(other)).load("train").images, celeba().load("train").images)


def test_folder_inside_the_folder_of_its_own_name(folder: Path, celeba: Callable[..., CelebA]) -> None:
    before = celeba().load("train").images
    (folder / "img_align_celeba").rename(folder / "inner")
    (folder / "img_align_celeba").mkdir()
    (folder / "inner").rename(folder / "img_align_celeba" / "img_align_celeba")
    assert torch.equal(celeba().load("train").images, before)


def test_labels_of_zero_and_one(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    path = write_celeba(tmp_path, csv=True) / "list_attr_celeba.csv"
    before = celeba().load("train").values
    path.write_text(path.read_text().replace("-1", "0"))
    np.testing.assert_array_equal(celeba().load("train").values, before)


def test_a_split_is_drawn_where_there_is_no_partition(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    write_celeba(tmp_path)
    train, test = (celeba(share_test=0.2, seed=3).load(split) for split in ("train", "test"))
    assert (len(train), len(test)) == (32, 8)
    together = torch.cat([train.images, test.images]).flatten(1)
    assert len(together.unique(dim=0)) == 40
    assert torch.equal(celeba(share_test=0.2, seed=3).load("test").images, test.images)
    assert not torch.equal(celeba(share_test=0.2, seed=4).load("test").images, test.images)


def test_validation_images_stand_in_for_missing_test_images(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    write_celeba(tmp_path, partition="0" * 30 + "1" * 10)
    assert len(celeba().load("test")) == 10


def test_limit_is_spread_over_the_file(folder: Path, celeba: Callable[..., CelebA]) -> None:
    data = celeba(limit=10)
    assert (len(data.load("train")), len(data.load("test"))) == (7, 2)
    assert torch.equal(data.load("train").images[1], celeba().load("train").images[4])


def test_table_decodes_nothing(folder: Path, celeba: Callable[..., CelebA], decoded: list[int]) -> None:
    table = celeba().table()
    assert decoded == []
    assert table.names == ("Smiling", "Male", "High_Cheekbones", "Mouth_Slightly_Open", "Narrow_Eyes")
    np.testing.assert_array_equal(table.values, celeba().load("train").values)


def test_nobody_is_in_both_splits_where_it_is_known_who_is_who(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    write_celeba(tmp_path, people=8)  # image i shows person i mod 8
    data = celeba(share_test=0.25, seed=2)
    people = {part: {int(n[:6]) % 8 for n in data._split(part).names} for part in ("train", "test")}
    assert (len(people["train"]), len(people["test"])) == (6, 2)
    assert not people["train"] & people["test"]


@pytest.mark.parametrize("labels_as", ["bool", "int", "sign", "text"])
@pytest.mark.parametrize("struct", [True, False])
def test_parquet_gives_the_same_tensors(
    tmp_path: Path, folder: Path, celeba: Any, labels_as: str, struct: bool
) -> None:
    pytest.importorskip("pyarrow")
    hub = write_parquet(tmp_path / "hub", partition=PARTITION, labels_as=labels_as, struct=struct)
    for split in ("train", "test"):
        one, two = celeba().load(split), celeba(root=str(hub)).load(split)
        assert torch.equal(one.images, two.images)
        np.testing.assert_array_equal(one.values, two.values)


@pytest.mark.parametrize(("word", "alias"), [("valid", "validation"), ("test", "eval")])
def test_parquet_splits_have_aliases(tmp_path: Path, celeba: Any, word: str, alias: str) -> None:
    pytest.importorskip("pyarrow")
    hub = write_parquet(tmp_path / "hub", partition="0" * 30 + ("1" if word == "valid" else "2") * 10)
    for path in (hub / "data").glob(f"{word}-*"):
        path.rename(path.with_name(path.name.replace(word, alias)))
    assert len(celeba(root=str(hub)).load("test")) == 10


def test_parquet_without_splits_is_split_by_people(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    pytest.importorskip("pyarrow")
    write_parquet(tmp_path / "hub")  # ten people of four images each
    data = celeba(root=str(tmp_path / "hub"), share_test=0.2)
    assert (len(data.load("train")), len(data.load("test"))) == (32, 8)


def test_columns_of_another_name(tmp_path: Path, folder: Path, celeba: Callable[..., CelebA]) -> None:
    before = celeba(attributes=["Male"]).load("test").values
    labels_of(folder).write_text(labels_of(folder).read_text().replace(" Male ", " gender "))
    data = celeba(attributes=["Male"], columns={"Male": "gender"})
    np.testing.assert_array_equal(data.load("test").values, before)
    assert data.attributes[0].name == "Male"


def test_parquet_with_odd_labels(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    pytest.importorskip("pyarrow")
    hub = str(write_parquet(tmp_path / "hub"))
    with pytest.raises(DataError, match="the labels in celeb_id must be true or false, 1 or 0, or 1 or -1"):
        celeba(root=hub, attributes=["celeb_id"]).load("train")
    with pytest.raises(DataError, match="unknown attribute 'smiling': did you mean 'Smiling'"):
        celeba(root=hub, attributes=["smiling"]).load("train")


# --- decoding ---------------------------------------------------------------------------------------------------------


def assert_looks_like(pixels: Any, picture: Image.Image) -> None:
    """Pillow resizes by the same filter, but rounds some pixels the other way."""
    np.testing.assert_allclose(pixels.astype(int), np.asarray(picture).transpose(2, 0, 1).astype(int), atol=1)


@pytest.mark.parametrize(("crop", "box"), [(128, (25, 45, 153, 173)), (0, (0, 0, 178, 218)), (500, (0, 20, 178, 198))])
def test_the_central_square_is_cut_out_and_resized(crop: int, box: tuple[int, int, int, int]) -> None:
    content = faces(40)[0][0]
    there = Image.open(io.BytesIO(content)).crop(box).resize((64, 64), Image.Resampling.BILINEAR)
    assert_looks_like(View(Crop(crop), 64).pixels(content), there)


@pytest.mark.parametrize(
    ("crop", "box", "name"),
    [
        ("dear", (25, 45, 153, 173), "center128-32px-bilinear"),
        ("benchmark", (14, 34, 164, 184), "center150-32px-bilinear"),
        ("causalgan", (35, 55, 143, 163), "center108-32px-bilinear"),
        ("began", (25, 50, 153, 178), "box25,50,128-32px-bilinear"),
        ("vaegan", (15, 40, 163, 188), "box15,40,148-32px-bilinear"),
        ("whole", (0, 0, 178, 218), "whole-32px-bilinear"),
    ],
)
def test_the_papers_crops(folder: Path, celeba: Any, crop: str, box: tuple[int, int, int, int], name: str) -> None:
    data = celeba(crop=crop)
    there = Image.open(io.BytesIO(faces(40)[0][0])).crop(box).resize((32, 32), Image.Resampling.BILINEAR)
    assert_looks_like(data.load("train").images[0].numpy(), there)
    assert data.preprocess_id == name
    assert data.frame == pytest.approx((box[2] - box[0]) / 178)


def test_the_fast_reader_gives_the_same_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(content: bytes) -> None:
        raise ValueError("left to Pillow")

    grey = image_bytes(Image.open(io.BytesIO(faces(40)[0][0])).convert("L"), "JPEG")
    for content in (*faces(40)[0][:5], grey):
        fast = View(Crop(128), 64).pixels(content)
        with monkeypatch.context() as patch:
            patch.setattr(simplejpeg, "decode_jpeg_header", refuse)
            np.testing.assert_array_equal(View(Crop(128), 64).pixels(content), fast)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "CMYK", "1"])
def test_every_kind_of_image_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (90, 60), (200, 200, 200))
    image.paste((20, 20, 20), (0, 0, 45, 60))
    content = image_bytes(image.convert(mode), "TIFF" if mode == "CMYK" else "PNG")
    pixels = View(Crop(128), 8).pixels(content)  # smaller than the crop: the central 60 x 60
    assert pixels.shape == (3, 8, 8)
    assert pixels[:, :, :2].mean() < 60
    assert pixels[:, :, -2:].mean() > 180


def test_grey_of_sixteen_bits_keeps_its_shades(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((16, 16), 100 * 257, np.uint16)).save(path)
    assert (View(Crop(0), 8).pixels(path.read_bytes()) == 100).all()
    assert (to_bytes(read_image(path)) == 100).all()


def test_turned_photographs_are_set_upright() -> None:
    image = Image.new("RGB", (40, 40))
    image.paste((255, 255, 255), (0, 0, 40, 20))
    exif = Image.Exif()
    exif[0x0112] = 3  # taken upside down
    pixels = View(Crop(0), 4).pixels(image_bytes(image, "JPEG", exif=exif))
    assert pixels[:, 0].max() < 30
    assert pixels[:, -1].min() > 225


# --- the cache --------------------------------------------------------------------------------------------------------


def test_second_load_decodes_nothing(folder: Path, celeba: Callable[..., CelebA], decoded: list[int]) -> None:
    first = celeba().load("train")
    assert len(decoded) == 28
    assert torch.equal(celeba().load("train").images, first.images)
    assert len(decoded) == 28


@pytest.mark.parametrize("options", [{"size": 16}, {"crop": 100}, {"limit": 20}, {"on_bad": "skip"}])
def test_other_options_have_their_own_cache(folder: Path, celeba: Any, decoded: list[int], options: Any) -> None:
    celeba().load("test")
    before = len(decoded)
    celeba(**options).load("test")
    assert len(decoded) > before


def test_changed_image_is_seen(folder: Path, celeba: Callable[..., CelebA]) -> None:
    path = folder / "img_align_celeba" / image_name(0)
    before = celeba().load("train").images[0].clone()
    path.write_bytes((folder / "img_align_celeba" / image_name(1)).read_bytes())
    os.utime(path, ns=(1, 1))
    assert not torch.equal(celeba().load("train").images[0], before)


@pytest.mark.parametrize("damage", [b"", b"no numpy at all", None])
def test_damaged_cache_is_built_again(tmp_path: Path, folder: Path, celeba: Any, damage: bytes | None) -> None:
    before = celeba().load("train").images.clone()
    (path,) = (tmp_path / "cache").glob("*.npy")
    path.write_bytes(path.read_bytes()[:-1] if damage is None else damage)
    assert torch.equal(celeba().load("train").images, before)


def test_cache_without_its_manifest_is_built_again(tmp_path: Path, folder: Path, celeba: Any) -> None:
    before = celeba().load("train").images.clone()
    (path,) = (tmp_path / "cache").glob("*.json")
    path.write_text("{")
    assert torch.equal(celeba().load("train").images, before)


def test_writing_to_the_tensor_leaves_the_cache_alone(folder: Path, celeba: Callable[..., CelebA]) -> None:
    before = celeba().load("train").images.clone()
    celeba().load("train").images.zero_()
    assert torch.equal(celeba().load("train").images, before)


def test_cache_that_cannot_be_written(folder: Path, celeba: Callable[..., CelebA], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file"):
        celeba(cache=str(tmp_path / "file")).load("train")


def test_cache_lies_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    CelebA(root=str(tmp_path), size=8).load("test")
    assert len(list((tmp_path / "xdg" / "ccigkit").glob("*.npy"))) == 1


# --- bad input: one clear line each -----------------------------------------------------------------------------------


def spoil(folder: Path) -> None:
    """Cut image 3 short and put text into image 5."""
    images = folder / "img_align_celeba"
    (images / image_name(2)).write_bytes((images / image_name(2)).read_bytes()[:900])
    (images / image_name(4)).write_text("not found")


def test_bad_images_are_refused(folder: Path, celeba: Callable[..., CelebA], tmp_path: Path) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=r"^2 of 28 images in .* cannot be read, first 000003.jpg \(.*on_bad=skip$"):
        celeba().load("train")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] in ([], [".lock"])


def test_bad_images_are_skipped(folder: Path, celeba: Callable[..., CelebA], decoded: list[int]) -> None:
    whole = celeba().load("train")
    spoil(folder)
    data = celeba(on_bad="skip")
    with pytest.warns(UserWarning, match=r"^2 of 28 images in .* cannot be read, first 000003.jpg \(.*\); left out$"):
        table = data.table()
    before = len(decoded)
    with pytest.warns(UserWarning, match="2 of 28"):
        split = data.load("train")
    assert len(decoded) == before
    kept = [i for i in range(28) if i not in (2, 4)]
    assert torch.equal(split.images, whole.images[kept])
    np.testing.assert_array_equal(split.values, whole.values[kept])
    np.testing.assert_array_equal(table.values, split.values)  # or every label after a bad image would be another's


def test_nothing_but_bad_images(folder: Path, celeba: Callable[..., CelebA]) -> None:
    for path in (folder / "img_align_celeba").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"^28 of 28 images .* first 000001.jpg \(not an image\); fetch them again$"):
        celeba(on_bad="skip").load("train")


def test_bad_image_in_a_zip(tmp_path: Path, celeba: Callable[..., CelebA]) -> None:
    path = write_celeba(tmp_path, zipped=True) / "img_align_celeba.zip"
    content = bytearray(path.read_bytes())
    content[content.index(faces(40)[0][0]) + 100] ^= 255
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^1 of 36 images in .*zip .* first 000001.jpg \(Bad CRC"):
        celeba(seed=1).load("train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": ""}, "data.root=FOLDER"),
        ({"root": "/no/such/folder"}, "there is no folder /no/such/folder"),
        ({"attributes": ["Smilling"]}, "unknown attribute 'Smilling': did you mean 'Smiling'"),
        ({"attributes": []}, "attributes is empty"),
        ({"attributes": ["Male", "Male"]}, "named twice: Male, Male"),
        ({"size": 0}, "size=0 must be at least 1"),
        ({"limit": -1}, "limit=-1 must be at least 0"),
        ({"share_test": 1.0}, "share_test=1.0 must be above 0 and below 1"),
        ({"limit": 1}, "none of the 1 images in .* is in the test split"),
    ],
)
def test_bad_options(folder: Path, celeba: Callable[..., CelebA], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        celeba(**options).load("test")
    assert "\n" not in str(caught.value)


def remove_images(folder: Path) -> None:
    (folder / "img_align_celeba").rename(folder / "elsewhere")


def replace_zip(content: bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        remove_images(folder)
        (folder / "img_align_celeba.zip").write_bytes(content)

    return spoil


def double_zip(folder: Path) -> None:
    remove_images(folder)
    with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
        for inner in ("one", "two"):
            archive.writestr(f"{inner}/{image_name(0)}", faces(40)[0][0])


def lines(change: Callable[[list[str]], list[str]], *, count: bool = True) -> Callable[[Path], None]:
    return lambda folder: change_lines(labels_of(folder), change, count=count)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove_images, "neither a folder img_align_celeba nor an img_align_celeba.zip"),
        (replace_zip(b"\n<!DOCTYPE html><title>Quota"), "is an HTML page, not a zip: the download was refused; fetch"),
        (replace_zip(b"PK\x03\x04 and no more"), "cannot read .*zip: File is not a zip file; if it was cut short"),
        (double_zip, "img_align_celeba.zip has 000001.jpg twice"),
        (lambda folder: labels_of(folder).unlink(), "neither a list_attr_celeba.txt nor a list_attr_celeba.csv"),
        (lambda folder: labels_of(folder).write_text("<html>"), "is an HTML page, not a list"),
        (lambda folder: labels_of(folder).write_text(""), "expected the number of rows in the first line"),
        (lines(lambda rows: rows[1:], count=False), "expected the number of rows in the first line"),
        (lines(lambda rows: rows[:-5], count=False), "announces 40 rows in its first line but has 35"),
        (lines(lambda rows: [*rows[:-1], rows[-1][:60]]), "line 42: expected a name and 40 labels"),
        (lines(lambda rows: [*rows[:-1], rows[-1].replace("1", "7")]), "line 42: expected a name and 40 labels"),
        (lines(lambda rows: [*rows, rows[-1]]), "list_attr_celeba.txt has 000040.jpg twice"),
        (lines(lambda rows: [row.replace(".jpg", ".bmp") for row in rows]), "none of the 40 names in .* the 40 images"),
        (
            lambda folder: (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n"),
            "no 0, 1 or 2 for 39 images",
        ),
        (lambda folder: (folder / "list_eval_partition.txt").write_text("000001.jpg 0\n" * 2), "000001.jpg twice"),
    ],
)
def test_bad_files(folder: Path, celeba: Callable[..., CelebA], spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        celeba().load("train")
    assert "\n" not in str(caught.value)


def test_labels_without_images_and_images_without_labels_are_counted(folder: Path, celeba: Any) -> None:
    for i in (0, 1, 2):
        (folder / "img_align_celeba" / image_name(i)).unlink()
    change_lines(labels_of(folder), lambda rows: rows[:-2])
    with pytest.warns(UserWarning, match="left out") as caught:
        train, test = (celeba().load(split) for split in ("train", "test"))
    said = {str(warning.message) for warning in caught}
    assert any("3 label rows" in line and "first 000001.jpg" in line for line in said)
    assert any("2 images" in line and "first 000039.jpg" in line for line in said)
    assert (len(train), len(test)) == (25, 6)
