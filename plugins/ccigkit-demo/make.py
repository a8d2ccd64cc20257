"""Make the model that ccigkit-demo brings: train it on drawn faces, and keep its networks in 16 bits.

    python plugins/ccigkit-demo/make.py [RUN]

RUN (default runs/demo) is trained, or goes on where it was, or is taken as it is where it is finished. What the 16 bits
cost is printed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import tomli_w
import torch
from ccigkit_demo import MODEL
from torch import Tensor

from ccigkit import CausalImageModel
from ccigkit.commands.hub import travelling
from ccigkit.commands.run import Run
from ccigkit.data.base import Split
from ccigkit.data.drawn.faces import Faces
from ccigkit.files import write_json, write_text
from ccigkit.images import save_image, to_float
from ccigkit.model import load_model
from ccigkit.model.files import read_model
from ccigkit.model.place import EXAMPLE
from ccigkit.model.tensors import write_tensors

STEPS = 1400
NETWORKS = ("encoder.", "generator.")  # the causal model stays as it is: it is small, and its values are figures
COMPARED = 100  # test images
CARD = {"Smiling": 0.2, "Eyeglasses": 0.2}  # below this degree, so that the first edits show


def main(run: Path) -> None:
    """Train the run, write the model into the package, and say what changed."""
    words = ["train", "--data", "faces", "--steps", str(STEPS), "--run", str(run)]
    subprocess.run([sys.executable, "-m", "ccigkit", *words], check=True)  # noqa: S603  our own
    write_model(Run(run), MODEL)
    test = Faces().load("test")
    save_image(to_float(test.images[first_plain(test)])[None], MODEL / EXAMPLE)
    print(f"{MODEL}: {(MODEL / 'model.safetensors').stat().st_size / 1e6:.2f} MB")
    for line in compared(load_model(run), load_model(MODEL), to_float(test.images[:COMPARED])):
        print(line)


def write_model(run: Run, folder: Path) -> None:
    """A run's model with its networks in bfloat16: loading makes them float32 again."""
    content, tensors = read_model(run.folder / "model.safetensors")
    write_tensors(folder / "model.safetensors", {name: narrow(name, t) for name, t in tensors.items()}, content)
    write_json(folder / "model.json", content)
    write_text(folder / "config.toml", tomli_w.dumps(travelling(run.config)))
    write_text(folder / "graph.toml", (run.folder / "graph.toml").read_text(encoding="utf-8"))


def narrow(name: str, tensor: Tensor) -> Tensor:
    """A tensor in bfloat16 where it is a network's weights."""
    return tensor.bfloat16() if name.startswith(NETWORKS) and tensor.dtype == torch.float32 else tensor


def first_plain(test: Split) -> int:
    """The first test image in which the attributes of `CARD` are hardly there."""
    low = [test.values[:, list(Faces().table().names).index(name)] < most for name, most in CARD.items()]
    return int((low[0] & low[1]).argmax())


def compared(wide: CausalImageModel, slim: CausalImageModel, images: Tensor) -> list[str]:
    """How far what two models draw is apart, in the 256 levels that a picture has, a line for each question."""
    questions: list[Mapping[str, float]] = [{}, *({name: side} for name in wide.attributes.names for side in (0, 1))]
    lines = [f"{'levels apart':28} {'mean':>6} {'99.9 %':>6} {'most':>6} {'the same in 8 bits':>20}"]
    for do in questions:
        a, b = ((model.counterfactual(images, do, detail=False) + 1) * 127.5 for model in (wide, slim))
        apart, same = (a - b).abs().double(), (a.round() == b.round()).double().mean()
        far = apart.flatten().sort().values[int(0.999 * apart.numel())]
        asked = ", ".join(f"{name}={value}" for name, value in do.items())
        lines.append(f"{f'do({asked})':28} {apart.mean():6.2f} {far:6.2f} {apart.max():6.2f} {same:20.1%}")
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("runs/demo"))
