"""Pictures and where they lie: one way of opening them, and one line for whatever keeps them from being opened."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from ccigkit.data.causalcircuit import CausalCircuit
from ccigkit.data.celeba import CelebA
from ccigkit.data.files import sources
from ccigkit.data.files.crops import Crop, View, ordinary_jpeg
from ccigkit.data.files.sources import ImageFiles
from ccigkit.data.morphomnist import MorphoMNIST
from ccigkit.data.table import ImageTable
from ccigkit.errors import DataError, UserError
from ccigkit.files import cache_folder, expanded
from ccigkit.images import read_image, to_bytes
from tests.celeba_folder import write_celeba
from tests.data_folders import write_causalcircuit, write_morphomnist, write_shards
from tests.helpers import environment

WHOLE = Crop(0)

pytestmark = pytest.mark.filterwarnings("ignore:.*images; .*:UserWarning")


def picture(width: int = 32, height: int = 32) -> Image.Image:
    """Light above, dark below, red at the left: no two ways of holding it look alike."""
    image = Image.new("RGB", (width, height), (40, 40, 40))
    image.paste((230, 230, 230), (0, 0, width, height // 2))
    image.paste((250, 20, 20), (0, 0, width // 4, height))
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def both_ways(content: bytes, tmp_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The pixels [3, h, w] that the cache has, and those that `counterfactual` has."""
    (tmp_path / "picture").write_bytes(content)
    seen = to_bytes(read_image(tmp_path / "picture")).numpy()
    side = min(seen.shape[1:])
    return View(Crop(0), side).pixels(content).astype(int), seen.astype(int)


# --- one way ----------------------------------------------------------------------------------------------------------

Image.init()
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I;16B", "I", "F")


@pytest.mark.parametrize("kind", sorted({*Image.SAVE} & {*Image.OPEN}))
def test_cache_and_read_image_agree_on_every_format_that_pillow_writes(kind: str, tmp_path: Path) -> None:
    written = 0
    for mode in MODES:
        image = (
            picture().convert("L" if mode.startswith("I;16") else "RGB").convert(mode if mode[:4] != "I;16" else "L")
        )
        if mode.startswith("I;16"):
            image = Image.fromarray(np.asarray(image).astype("<u2" if mode == "I;16" else ">u2") * 257)
        try:
            content = encoded(image, kind)
            with Image.open(io.BytesIO(content)) as file:
                file.load()
                if file.size != (32, 32):
                    continue  # icons of sizes of their own
        except (OSError, ValueError, KeyError, TypeError, SystemError):
            continue  # not a mode that the format has
        cached, seen = both_ways(content, tmp_path)
        np.testing.assert_allclose(cached, seen, atol=1, err_msg=f"{kind} {mode}")
        written += 1
    if kind not in ("ICNS", "ICO", "EPS", "FITS", "HDF5", "WMF", "GRIB", "BUFR", "MPO", "PALM"):
        assert written


def jpeg_segment(mark: int, body: bytes) -> bytes:
    return bytes([0xFF, mark]) + (len(body) + 2).to_bytes(2, "big") + body


def turned(orientation: int) -> Iterator[tuple[str, bytes]]:
    """A picture that a camera held in some way, saying so in every way there is."""
    plain = encoded(picture(), "JPEG", quality=95)
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = exif.tobytes()
    xmp = (
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF "
        b"xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description "
        b"xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation=\"%d\"/></rdf:RDF></x:xmpmeta>" % orientation
    )
    profile = b"ICC_PROFILE\0\1\1" + bytes(20_000)
    yield "EXIF", plain[:2] + jpeg_segment(0xE1, body) + plain[2:]
    yield "EXIF behind a profile", plain[:2] + jpeg_segment(0xE2, profile) + jpeg_segment(0xE1, body) + plain[2:]
    yield "EXIF behind a comment", plain[:2] + jpeg_segment(0xFE, b"x" * 9000) + jpeg_segment(0xE1, body) + plain[2:]
    yield "XMP alone", plain[:2] + jpeg_segment(0xE1, xmp) + plain[2:]
    yield "PNG", encoded(picture(), "PNG", exif=exif)
    yield "WebP", encoded(picture(), "WEBP", exif=exif, lossless=True)
    yield "TIFF", encoded(picture(), "TIFF", exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright_however_the_camera_was_held(orientation: int, tmp_path: Path) -> None:
    turns = [None, None, 0, 3, 1, 5, 4, 6, 2]  # Pillow's transpositions, by EXIF's numbers
    turn = turns[orientation]
    upright = picture() if turn is None else picture().transpose(Image.Transpose(turn))
    for how, content in turned(orientation):
        for pixels in both_ways(content, tmp_path):
            assert np.abs(pixels - np.asarray(upright).transpose(2, 0, 1)).mean() < 4, how


def test_what_exif_has_wrong_does_not_matter(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    ifd = exif.get_ifd(0x8769)
    ifd[0x9204] = IFDRational(-1, 3)  # the exposure's correction, signed
    ifd[0x829A] = IFDRational(1, 0)
    right = picture().transpose(Image.Transpose.ROTATE_270)
    body = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + (
        (0x0112).to_bytes(2, "little") + b"\x03\0\x01\0\0\0\x06\0\0\0"
        + (0x9204).to_bytes(2, "little") + b"\x0a\0\x01\0\0\0\x26\0\0\0\0\0\0\0"
        + (-1).to_bytes(4, "little", signed=True) + (3).to_bytes(4, "little")
    )  # fmt: skip
    plain = encoded(picture(), "JPEG", quality=95)
    for content in (plain[:2] + jpeg_segment(0xE1, body) + plain[2:],):
        for pixels in both_ways(content, tmp_path):
            assert np.abs(pixels - np.asarray(right).transpose(2, 0, 1)).mean() < 4
    broken = plain[:2] + jpeg_segment(0xE1, b"Exif\0\0no such thing") + plain[2:]
    for pixels in both_ways(broken, tmp_path):
        assert np.abs(pixels - np.asarray(picture()).transpose(2, 0, 1)).mean() < 4


def test_only_what_stands_as_it_lies_takes_the_short_way() -> None:
    plain = encoded(picture(), "JPEG")
    assert ordinary_jpeg(plain)
    assert not any(ordinary_jpeg(content) for _, content in turned(6))
    assert not any(ordinary_jpeg(content) for content in (b"", b"\xff\xd8", b"\xff\xd8\xff", plain[:20], b"x" * 99))


def twelve_bits(values: np.ndarray) -> bytes:
    """A TIFF of 12 bits, two pixels in three bytes, as cameras for microscopes write it."""
    height, width = values.shape
    first, second = values.reshape(-1, 2).T.astype(int)
    pixels = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    tags = [
        (256, 3, width), (257, 3, height), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 3, height), (279, 4, len(pixels)),
    ]  # fmt: skip
    entries = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, kind, value in tags
    )
    start = 8 + len(pixels)
    ifd = len(tags).to_bytes(2, "little") + entries + bytes(4)
    return b"II*\0" + start.to_bytes(4, "little") + pixels + ifd


RAMP = np.linspace(0, 1, 32 * 32).reshape(32, 32)
GREYS: dict[str, tuple[Callable[[], bytes], float]] = {
    "floats to 1": (lambda: encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"), 1.0),
    "floats to 255": (lambda: encoded(Image.fromarray((255 * RAMP).astype(np.float32)), "TIFF"), 1.0),
    "floats to 65535": (lambda: encoded(Image.fromarray((65535 * RAMP).astype(np.float32)), "TIFF"), 1.0),
    "12 bits": (lambda: twelve_bits((4095 * RAMP).astype(int)), 1.0),
    "12 bits in 16": (
        lambda: encoded(Image.fromarray((4095 * RAMP).astype(np.uint16)), "TIFF", tiffinfo={281: 4095}), 1.0),
    "16 bits": (lambda: encoded(Image.fromarray((65535 * RAMP).astype(np.uint16)), "TIFF"), 1.0),
    "16 bits, nearly dark": (lambda: encoded(Image.fromarray((655 * RAMP).astype(np.uint16)), "PNG"), 0.01),
    "16 bits, PGM": (lambda: encoded(Image.fromarray((65535 * RAMP).astype(np.uint16)), "PPM"), 1.0),
    "32 bits to 255": (lambda: encoded(Image.fromarray((255 * RAMP).astype(np.int32)), "TIFF"), 1.0),
    "32 bits to 65535": (lambda: encoded(Image.fromarray((65535 * RAMP).astype(np.int32)), "TIFF"), 1.0),
}  # fmt: skip


@pytest.mark.parametrize(("make", "white"), GREYS.values(), ids=GREYS)
def test_grey_of_any_depth_keeps_its_shades(make: Callable[[], bytes], white: float, tmp_path: Path) -> None:
    for pixels in both_ways(make(), tmp_path):
        np.testing.assert_allclose(pixels[0], 255 * white * RAMP, atol=1.01)


@pytest.mark.parametrize(
    "values", [-RAMP, 1.5 * RAMP, 1e6 * RAMP, np.where(RAMP > 0.5, np.nan, RAMP), (2**31 - 1) * RAMP]
)
def test_grey_that_may_be_anything_is_refused(values: np.ndarray, tmp_path: Path) -> None:
    kinds = [np.float32] if np.isnan(values).any() or values.max() < 2 else [np.float32, np.int32]
    for kind in kinds:
        Image.fromarray(values.astype(kind)).save(tmp_path / "a.tiff")
        with pytest.raises(DataError, match=r"its grey goes from .* to .*; save it with eight bits"):
            read_image(tmp_path / "a.tiff")
        with pytest.raises(ValueError, match="its grey goes from"):
            View(WHOLE, 8).pixels((tmp_path / "a.tiff").read_bytes())


# --- crops ------------------------------------------------------------------------------------------------------------


def resized(folder: Path, width: int, height: int) -> Path:
    for path in (folder / "img_align_celeba").iterdir():
        with Image.open(path) as image:
            small = image.resize((width, height), Image.Resampling.LANCZOS)
        small.save(path, "JPEG", quality=95)
    return folder


@pytest.mark.parametrize("crop", ["dear", "began", "vaegan"])
@pytest.mark.parametrize(("width", "height"), [(89, 109), (356, 436), (178, 218)])
def test_a_papers_crop_is_of_the_picture_not_of_its_pixels(tmp_path: Path, crop: Any, width: int, height: int) -> None:
    options: dict[str, Any] = {"size": 32, "crop": crop, "attributes": ["Smiling", "Male"]}
    write_celeba(tmp_path / "a")
    there = CelebA(root=str(tmp_path / "a"), cache=str(tmp_path / "cache"), **options).load("test").images
    resized(write_celeba(tmp_path / "b"), width, height)
    data = CelebA(root=str(tmp_path / "b"), cache=str(tmp_path / "cache"), **options)
    if width == 178:
        same = data.load("test").images
    else:
        with pytest.warns(UserWarning, match=f"{width} x {height} pixels, so the crop .* is scaled with them"):
            same = data.load("test").images
    other = CelebA(**{**options, "crop": "square"}, root=str(tmp_path / "a"), cache=str(tmp_path / "cache"))
    wrong = (other.load("test").images.double() - there.double()).abs().mean()
    assert (same.double() - there.double()).abs().mean() < 0.4 * wrong


@pytest.mark.parametrize("size", [(256, 256), (1024, 1024), (200, 200), (128, 218)])
def test_pictures_that_are_not_celebas_are_not_cut_as_if(tmp_path: Path, size: tuple[int, int]) -> None:
    root = resized(write_celeba(tmp_path / "a", n=20), *size)
    options: dict[str, Any] = {"root": str(root), "cache": str(tmp_path / "cache"), "size": 16}
    with pytest.raises(
        DataError, match=f"{size[0]} x {size[1]}, not CelebA's 178 x 218".replace(", not", " pixels, not")
    ):
        CelebA(**options).load("train")
    assert len(CelebA(**options, crop="square").load("train")) == 18
    with pytest.warns(UserWarning, match="smaller than data.crop=2000; the largest square of each is taken"):
        CelebA(**options, crop=2000).load("train")


# --- other people's exceptions ----------------------------------------------------------------------------------------


def write_pictures(folder: Path, n: int = 12) -> Path:
    folder.mkdir(parents=True)
    for i in range(n):
        Image.new("RGB", (8, 8), (i,) * 3).save(folder / f"{i:02d}.png")
    rows = "".join(f"{i:02d}.png,{i * i + 0.5}\n" for i in range(n))
    (folder / "labels.csv").write_text("file,size\n" + rows)
    return folder


@contextmanager
def refusal(*said: str) -> Iterator[None]:
    """One line, with all of these words."""
    with pytest.raises(UserError) as caught:
        yield
    line = str(caught.value)
    assert "\n" not in line
    assert all(words in line for words in said), line


def zipped(folder: Path, at: int, value: int, flag: int = 0) -> Path:
    """A zip whose entries claim another compression, or encryption, as Python cannot write either."""
    path = folder.parent / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.glob("*.png")):
            archive.write(file, file.name)
    content = bytearray(path.read_bytes())
    start = content.find(b"PK\x01\x02")
    while start >= 0:
        content[start + at] = value if not flag else content[start + at] | flag
        start = content.find(b"PK\x01\x02", start + 4)
    path.write_bytes(content)
    return path


def test_zips_that_python_cannot_unpack_are_said_to_be(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    with refusal("00.png is compressed by Deflate64", "unpack it and give the folder"):
        ImageFiles.find(zipped(folder, 10, 9))
    with refusal("00.png is encrypted", "unpack it and give the folder"):
        ImageFiles.find(zipped(folder, 8, 0, flag=1))
    with refusal("00.png is compressed by another method", "unpack it"):
        ImageFiles.find(zipped(folder, 10, 99))


FEW = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import warnings; warnings.simplefilter("ignore")
from ccigkit.data.sharded import Shards
from ccigkit.data.table import ImageTable
kind, root, cache = sys.argv[1:]
if kind == "shards":
    for streamed in (False, True):
        data = Shards(root=root, cache=cache, attributes=["Smiling"], size=8, streamed=streamed)
        import torch
        rows = torch.randperm(len(data._split("train").names), generator=torch.Generator().manual_seed(0))
        print(sum(len(batch) for batch in data.in_batches(rows.split(16))))
else:
    data = ImageTable(root=root, cache=cache, size=8)
print(len(data.load("train")) + len(data.load("test")))
"""


@pytest.mark.parametrize("kind", ["shards", "parquet"])
def test_more_files_than_a_process_may_hold_open(kind: str, tmp_path: Path) -> None:
    if kind == "shards":
        write_shards(tmp_path / "D", (1,) * 100)
    else:
        arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        (tmp_path / "D").mkdir()
        for i in range(100):
            cells = {"image": [encoded(Image.new("L", (8, 8), i), "PNG")], "size": [i * i + 0.5]}
            parquet.write_table(arrow.table(cells), tmp_path / "D" / f"{i:03d}.parquet")
    done = subprocess.run(
        [sys.executable, "-c", FEW, kind, str(tmp_path / "D"), str(tmp_path / "cache")],
        capture_output=True, text=True, check=False, env=environment(), cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "100"


def test_a_picture_too_large_is_one_line(tmp_path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(tmp_path / "large.png")
    with refusal("large.png has more than 178 million pixels; make it smaller first"):
        read_image(tmp_path / "large.png")
    Image.new("L", (20_000, 10_000)).save(tmp_path / "large.jpg", quality=20)
    with refusal("more than 178 million pixels"):
        read_image(tmp_path / "large.jpg")
    with pytest.raises(Image.DecompressionBombError):
        View(WHOLE, 8).pixels((tmp_path / "large.jpg").read_bytes())


def test_without_a_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusal("~nobody-here/x: there is no home folder for its ~; write the path out"):
        expanded("~nobody-here/x")
    folder = write_pictures(tmp_path / "a")
    for option in ("root", "labels", "cache"):
        options = {"root": str(folder), "cache": str(tmp_path), option: "~nobody-here/x", "size": 8}
        with refusal("~nobody-here/x: there is no home folder"):
            ImageTable(**options).load("train")  # type: ignore[arg-type]
    with refusal("~nobody-here/x: there is no home folder"):
        MorphoMNIST(root="~nobody-here/x")

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with refusal("no home folder", "set XDG_CACHE_HOME, or data.cache=FOLDER"):
        cache_folder()
    data = ImageTable(root=str(folder), size=8)  # as a graph of the table needs no cache
    assert len(data.table().values) == 11
    with refusal("data.cache=FOLDER"):
        data.load("train")


NOBODY = """
import os, sys
import ccigkit.builtin, ccigkit.commands.train
from ccigkit.commands.app import main
os.setgid(54321)
os.setuid(54321)
sys.argv = ["ccigkit", "data", "prepare", "table", *sys.argv[1:]]
main()
"""


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="only root can become nobody that is known")
def test_an_unknown_user_without_a_home(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    for path in (tmp_path, *tmp_path.parents[:2], folder, *folder.iterdir()):
        path.chmod(0o777)
    house = str(Path(__file__).parents[1])
    env = {k: v for k, v in environment(PYTHONPATH=house).items() if k not in ("HOME", "XDG_CACHE_HOME", "USER")}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, f"root={folder}", "size=8"],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Permission denied" in done.stderr or "No module named" in done.stderr:
        pytest.skip("the house itself may not be read by others")
    assert done.returncode == 2, done.stderr
    assert "set XDG_CACHE_HOME, or data.cache=FOLDER" in done.stderr.splitlines()[-1]


def test_links_that_lead_nowhere_or_in_a_circle(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "notes.txt").symlink_to("nothing")
    (folder / "itself").symlink_to("itself")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "back").symlink_to(folder)
    (folder / "here").symlink_to(".")
    with pytest.warns(UserWarning, match="is a link to a folder that it lies in; passed over") as said:
        assert len(ImageFiles.find(folder).entries) == 12
    assert len(said) == 2
    (folder / "here").unlink()
    (folder / "deeper" / "back").unlink()
    (folder / "05.png").unlink()
    (folder / "05.png").symlink_to("nothing.png")
    (folder / "06.png").unlink()
    (folder / "06.png").symlink_to("06.png")
    options: dict[str, Any] = {"root": str(folder), "size": 8, "cache": str(tmp_path / "cache"), "share_test": 0.01}
    with refusal("2 of 12 images", "cannot be read, first 05.png", "data.on_bad=skip"):
        ImageTable(**options).load("train")
    with pytest.warns(UserWarning, match="left out"):
        assert len(ImageTable(**options, on_bad="skip").load("train")) == 10


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_pictures(tmp_path / "a")
    (folder / "private").mkdir()
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path).name == "private":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(sources.os, "scandir", refuse)
    with refusal(f"cannot read the folder {folder / 'private'}: Permission denied; allow it"):
        ImageFiles.find(folder)


@pytest.mark.parametrize("name", ["D", "a.png"])
def test_a_picture_that_may_not_be_read_is_not_called_damaged(name: str, tmp_path: Path) -> None:
    (tmp_path / "D").mkdir()
    with refusal("cannot read") if name == "D" else refusal("there is no image"):
        read_image(tmp_path / name)


def test_a_folder_without_images_is_said_to_be(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    for path in folder.glob("*.png"):
        path.rename(path.with_suffix(".heic"))
    with refusal("has no images (.jpg, .jpeg", "it has 12 such as 00.heic, which must be converted to .jpg"):
        ImageTable(root=str(folder))
    for path in folder.glob("*.heic"):
        path.unlink()
    with refusal("has no images (.jpg, .jpeg", "set data.root"):
        ImageTable(root=str(folder))


# --- told in time -----------------------------------------------------------------------------------------------------


def test_test_files_of_morphomnist_are_missed_at_once(tmp_path: Path) -> None:
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz", "t10k-morpho.csv"):
        folder = write_morphomnist(tmp_path / name)
        (folder / name).unlink()
        with refusal(name):
            MorphoMNIST(root=str(folder))


def test_test_files_of_causalcircuit_are_missed_at_once(tmp_path: Path) -> None:
    folder = write_causalcircuit(tmp_path / "D")
    (folder / "test.npz").unlink()
    assert len(CausalCircuit(root=str(folder), size=8, cache=str(tmp_path / "c")).load("test")) == 12  # those of val
    (folder / "val.npz").unlink()
    with refusal("has no test.npz"):
        CausalCircuit(root=str(folder), size=8).table()


def test_idx_files_with_a_dot_are_found(tmp_path: Path) -> None:
    folder = write_morphomnist(tmp_path / "D", zipped=False)
    same = MorphoMNIST(root=str(folder)).load("train")
    for path in folder.glob("*-ubyte"):
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    found = MorphoMNIST(root=str(folder)).load("train")
    assert (found.images == same.images).all()
    np.testing.assert_array_equal(found.values, same.values)


@pytest.mark.parametrize("more", [b"\n", b"\r\n\r\n", b",,,,\n"])
def test_blank_last_lines_of_a_csv_are_no_rows(more: bytes, tmp_path: Path) -> None:
    folder = write_morphomnist(tmp_path / "D")
    path = folder / "train-morpho.csv"
    path.write_bytes(path.read_bytes() + more)
    assert len(MorphoMNIST(root=str(folder)).table().values) == 40


def test_a_split_without_test_images_is_told_before_training(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    path = folder / "labels.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},split", *(f"{line},train" for line in lines[1:])]))
    with refusal("is in the test split"):
        ImageTable(root=str(folder), size=8, cache=str(tmp_path / "cache")).in_batches([])


def test_bad_test_images_are_told_before_training(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "a")
    data = ImageTable(root=str(folder), size=8, cache=str(tmp_path / "cache"), share_test=0.2)
    (folder / data._split("test").names[0]).write_text("no picture")
    with refusal("cannot be read, first"):
        data.in_batches([])
