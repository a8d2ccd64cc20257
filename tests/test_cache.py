"""The cache of decoded images: shared, gone on from after a kill, checked, and never larger than the memory."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch

from ccigkit.data.celeba import CelebA
from ccigkit.data.files import cache
from ccigkit.data.files.cache import cached_images
from ccigkit.data.files.crops import Crop, View
from ccigkit.data.files.sources import ImageFiles
from ccigkit.errors import UserError
from tests.celeba_folder import faces, image_name
from tests.helpers import environment

VIEW = View(Crop(128), 32)
SLOWLY = """
import sys, time
from pathlib import Path
from ccigkit.data.files import cache
from ccigkit.data.files.crops import Crop, View
from ccigkit.data.files.sources import ImageFiles

cache.CHUNK, decoded, pixels = 4, [], View.pixels

def slowly(view, content):
    decoded.append(1)
    time.sleep(0.02)
    return pixels(view, content)

View.pixels = slowly
files = ImageFiles.find(Path(sys.argv[1]))
print("ready", flush=True)
images, _ = cache.cached_images(
    files, sorted(files.entries), View(Crop(128), 32), on_bad="refuse", folder=Path(sys.argv[2])
)
print(len(decoded), int(images.sum()), flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "images"
    path.mkdir()
    for i, content in enumerate(faces(40)[0]):
        (path / image_name(i)).write_bytes(content)
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per image that is decoded from now on."""
    calls: list[int] = []
    pixels = View.pixels
    monkeypatch.setattr(View, "pixels", lambda view, content: calls.append(1) or pixels(view, content))
    monkeypatch.setattr(cache, "CHUNK", 4)
    return calls


def read(folder: Path, into: Path) -> torch.Tensor:
    files = ImageFiles.find(folder)
    return cached_images(files, sorted(files.entries), VIEW, on_bad="refuse", folder=into)[0]


def expected() -> torch.Tensor:
    return torch.stack([torch.from_numpy(VIEW.pixels(content).copy()) for content in faces(40)[0]])


def start(folder: Path, into: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SLOWLY, str(folder), str(into)]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        cwd=Path(__file__).parents[1],
    )


def test_whoever_comes_after_a_kill_goes_on_from_there(tmp_path: Path, folder: Path, decoded: list[int]) -> None:
    killed = start(folder, tmp_path / "cache")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        journals = list((tmp_path / "cache").glob("*.journal"))
        if journals and len(journals[0].read_text().splitlines()) >= 3:
            break
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    (journal,) = (tmp_path / "cache").glob("*.journal")
    kept = len(journal.read_text().splitlines())
    assert 3 <= kept < 10, "it was killed in the middle"
    images = read(folder, tmp_path / "cache")
    assert len(decoded) == 40 - 4 * kept
    decoded.clear()
    assert torch.equal(images, expected())
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} <= {".npy", ".json", ".lock"}


@pytest.mark.parametrize("damage", ["cut", "other bytes", "half a line", "no journal"])
def test_what_a_crash_left_half_written_is_decoded_again(
    tmp_path: Path, folder: Path, decoded: list[int], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(cache, "_finish", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            read(folder, tmp_path / "cache")
    (partial,), (journal,) = ((tmp_path / "cache").glob(f"*.{suffix}") for suffix in ("partial", "journal"))
    if damage == "cut":
        with partial.open("r+b") as file:
            file.truncate(partial.stat().st_size - 1)
    elif damage == "other bytes":
        with partial.open("r+b") as file:
            file.seek(-5, 2)
            file.write(b"other")
    elif damage == "half a line":
        journal.write_text(journal.read_text()[:-9])
    else:
        journal.unlink()
    decoded.clear()
    images = read(folder, tmp_path / "cache")
    assert len(decoded) == (40 if damage == "no journal" else 4)
    assert torch.equal(images, expected())


def test_two_processes_decode_once(tmp_path: Path, folder: Path) -> None:
    both = [start(folder, tmp_path / "cache") for _ in range(2)]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    counts, sums = zip(*(map(int, out.splitlines()[1].split()) for out, _ in said), strict=True)
    assert sum(counts) == 40
    assert set(sums) == {int(expected().sum())}


def test_changed_bytes_are_noticed(tmp_path: Path, folder: Path, decoded: list[int]) -> None:
    read(folder, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*.npy")
    with path.open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"otherwise")
    decoded.clear()
    assert torch.equal(read(folder, tmp_path / "cache"), expected())
    assert decoded


def test_the_manifest_says_what_was_done(tmp_path: Path, folder: Path) -> None:
    read(folder, tmp_path / "cache")
    (path,) = (tmp_path / "cache").glob("*.json")
    manifest = json.loads(path.read_text())
    assert manifest["preprocess_id"] == "center128-32px-bilinear"
    assert manifest["images"] == 40
    assert path.stem.startswith("images-center128-32px-bilinear-")


def test_no_space_is_said_before_anything_is_decoded(
    tmp_path: Path, folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 1000))
    with pytest.raises(UserError, match=r"needs .* GB more but .* GB are free; .* data.cache=FOLDER$"):
        read(folder, tmp_path / "cache")
    assert not decoded


def test_a_full_disk_leaves_what_is_done(
    tmp_path: Path, folder: Path, decoded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []

    def full(content: bytes) -> int:
        written.append(1)
        if len(written) == 4:
            raise OSError(28, "No space left on device")
        return crc(content)

    crc = cache.zlib.crc32
    with monkeypatch.context() as patch:
        patch.setattr(cache.zlib, "crc32", full)
        with pytest.raises(UserError, match=r"^cannot write .*: No space left on device; free some space"):
            read(folder, tmp_path / "cache")
    decoded.clear()
    assert torch.equal(read(folder, tmp_path / "cache"), expected())
    assert len(decoded) >= 40 - 12


LIMITED = """
import resource, sys
from pathlib import Path
import torch
from ccigkit.data.files import cache
from ccigkit.data.files.crops import Crop, View
from ccigkit.data.files.sources import ImageFiles

torch.set_num_threads(1)
files, view = ImageFiles.find(Path(sys.argv[1])), View(Crop(0), 1024)
names = sorted(files.entries)
now = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (now + 96 * 2**20,) * 2)
images, _ = cache.cached_images(files, names, view, on_bad="refuse", folder=Path(sys.argv[2]))
assert images.numel() > 112 * 2**20, images.shape
try:
    bytearray(images.numel())
except MemoryError:
    print("limited")
generator = torch.Generator().manual_seed(0)
for rows in torch.randperm(len(images), generator=generator).split(2):
    batch = images[rows]
    for row, image in zip(rows.tolist(), batch, strict=True):
        content = (Path(sys.argv[1]) / names[row]).read_bytes()
        assert (image.numpy() == view.pixels(content)).all()
print("equal")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cache_larger_than_the_memory_is_read_right(tmp_path: Path, folder: Path) -> None:
    files = ImageFiles.find(folder)
    cached_images(files, sorted(files.entries), View(Crop(0), 1024), on_bad="refuse", folder=tmp_path / "cache")
    command = [sys.executable, "-c", LIMITED, str(folder), str(tmp_path / "cache")]
    done = subprocess.run(
        command, env=environment(), cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["limited", "equal"], done.stderr


def test_an_unwritable_tensor_is_never_handed_out(tmp_path: Path, folder: Path) -> None:
    images = read(folder, tmp_path / "cache")
    images[0].zero_()
    assert torch.equal(read(folder, tmp_path / "cache"), expected())


def test_celeba_keeps_its_preprocess_id_with_its_cache(tmp_path: Path) -> None:
    data = CelebA(root=str(tmp_path), size=48, crop=100)
    assert data.preprocess_id == "center100-48px-bilinear"
    assert np.isclose(data.frame, 100 / 178)
