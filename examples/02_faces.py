"""The drawn faces: train, then show test images as they would have been, by library calls.

python examples/02_faces.py
python examples/02_faces.py --steps 20 data.n=200      a tiny version, to see it run
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import ccigkit
from ccigkit.data.drawn.faces import Faces
from ccigkit.images import save_rows, to_float

QUESTIONS: list[dict[str, float]] = [{"Smiling": 1}, {"Young": 0}, {"Male": 1, "No_Beard": 0}]


def main() -> None:
    """Train, then ask four questions about four faces."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", help="training steps (default: ccigkit's own)")
    parser.add_argument("--run", type=Path, default=Path("runs/faces"), help="where to write")
    options, settings = parser.parse_known_args()
    steps = ["--steps", options.steps] if options.steps else []

    command = ["train", "--data", "faces", "--structure", "notears", "--run", str(options.run), *steps, *settings]
    subprocess.run([sys.executable, "-m", "ccigkit", *command], check=True)

    model = ccigkit.load(options.run)
    print(model.graph.to_text())

    # Four faces that the model was not trained on: one column each, one row for every question.
    faces = to_float(Faces(n=20, size=model.image_shape[1], seed=99).load("test").images)
    rows = [("real", faces), ("as the model sees them", model.reconstruct(faces))]
    for do in QUESTIONS:
        label = ", ".join(f"{name} = {value:g}" for name, value in do.items())
        rows.append((f"do({label})", model.counterfactual(faces, do)))
    save_rows(rows, options.run / "questions.png")
    print(f"wrote {options.run}/questions.png")


if __name__ == "__main__":
    main()
