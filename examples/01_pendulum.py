"""The pendulum: train, look at the graph, and draw what do() shows. Everything here is a `ccigkit` command.

python examples/01_pendulum.py
python examples/01_pendulum.py --steps 20 data.n=200      a tiny version, to see it run
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys


def ccigkit(*arguments: str) -> None:
    """Show a command, then run it."""
    print("$ ccigkit", shlex.join(arguments), flush=True)
    subprocess.run([sys.executable, "-m", "ccigkit", *arguments], check=True)


def main() -> None:
    """Train, then sample with and without an intervention."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", help="training steps (default: ccigkit's own)")
    parser.add_argument("--run", default="runs/pendulum", help="where to write")
    options, settings = parser.parse_known_args()
    steps = ["--steps", options.steps] if options.steps else []

    ccigkit("train", "--data", "pendulum", "--backbone", "dcgan", "--run", options.run, *steps, *settings)

    # The same sixteen pictures, but with the light held low. The shadows follow, the pendulums do not move.
    ccigkit("sample", options.run, "--out", f"{options.run}/sample.png")
    ccigkit("sample", options.run, "--do", "light=1.0", "--out", f"{options.run}/sample-light.png")

    print(f"\nLook at graph.png, interventions.png, sample.png and sample-light.png in {options.run}.")
    print("Measure every do() against the true counterfactual (this first trains a predictor of the attributes):")
    print(f"  ccigkit evaluate {options.run}")


if __name__ == "__main__":
    main()
