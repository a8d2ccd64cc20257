"""Runs, each in a process of its own."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from structure.claims import Claim

FOLDER = Path(__file__).parents[1]  # from which the package is imported
Record = dict[str, Any]
Run = tuple[str, str, int]  # method, cell, seed


def runs(
    claims: Iterable[Claim], cells: Sequence[str] | None, methods: Sequence[str] | None, seeds: Iterable[int]
) -> Iterator[Run]:
    """Each run once, interleaved: every seed begins with another method, so that no method always runs first."""
    wanted: dict[str, dict[str, None]] = {}
    for claim in claims:
        for cell in claim.cells:
            wanted.setdefault(cell, {}).update(dict.fromkeys(claim.methods))
    for seed in seeds:
        for cell, given in wanted.items():
            names = [name for name in given if methods is None or name.startswith(tuple(methods))]
            turn = seed % len(names) if names else 0
            if cells is None or cell in cells:
                yield from ((name, cell, seed) for name in names[turn:] + names[:turn])


def play(run: Run, records: list[Record], limit: int) -> list[Record]:
    """The records with one more run, or as they are where it is there already, or its method was too slow here."""
    method, cell, seed = run
    there = [r for r in records if (r["method"], r["cell"]) == (method, cell)]
    if any(r["seed"] == seed or "limit" in r for r in there):
        return records
    print(f"{cell}  seed {seed}  {method}", end="  ", flush=True)
    found = measure(run, limit)
    print({key: value for key, value in found.items() if key != "edges"}, flush=True)
    return [*records, {"method": method, "cell": cell, "seed": seed, "machine": machine(), **found}]


def measure(run: Run, limit: int) -> Record:
    """What one run in its own process found, or why it found nothing."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    words = [sys.executable, "-m", "structure.one", *map(str, (*run, limit))]
    hashes = {"PYTHONHASHSEED": str(run[2])}  # pgmpy settles ties by the order of sets of names
    found_at = {"PYTHONPATH": os.pathsep.join(filter(None, (str(FOLDER), os.environ.get("PYTHONPATH"))))}
    environment = {**os.environ, **threads, **hashes, **found_at}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGXCPU:
        return {"limit": limit}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    found: Record = json.loads(done.stdout.strip().splitlines()[-1])  # what stands above is the peer's own talk
    return found


def machine() -> str:
    """What the run ran on, in a few words."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
