"""The bootstrap: how sure a learned graph is, edge by edge."""

from __future__ import annotations

import signal
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from multiprocessing import resource_tracker

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from threadpoolctl import threadpool_limits

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix, acyclic
from ccigkit.causal.strengths import Support, fit_strengths
from ccigkit.errors import ConfigError, DataError
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.tables import by_skewness

IDLE = 10  # seconds after which a process with nothing to do ends, as it holds some hundred MB
SHARED = 1 << 16  # bytes of rows from which on processes share them
STARTING = 5.0  # seconds that processes take to start, as each imports torch


@dataclass(frozen=True)
class Task:
    """What every resample is drawn from and learned with."""

    learner: StructureLearner
    table: Table
    knowledge: Knowledge
    seed: int


@dataclass(frozen=True)
class Bootstrap:
    """The graphs learned from resampled rows, in sum.

    `arrows[i, j]` is the share of them in which i causes j. `graph` is their consensus: an edge is in it where at least
    half of them join the two attributes, in the direction that more of them give it (on a tie, the first column of
    `by_skewness` is the cause); where that closes a cycle, the least frequent arrow of the cycle stays out.
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
    on_done: Callable[[], None] = lambda: None,
) -> Bootstrap:
    """Learn a graph from each of `samples` tables, drawn from the rows with replacement (Friedman et al., 1999).

    Each is drawn from `seed` and its number, from rows and columns in an order of their own: neither the number of
    workers nor the order of rows or columns changes anything. A resample is fitted and standardised like any table. One
    that cannot be learned from (a rare label may be missing) is left out, and a note says so.

    Args:
        learner: what learns each graph; it is not changed itself.
        table: the rows to draw from.
        knowledge: what every graph honours.
        samples: how many graphs are learned.
        seed: of the rows that are drawn.
        workers: how many processes learn at a time, each on one thread; 0 for one per core, where they pay.
        on_done: called as each graph is there.

    Raises:
        ConfigError: where there is nothing to do.
        DataError: where not one resample can be learned from.
    """
    if samples < 1:
        raise ConfigError(f"a bootstrap needs at least one resample, got {samples}")
    ordered = sorted_rows(by_skewness(learner.learnable(table)))
    found: list[Support] = []
    reasons: Counter[str] = Counter()
    task = Task(learner, ordered, knowledge, seed)
    for outcome in learned_resamples(task, samples, workers):
        if isinstance(outcome, str):
            reasons[outcome] += 1
        else:
            found.append(outcome)
        on_done()
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
    """[d, d], the consensus of graphs in which a share `arrows` [d, d] has each arrow; see `Bootstrap`.

    >>> consent(np.array([[0.0, 0.2], [0.4, 0.0]])).tolist()
    [[0.0, 0.0], [1.0, 0.0]]
    """
    earlier = np.triu(np.ones_like(arrows, dtype=bool), 1)
    ahead = (arrows > arrows.T) | ((arrows == arrows.T) & earlier)
    joined = (arrows + arrows.T).round(9) >= 0.5  # shares of a hundred do not add up exactly
    return acyclic(np.where(ahead & joined, arrows, 0.0)).astype(np.float64)


def sorted_rows(table: Table) -> Table:
    """The same table, its rows in an order that only what they hold decides."""
    keys = table.values if table.intervened is None else np.column_stack([table.values, table.intervened])
    return table.taken(np.lexsort(keys.T[::-1]))


def resample(table: Table, seed: int, number: int) -> Table:
    """As many rows as the table has, drawn with replacement, fitted anew."""
    rows = np.random.default_rng([seed, number]).integers(len(table.values), size=len(table.values))
    drawn = table.taken(rows)
    return Table.fit(drawn.attributes, drawn.values, drawn.truth, drawn.intervened)


# --- workers ----------------------------------------------------------------------------------------------------------


def learned_resamples(task: Task, samples: int, workers: int) -> Iterator[Support | str]:
    """The adjacency [d, d] learned from each resample, or why there is none, in the order in which they are done.

    One worker is this process itself. More are processes of their own, which read the rows of a large table from one
    file in memory. On any error, Ctrl-C included, they end at once and in silence. With 0 workers the first resample
    tells whether the others take longer than processes take to start.
    """
    numbers = range(samples)
    if not workers:
        begun, numbers = time.perf_counter(), range(1, samples)
        with threadpool_limits(1):
            yield learn_resample(task, 0)
        workers = 1 if (time.perf_counter() - begun) * len(numbers) < STARTING else cpu_count()
    calls = (delayed(learn_resample)(task, number) for number in numbers)
    with parallel_config("loky", inner_max_num_threads=1, idle_worker_timeout=IDLE):
        pool = Parallel(min(workers, samples), return_as="generator_unordered", batch_size=1, max_nbytes=SHARED)
    with threadpool_limits(1), ExitStack() as at_the_end:
        with interrupts_blocked():  # processes that start here leave Ctrl-C to this one
            outcomes = pool(calls)
            at_the_end.callback(close_in_silence, outcomes)
        for outcome in outcomes:  # noqa: UP028  `yield from` would end them itself, and not in silence
            yield outcome


def close_in_silence(outcomes: Generator[Support | str]) -> None:
    """End the processes, without joblib's warning of graphs that nobody waits for any more."""
    with warnings.catch_warnings(action="ignore"):
        outcomes.close()


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Let a Ctrl-C of this moment wait until the block is lifted; in processes started here it never comes."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # as it starts, it lifts any block
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def learn_resample(task: Task, number: int) -> Support | str:
    """The adjacency [d, d] learned from one resample, or why there is none.

    The task's learner, and the random numbers of this process, stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(number)  # the CPU's alone: the fork restores no other
        try:
            drawn = resample(task.table, task.seed, number)
            return deepcopy(task.learner).learn(drawn, task.knowledge).adjacency
        except DataError as error:
            return str(error)
