"""The figures of docs/data.md on the cache: building it, reading from it, and reading it with less memory than it has.

    python benchmarks/cache.py --images 2000 --repeats 5

Drawn faces are written as 178 x 218 JPEG files, CelebA's size, and every way of reading them is timed in turn, several
times over, on the same machine in the same minutes; the figures are medians. CPU time counts all processes.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from ccigkit.data.drawn.faces import Faces
from ccigkit.data.files import crops
from ccigkit.data.files.cache import cached_images
from ccigkit.data.files.sources import ImageFiles
from ccigkit.training.batches import as_batch
from ccigkit.training.devices import keep_memory

VIEW = crops.View(crops.Crop(128), 64)
TRANSFORM = v2.Compose([v2.CenterCrop(128), v2.Resize(64, antialias=True)])
BATCH = 128


def main() -> None:
    """Write the files, time, print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="cores that every way of reading may use")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()  # as training does
    warnings.simplefilter("ignore")  # torchvision says that its decoders will go
    with tempfile.TemporaryDirectory() as folder:
        photographs = write_faces(Path(folder) / "photographs", given.images)
        print(f"{given.images} JPEG files of 178 x 218, {given.threads} cores\n")
        building(photographs, Path(folder), given.repeats, given.threads)
        reading(photographs, Path(folder), given.repeats)
        limited(photographs, Path(folder))


def write_faces(folder: Path, n: int) -> list[Path]:
    """Drawn faces as JPEG files of CelebA's size."""
    folder.mkdir()
    for i, face in enumerate(Faces(n=n, size=178).load("train").images):
        picture = Image.new("RGB", (178, 218), tuple(face[:, 0, 0].tolist()))
        picture.paste(Image.fromarray(face.permute(1, 2, 0).numpy()), (0, 20))
        picture.save(folder / f"{i + 1:06d}.jpg", quality=85)
    return sorted(folder.iterdir())


def building(files: Sequence[Path], folder: Path, repeats: int, threads: int) -> None:
    """Ours, with the cache written and checked, beside plain loops that decode, cut, resize and keep nothing."""
    fresh = iter(range(1000))

    def ours() -> None:
        torch.set_num_threads(threads)
        read_cache(files, folder / f"cache{next(fresh)}")

    def loop() -> None:
        torch.set_num_threads(1)  # more make it slower: an image of this size is too small to share
        for file in files:
            torchvision_pixels(file)

    def pool() -> None:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads) as executor:
            for _ in executor.map(torchvision_pixels, files):
                pass

    def loader() -> None:
        torch.set_num_threads(1)
        for _ in DataLoader(Files(files), batch_size=BATCH, num_workers=threads):
            pass

    ways: dict[str, Callable[[], None]] = {
        "ours: decode, write, check": ours,
        "torchvision, a loop": loop,
        f"torchvision, {threads} Python threads": pool,
        f"torchvision, DataLoader with {threads} workers": loader,
    }
    print_table("building", {name: (way, len(files)) for name, way in ways.items()}, repeats)


def reading(files: Sequence[Path], folder: Path, repeats: int) -> None:
    """Shuffled batches of 128 out of the cache, and decoded each time."""
    torch.set_num_threads(1)
    images = read_cache(files, folder / "cache")
    order = torch.randperm(len(files), generator=torch.Generator().manual_seed(0))

    def cached(times: int) -> None:
        for _ in range(times):
            for rows in order.split(BATCH):
                images.index_select(0, rows)

    def cached_float(times: int) -> None:
        for _ in range(times):
            for rows in order.split(BATCH):
                as_batch(images.index_select(0, rows), rows, torch.device("cpu"))

    def decoded(pixels: Callable[[Path], Tensor]) -> None:
        for rows in order.split(BATCH):
            torch.stack([pixels(files[row]) for row in rows.tolist()])

    def decoded_float() -> None:
        for rows in order.split(BATCH):
            as_batch(torch.stack([our_pixels(files[row]) for row in rows.tolist()]), rows, torch.device("cpu"))

    ways: dict[str, tuple[Callable[[], None], int]] = {
        "cache, uint8": (lambda: cached(10), 10 * len(files)),
        "cache, and to float": (lambda: cached_float(10), 10 * len(files)),
        "decoding each time, ours": (lambda: decoded(our_pixels), len(files)),
        "decoding each time, ours, and to float": (decoded_float, len(files)),
        "decoding each time, torchvision": (lambda: decoded(torchvision_pixels), len(files)),
    }
    print_table("shuffled batches of 128", ways, repeats)


def limited(files: Sequence[Path], folder: Path) -> None:
    """Read a cache in a process that may not have as much memory as the cache is large, and compare every image."""
    view, some = crops.View(crops.Crop(0), 512), files[:400]
    source = ImageFiles.find(some[0].parent)
    names = [file.name for file in some]
    images, _ = cached_images(source, names, view, on_bad="refuse", folder=folder / "large")
    megabytes = images.numel() >> 20
    command = [sys.executable, __file__, "--limited", str(some[0].parent), str(folder / "large"), str(len(some))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(f"a cache of {megabytes} MB: {done.stdout.strip() or done.stderr.strip()}")


def read_limited(photographs: Path, cache: Path, count: int) -> None:
    """In the child: all images in shuffled batches against a fresh decoding, under a limit of 96 MB more than now."""
    torch.set_num_threads(1)
    view, source = crops.View(crops.Crop(0), 512), ImageFiles.find(photographs)
    names = sorted(source.entries)[:count]
    status = Path("/proc/self/status").read_text()
    now = 1024 * int(next(line for line in status.splitlines() if line.startswith("VmData")).split()[1])
    resource.setrlimit(resource.RLIMIT_DATA, (now + 96 * 2**20,) * 2)
    images, _ = cached_images(source, names, view, on_bad="refuse", folder=cache)
    same = 0
    for rows in torch.randperm(count, generator=torch.Generator().manual_seed(0)).split(16):
        for row, image in zip(rows.tolist(), images[rows], strict=True):
            same += bool((image.numpy() == view.pixels((photographs / names[row]).read_bytes())).all())
    print(f"{same} of {count} images read right with 96 MB of memory to allocate")


class Files(Dataset[Tensor]):
    """Files for a DataLoader."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: int) -> Tensor:
        return torchvision_pixels(self.files[row])


def torchvision_pixels(file: Path) -> Tensor:
    """A file as torchvision's users read it."""
    pixels: Tensor = TRANSFORM(torchvision.io.decode_image(str(file)))
    return pixels


def our_pixels(file: Path) -> Tensor:
    """A file as the cache's builder reads it."""
    return torch.from_numpy(VIEW.pixels(file.read_bytes()))


def read_cache(files: Sequence[Path], folder: Path) -> Tensor:
    """All files through a cache in a folder."""
    source = ImageFiles.find(files[0].parent)
    return cached_images(source, [file.name for file in files], VIEW, on_bad="refuse", folder=folder)[0]


def print_table(title: str, ways: dict[str, tuple[Callable[[], None], int]], repeats: int) -> None:
    """Time every way in turn, several times over, and print the medians."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, (way, _) in ways.items():
            wall, cpu = time.perf_counter(), cpu_seconds()
            way()
            times[name].append((time.perf_counter() - wall, cpu_seconds() - cpu))
    print(f"| {title} | images per second | images per CPU-second |\n|---|---|---|")
    for name, (_, count) in ways.items():
        wall, cpu = (statistics.median(column) for column in zip(*times[name], strict=True))
        print(f"| {name} | {count / wall:,.0f} | {count / cpu:,.0f} |")
    print()


def cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--limited"]:
        read_limited(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
