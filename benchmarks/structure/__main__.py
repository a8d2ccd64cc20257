"""python benchmarks/structure: see `command`."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).parents[1])

from structure.command import main  # noqa: E402  what is beside this file is a package

main()
