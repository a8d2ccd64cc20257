"""CelebA: your own copy of it, with a graph that is learned under what everybody knows of faces.

python examples/03_celeba.py FOLDER
python examples/03_celeba.py FOLDER --steps 20 data.limit=200      a tiny version, to see it run

What is known beforehand, and which attributes are modelled, is in celeba.toml beside this file.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

WANTED = """This example needs a folder of yours with CelebA in it (its authors ask for non-commercial research only):

  FOLDER/img_align_celeba/000001.jpg ...    the aligned images; img_align_celeba.zip does as well, unpacked or not
  FOLDER/list_attr_celeba.txt               the forty labels of each; the .csv does as well
  FOLDER/list_eval_partition.txt            which images are for testing; may be missing

Then: python examples/03_celeba.py FOLDER"""


def ccigkit(*arguments: str) -> None:
    """Show a command, then run it."""
    print("$ ccigkit", shlex.join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", "ccigkit", *arguments], check=True)


def main() -> None:
    """Learn the graph, train, and make the first photographs smile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="where CelebA is")
    parser.add_argument("--steps", help="training steps (default: ccigkit's own)")
    parser.add_argument("--run", default="runs/celeba", help="where to write")
    options, settings = parser.parse_known_args()
    if options.folder is None:
        print(WANTED)
        return
    steps = ["--steps", options.steps] if options.steps else []

    config = str(Path(__file__).with_name("celeba.toml"))
    ccigkit("train", "--config", config, "--run", options.run, *steps, f"data.root={options.folder}", *settings)
    ccigkit("sample", options.run, "--do", "Smiling=1", "--out", f"{options.run}/sample-smiling.png")
    if photographs := sorted(options.folder.glob("img_align_celeba/*.jpg"))[:3]:
        ccigkit("counterfactual", options.run, *map(str, photographs), "--do", "Smiling=1", "--out", options.run)


if __name__ == "__main__":
    main()
