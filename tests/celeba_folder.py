"""A small CelebA: the exact layout of the real one, with drawn faces in place of photographs."""

from __future__ import annotations

import io
import random
import zipfile
from functools import cache
from pathlib import Path

import torch
from PIL import Image

from ccigkit.data.drawn.faces_drawing import ATTRIBUTES as DRAWN
from ccigkit.data.drawn.faces_drawing import IDENTITY, draw_faces

ATTRIBUTES = [
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
]  # fmt: skip
WIDTH, HEIGHT = 178, 218


def image_name(i: int) -> str:
    """The name of image i, from 0: 000001.jpg, 000002.jpg, ..."""
    return f"{i + 1:06d}.jpg"


@cache
def faces(n: int, seed: int = 0) -> tuple[list[bytes], list[list[bool]]]:
    """JPEG files of n faces, 178 x 218, and their 40 labels: those drawn are true of the picture, the others random."""
    generator = torch.Generator().manual_seed(seed)
    degrees = torch.rand(n, len(DRAWN), generator=generator)
    images = draw_faces(degrees, torch.rand(n, len(IDENTITY), generator=generator), WIDTH)
    coin = random.Random(seed)
    labels = [
        [bool(row[DRAWN.index(name)] > 0.5) if name in DRAWN else coin.random() < 0.5 for name in ATTRIBUTES]
        for row in degrees
    ]
    return [_jpeg(image.permute(1, 2, 0).numpy()) for image in images], labels


def _jpeg(pixels: object) -> bytes:
    face = Image.fromarray(pixels)  # type: ignore[arg-type]
    picture = Image.new("RGB", (WIDTH, HEIGHT), face.getpixel((0, 0)))
    picture.paste(face, (0, (HEIGHT - WIDTH) // 2))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=85)
    return file.getvalue()


def write_celeba(
    folder: Path,
    n: int = 40,
    *,
    csv: bool = False,
    zipped: bool = False,
    partition: str = "",
    people: int = 0,
    seed: int = 0,
) -> Path:
    """Write a CelebA of n images into a folder.

    `partition` has a digit per image (0 train, 1 valid, 2 test), and no file is written where it is empty; of so many
    `people` the identity file speaks, if there are any.
    """
    files, labels = faces(n, seed)
    folder.mkdir(parents=True, exist_ok=True)
    if zipped:
        with zipfile.ZipFile(folder / "img_align_celeba.zip", "w") as archive:
            archive.mkdir("img_align_celeba")
            for i, content in enumerate(files):
                archive.writestr(f"img_align_celeba/{image_name(i)}", content)
    else:
        (folder / "img_align_celeba").mkdir()
        for i, content in enumerate(files):
            (folder / "img_align_celeba" / image_name(i)).write_bytes(content)
    signs = [["1" if label else "-1" for label in row] for row in labels]
    if csv:
        lines = [",".join(["image_id", *ATTRIBUTES]), *(",".join([image_name(i), *row]) for i, row in enumerate(signs))]
        parts = ["image_id,partition", *(f"{image_name(i)},{part}" for i, part in enumerate(partition))]
    else:
        rows = (" ".join([image_name(i), *(sign.rjust(2) for sign in row)]) for i, row in enumerate(signs))
        lines = [str(n), " ".join(ATTRIBUTES) + " ", *rows]
        parts = [f"{image_name(i)} {part}" for i, part in enumerate(partition)]
    suffix = "csv" if csv else "txt"
    (folder / f"list_attr_celeba.{suffix}").write_text("\n".join(lines) + "\n")
    if partition:
        (folder / f"list_eval_partition.{suffix}").write_text("\n".join(parts) + "\n")
    if people:
        lines = [f"{image_name(i)} {1 + i % people}" for i in range(n)]
        (folder / "identity_CelebA.txt").write_text("\n".join(lines) + "\n")
    return folder
