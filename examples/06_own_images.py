"""Images of your own: a folder of pictures and a table of what is in them, from the files to a counterfactual.

python examples/06_own_images.py --folder FOLDER
python examples/06_own_images.py                                   draws a folder first, to show what one looks like
python examples/06_own_images.py --steps 20 data.size=32           a tiny version, to see it run
"""

from __future__ import annotations

import argparse
import csv
import shlex
import subprocess
import sys
from pathlib import Path

from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.images import save_image, to_float


def ccigkit(*arguments: str) -> None:
    """Show a command, then run it."""
    print("$ ccigkit", shlex.join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", "ccigkit", *arguments], check=True)


def draw(folder: Path, n: int) -> Path:
    """What a folder of one's own may look like: photographs/0001.png, ... and labels.csv, a row for each."""
    data = Pendulum(n=n)
    drawn = data.load("train")
    (folder / "photographs").mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["photograph", *(attribute.name for attribute in data.attributes)])
        for i, (image, values) in enumerate(zip(drawn.images, drawn.values, strict=True), 1):
            save_image(to_float(image), folder / "photographs" / f"{i:04d}.png")
            table.writerow([f"photographs/{i:04d}.png", *(f"{value:.4f}" for value in values)])
    return folder


def main() -> None:
    """Look at what was inferred, train, and intervene on the first image."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="images and one table; drawn where it is left out")
    parser.add_argument("--steps", help="training steps (default: ccigkit's own)")
    parser.add_argument("--run", default="runs/own", help="where to write")
    parser.add_argument("--do", default="angle=0.1", help="the intervention to show")
    parser.add_argument("-n", type=int, default=2000, help="how many images to draw")
    options, settings = parser.parse_known_args()
    folder = options.folder or draw(Path("runs/own-images"), options.n)
    steps = ["--steps", options.steps] if options.steps else []

    ccigkit("train", "--data", "table", "--run", options.run, *steps, f"data.root={folder}", *settings)
    first = next(path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    ccigkit("counterfactual", options.run, str(first), "--do", options.do, "--out", options.run)


if __name__ == "__main__":
    main()
