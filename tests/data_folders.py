"""Small data sets in the exact layouts in which people have them: tables, parquet files, tar shards, idx, npz."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.celeba_folder import ATTRIBUTES, faces, image_name

PARTS = {"0": "train", "1": "valid", "2": "test"}


def write_table(
    folder: Path, n: int = 40, *, partition: str = "", inside: str = "photos", suffix: str = "csv", seed: int = 0
) -> Path:
    """Write the faces of `write_celeba` as a folder of images with one table: file, split and the forty labels."""
    files, labels = faces(n, seed)
    (folder / inside).mkdir(parents=True)
    for i, content in enumerate(files):
        (folder / inside / image_name(i)).write_bytes(content)
    columns: dict[str, list[Any]] = {"file": [f"{inside}/{image_name(i)}" for i in range(n)]}
    if partition:
        columns["split"] = [PARTS[part] for part in partition]
    columns |= {name: [int(row[j]) for row in labels] for j, name in enumerate(ATTRIBUTES)}
    if suffix == "parquet":
        import pyarrow
        import pyarrow.parquet

        pyarrow.parquet.write_table(pyarrow.table(columns), folder / "labels.parquet")
    else:
        with (folder / f"labels.{suffix}").open("w", newline="") as file:
            csv.writer(file, delimiter="\t" if suffix == "tsv" else ",").writerows(
                [list(columns), *zip(*columns.values(), strict=True)]
            )
    return folder


def write_parquet(
    folder: Path, n: int = 40, *, partition: str = "", labels_as: str = "bool", struct: bool = True, seed: int = 0
) -> Path:
    """Write the faces as data hubs do: parquet files with an image, who it is, and forty labels of one type.

    `labels_as` is bool, int (0 and 1), sign (1 and -1) or text; `struct` says whether the image is a structure.
    """
    import pyarrow
    import pyarrow.parquet

    files, labels = faces(n, seed)
    turn = {"bool": bool, "int": int, "sign": lambda x: 1 if x else -1, "text": str}[labels_as]
    (folder / "data").mkdir(parents=True)
    for part, word in PARTS.items() if partition else [("", "train")]:
        rows = [i for i in range(n) if not partition or partition[i] == part]
        for number, chosen in enumerate([rows[: len(rows) // 2], rows[len(rows) // 2 :]] if rows else []):
            image = [{"bytes": files[i], "path": image_name(i)} if struct else files[i] for i in chosen]
            columns = {"image": image, "celeb_id": [i // 4 for i in chosen]}
            columns |= {name: [turn(labels[i][j]) for i in chosen] for j, name in enumerate(ATTRIBUTES)}
            path = folder / "data" / f"{word}-{number:05d}-of-00002.parquet"
            pyarrow.parquet.write_table(pyarrow.table(columns), path, row_group_size=7)
    return folder


def write_shards(folder: Path, sizes: tuple[int, ...] = (12, 9, 10, 9), *, test: int = 0, seed: int = 0) -> Path:
    """Write the faces as tar shards of so many samples each; the last `test` of them are of the test split."""
    files, labels = faces(sum(sizes), seed)
    folder.mkdir(parents=True)
    first = 0
    for number, size in enumerate(sizes):
        word = "test" if number >= len(sizes) - test else "train"
        with tarfile.open(folder / f"{word}-{number:03d}.tar", "w") as archive:
            for i in range(first, first + size):
                label = {name: bool(labels[i][j]) for j, name in enumerate(ATTRIBUTES)} | {"brightness": i / 7}
                for ending, content in ((".jpg", files[i]), (".json", json.dumps(label).encode())):
                    member = tarfile.TarInfo(f"faces/{image_name(i)[:-4]}{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        first += size
    return folder


def write_idx(path: Path, values: npt.NDArray[np.uint8]) -> None:
    """Write bytes as an idx file, compressed where the name ends in .gz."""
    sizes = b"".join(int(size).to_bytes(4, "big") for size in values.shape)
    content = bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_morphomnist(folder: Path, n: int = 40, *, intensity: bool = True, zipped: bool = True, seed: int = 0) -> Path:
    """Write squares for digits in MorphoMNIST's files: as wide as they are thick, as bright as their intensity."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for prefix, count in (("train", n), ("t10k", n // 4)):
        thickness = random.integers(2, 12, count)
        bright = (64 + 15 * thickness + random.integers(0, 9, count)).astype(np.uint8)
        images = np.zeros((count, 28, 28), np.uint8)
        for image, wide, value in zip(images, thickness, bright, strict=True):
            image[8 : 8 + wide, 8 : 8 + wide] = value
        ending = ".gz" if zipped else ""
        write_idx(folder / f"{prefix}-images-idx3-ubyte{ending}", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte{ending}", random.integers(0, 10, count).astype(np.uint8))
        with (folder / f"{prefix}-morpho.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["index", "area", "thickness", "slant", *(["intensity"] if intensity else [])])
            for i in range(count):
                told = [float(bright[i])] if intensity else []
                writer.writerow([i, float(thickness[i] ** 2), thickness[i] / 2, random.normal(), *told])
    return folder


def write_causalcircuit(folder: Path, n: int = 12, *, parts: int = 2, seed: int = 0) -> Path:
    """Write grey squares for scenes in CausalCircuit's files: pairs, as JPEG files in an array of objects."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    names = [f"train-{k}" for k in range(parts)] if parts > 1 else ["train"]
    for name in (*names, "val", "test"):
        latents = random.random((n, 2, 4))
        imgs = np.empty((n, 2), dtype=object)
        for i in range(n):
            for moment in (0, 1):
                imgs[i, moment] = _scene(latents[i, moment])
        held = np.eye(4)[random.integers(0, 4, n)]
        np.savez(
            folder / f"{name}.npz",
            original_latents=latents,
            epsilon=random.normal(size=(n, 2, 4)),
            imgs=imgs,
            intervention_masks=held,
        )
    return folder


def _scene(latents: npt.NDArray[np.float64]) -> bytes:
    """A picture whose quarters are as bright as red, green, blue and arm."""
    quarters = (latents * 255).astype(np.uint8).reshape(2, 2)
    file = io.BytesIO()
    Image.fromarray(np.kron(quarters, np.ones((32, 32), np.uint8))).convert("RGB").save(file, "JPEG", quality=95)
    return file.getvalue()
