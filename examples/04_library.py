"""A trained run as a library: sample, intervene, read a picture, ask what it would have been, write it.

python examples/01_pendulum.py
python examples/04_library.py runs/pendulum
"""

from __future__ import annotations

import argparse
from pathlib import Path

import ccigkit


def main() -> None:
    """Load a run and ask it about one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, default=Path("runs/pendulum"), help="a run directory")
    run: Path = parser.parse_args().run

    try:
        model = ccigkit.load(run)
    except ccigkit.UserError as error:  # whatever a user can mend, with the remedy in the message
        raise SystemExit(f"{error}\n(the run of this example comes from examples/01_pendulum.py)") from None

    print(f"attributes: {', '.join(model.attributes.names)}")
    print(model.graph.to_text())

    # One picture of the model's own, as a file. A picture of yours would do: it is cut and resized to the model's size.
    ccigkit.save_image(model.sample(1, seed=7)[0], run / "picture.png")
    picture = ccigkit.read_image(run / "picture.png", model)

    # What it is made of: the noise u, the variables z that the attributes stand for, and the rest.
    codes = model.abduct(picture)
    values = model.attributes.to_values(codes.z)[0].tolist()
    print(
        "the encoder reads:",
        {name: round(value, 2) for name, value in zip(model.attributes.names, values, strict=True)},
    )

    # What it would have been. Every attribute takes values of its own range, in its own units.
    root = model.graph.roots[0]
    attribute = model.attributes[model.attributes.index(root)]
    high = attribute.high if attribute.kind == "continuous" else 1.0
    ccigkit.save_image(model.counterfactual(picture, {root: high}), run / "counterfactual.png")
    print(f"wrote picture.png and counterfactual.png, do({root} = {high:.2f}), to {run}")


if __name__ == "__main__":
    main()
