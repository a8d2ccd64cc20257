"""The bootstrap: how sure a learned graph is, edge by edge."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix, acyclic
from ccigkit.causal.strengths import Support, fit_strengths
from ccigkit.errors import ConfigError, DataError
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.tables import canonical

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


@dataclass(frozen=True)
class Task:
    """What every process learns with."""

    learner: StructureLearner
    table: Table
    knowledge: Knowledge
    seed: int


@dataclass(frozen=True)
class Bootstrap:
    """The graphs learned from resampled rows, in sum.

    `arrows[i, j]` is the share of them in which i causes j. `graph` is their consensus: an edge is in it where at least
    half of them join the two attributes, in the direction that more of them give it (on a tie, the first column of
    `canonical` is the cause); where that closes a cycle, the least frequent arrow of the cycle stays out.
    """

    graph: CausalGraph
    arrows: Matrix
    samples: int

    @property
    def adjacent(self) -> Matrix:
        """[d, d], the share of the graphs in which the two are joined, in either direction."""
        return self.arrows + self.arrows.T

    def remarks(self, least: float = 0.1) -> dict[tuple[str, str], str]:
        """What to say of each edge of the consensus, then of those that stayed out but came up at least so often."""
        names, kept = self.graph.names, self.graph.adjacency
        out = (self.adjacent >= least) & (self.arrows >= self.arrows.T) & ~kept & ~kept.T
        out &= (self.arrows > self.arrows.T) | np.triu(np.ones_like(out))  # a tie once
        often = sorted(np.argwhere(out).tolist(), key=lambda edge: -self.adjacent[edge[0], edge[1]])
        return {
            (names[i], names[j]): f"joined in {self.adjacent[i, j]:.0%}, this way in {self.arrows[i, j]:.0%}"
            for i, j in (*np.argwhere(kept).tolist(), *often)
        }


def bootstrap(
    learner: StructureLearner,
    table: Table,
    knowledge: Knowledge,
    *,
    samples: int = 100,
    seed: int = 0,
    workers: int = 0,
    tell: Callable[[], None] = lambda: None,
) -> Bootstrap:
    """Learn a graph from each of `samples` tables, drawn from the rows with replacement (Friedman et al., 1999).

    Each is drawn from `seed` and its number, from rows and columns in an order of their own: neither the number of
    workers nor the order of rows or columns changes anything. A resample is fitted and standardised like any table. One
    that cannot be learned from (a rare label may be missing) is left out and told in a note.

    `workers` processes of one thread each learn (0: one per core), and `tell` is called as each graph is there.

    Raises:
        ConfigError: where there is nothing to do.
        DataError: where not one resample can be learned from.
    """
    if samples < 1:
        raise ConfigError(f"a bootstrap needs at least one resample, got {samples}")
    ordered = sorted_rows(canonical(table))
    found: list[Support] = []
    reasons: Counter[str] = Counter()
    task = Task(learner, ordered, knowledge, seed)
    for outcome in learned_resamples(task, samples, min(workers or cores(), samples)):
        if isinstance(outcome, str):
            reasons[outcome] += 1
        else:
            found.append(outcome)
        tell()
    if not found:
        raise DataError(f"no resample can be learned from: {reasons.most_common(1)[0][0]}")
    arrows = np.mean(found, axis=0)
    notes = tuple(f"{count} of {samples} resamples left out: {reason}" for reason, count in sorted(reasons.items()))
    consensus = CausalGraph(ordered.names, consent(arrows)).reordered(table.names)
    strengths = fit_strengths(table, consensus.adjacency)
    graph = CausalGraph(table.names, strengths, notes, knowledge.confounded)
    at = [ordered.attributes.index(name) for name in table.names]
    return Bootstrap(graph, arrows[np.ix_(at, at)], len(found))


def consent(arrows: Matrix) -> Matrix:
    """[d, d], the consensus of graphs in which a share `arrows` [d, d] has each arrow; see `Bootstrap`."""
    earlier = np.triu(np.ones_like(arrows, dtype=bool), 1)
    ahead = (arrows > arrows.T) | ((arrows == arrows.T) & earlier)
    joined = (arrows + arrows.T).round(9) >= 0.5  # shares of a hundred do not add up exactly
    return acyclic(np.where(ahead & joined, arrows, 0.0)).astype(np.float64)


def sorted_rows(table: Table) -> Table:
    """The same table, its rows in an order that only their values decide."""
    return Table(table.attributes, table.values[np.lexsort(table.values.T[::-1])], table.truth)


def resample(table: Table, seed: int, number: int) -> Table:
    """As many rows as the table has, drawn with replacement, fitted anew."""
    rows = np.random.default_rng([seed, number]).integers(len(table.values), size=len(table.values))
    return Table.fit(table.attributes, table.values[rows], table.truth)


# --- processes --------------------------------------------------------------------------------------------------------


def learned_resamples(task: Task, samples: int, workers: int) -> Iterator[Support | str]:
    """The adjacency [d, d] learned from each resample, or why there is none, as they are done.

    On any error, Ctrl-C included, the processes end at once and in silence.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
    before = set(multiprocessing.active_children())
    with TemporaryDirectory() as folder, ProcessPoolExecutor(workers, mp_context=context) as pool:
        path = Path(folder) / "task"
        path.write_bytes(pickle.dumps(task))
        try:
            with inherited_by_children():
                futures = [pool.submit(learn_resample, path, number) for number in range(samples)]
            for done in as_completed(futures):
                yield done.result()
        except BaseException:
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def inherited_by_children() -> Iterator[None]:
    """Processes started here run on one thread each, and leave Ctrl-C to this one."""
    threads = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    # Blocked, not ignored: a Ctrl-C of this moment is not lost, it comes when the block is lifted.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        for name, value in threads.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def learn_resample(path: Path, number: int) -> Support | str:
    """The adjacency [d, d] learned from one resample of the task in a file, or why there is none; in a child."""
    task = read_task(path)
    torch.manual_seed(number)
    try:
        drawn = resample(task.table, task.seed, number)
        return task.learner.learn(drawn, task.knowledge).adjacency
    except DataError as error:
        return str(error)


@cache
def read_task(path: Path) -> Task:
    """The task in a file, read once by each process."""
    task: Task = pickle.loads(path.read_bytes())  # noqa: S301  our own, of a moment ago
    return task


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
