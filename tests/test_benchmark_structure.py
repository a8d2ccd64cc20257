"""The structure benchmark: its tables, the order of its runs, and what it writes."""

from __future__ import annotations

import gzip
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ccigkit.causal.dag import find_cycle

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(FOLDER))
    names = ("cells", "claims", "drawn", "networks", "page", "proteins", "runs")
    return SimpleNamespace(**{name: import_module(f"structure.{name}") for name in names})


def record(method: str, seed: int = 0, **more: Any) -> dict[str, Any]:
    figures = dict.fromkeys(("wall", "cpu", "mib", "shd", "as_dag", "of_class", "skeleton", "arrows"), 1.0)
    return {
        "method": method, "cell": "logistic-d40-n200000-raw", "seed": seed, "machine": "here", "version": "1",
        "cyclic": False, "edges": [[0, 1]], **figures, **more,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["linear-d8-n400-raw", "mlp-d8-n400-std", "logistic-d8-n400-raw", "mixed-d8-n400-std"])
def test_a_table_follows_its_graph(benchmark: SimpleNamespace, name: str) -> None:
    cell = benchmark.drawn.Cell.parse(name)
    assert str(cell) == name
    rows, truth = benchmark.cells.draw(cell, 3)
    assert rows.shape == (400, 8)
    assert truth.sum() == 16  # two edges per attribute
    assert find_cycle(truth) == []
    again, _ = benchmark.cells.draw(cell, 3)
    np.testing.assert_array_equal(again, rows)
    assert not np.array_equal(benchmark.cells.draw(cell, 4)[1], truth)
    distinct = {"continuous": 400, "binary": 2, "categorical": 3}
    assert [len(np.unique(column)) for column in rows.T] == [distinct[kind] for kind in cell.kinds]
    roots = rows[:, ~truth.any(axis=0)]
    assert abs(np.corrcoef(roots, rowvar=False) - np.eye(roots.shape[1])).max() < 0.2


def test_raw_and_standardised_tables_share_their_draws(benchmark: SimpleNamespace) -> None:
    raw, truth = benchmark.cells.draw(benchmark.drawn.Cell.parse("linear-d5-n300-raw"), 0)
    scaled, same = benchmark.cells.draw(benchmark.drawn.Cell.parse("linear-d5-n300-std"), 0)
    np.testing.assert_array_equal(truth, same)
    np.testing.assert_allclose((raw - raw.mean(axis=0)) / raw.std(axis=0), scaled)


def test_the_weights_of_a_linear_table_are_those_promised(benchmark: SimpleNamespace) -> None:
    rows, truth = benchmark.cells.draw(benchmark.drawn.Cell.parse("linear-d6-n50000-raw"), 1)
    for j in np.flatnonzero(truth.any(axis=0)):
        fitted = np.linalg.lstsq(rows[:, truth[:, j]], rows[:, j])[0]
        assert ((abs(fitted) > 0.45) & (abs(fitted) < 2.05)).all()


@pytest.mark.parametrize("name", ["linear", "linear-d10-n1000", "cubic-d10-n1000-raw", "logistic-d10-n1000-std"])
def test_what_is_no_cell_is_refused(benchmark: SimpleNamespace, name: str) -> None:
    with pytest.raises(ValueError, match="is no cell"):
        benchmark.cells.parse_cell(name)


NETWORK = """network unknown {}
variable a { type discrete [ 2 ] { no, yes }; }
variable b { type discrete [ 3 ] { low, middle, high }; }
variable c { type discrete [ 2 ] { never, always }; }
variable d { type discrete [ 3 ] { one, two, three }; }
probability ( a ) { table 0.3, 0.7; }
probability ( b | a ) { (no) 0.8, 0.1, 0.1; (yes) 0.1, 0.2, 0.7; }
probability ( c | b ) { (low) 0.0, 1.0; (middle) 0.0, 1.0; (high) 0.0, 1.0; }
probability ( d | b ) { (low) 0.5, 0.0, 0.5; (middle) 0.9, 0.0, 0.1; (high) 0.1, 0.0, 0.9; }
"""


def test_a_network_is_sampled_once_and_its_constant_columns_are_left_out(
    benchmark: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pgmpy")
    (tmp_path / "small.bif.gz").write_bytes(gzip.compress(NETWORK.encode()))
    monkeypatch.setenv(benchmark.networks.NETWORKS, str(tmp_path))
    monkeypatch.setenv(benchmark.networks.TABLES, str(tmp_path))
    cell = benchmark.cells.parse_cell("small-n2000")
    assert str(cell) == "small-n2000"
    rows, truth = benchmark.cells.draw(cell, 0)
    a, b, d = (int(np.flatnonzero((rows.max(axis=0) == most) & (truth.any(axis=0) == has)).item())
               for most, has in ((1, False), (2, True), (1, True)))  # fmt: skip
    assert sorted(map(tuple, np.argwhere(truth))) == sorted([(a, b), (b, d)])  # c is constant
    assert [cell.kinds_of(rows)[j] for j in (a, b, d)] == ["binary", "categorical", "binary"]  # d is never two
    assert rows[:, a].mean() == pytest.approx(0.7, abs=0.05)
    assert rows[rows[:, b] == 1, d].mean() == pytest.approx(0.1, abs=0.05)
    assert not np.array_equal(benchmark.cells.draw(cell, 1)[0], rows)
    again, _ = benchmark.networks.sample(cell, 0)
    np.testing.assert_array_equal(again, rows)
    (tmp_path / "small.bif.gz").unlink()
    np.testing.assert_array_equal(benchmark.cells.draw(cell, 0)[0], rows)


def test_a_run_on_a_network_takes_the_table_that_is_kept(
    benchmark: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    cause = rng.integers(0, 3, 1000)
    rows = np.stack([cause, np.where(rng.random(1000) < 0.7, cause, 0)], axis=1)
    np.savez(tmp_path / "pair-n1000-0.npz", rows=rows, truth=np.array([[False, True], [False, False]]))
    monkeypatch.setenv(benchmark.networks.TABLES, str(tmp_path))
    found = benchmark.runs.measure(("causal-learn:pc", "pair-n1000", 0), 300)
    assert found["of_class"] == 0
    records = [{"method": "causal-learn:pc", "cell": "pair-n1000", "seed": 0, "machine": "here", **found}]
    claim = benchmark.claims.Claim("Pairs", ("pair-n1000",), (), ("causal-learn:pc", "pgmpy:pc"))
    *_, line = benchmark.page.summary(records, [claim], None, None)
    assert line.startswith("| causal-learn:pc | 0 (")
    assert "| causal-learn pc | 1 | 1 | 0 | 0 |" in "\n".join(benchmark.page.table(claim, records))


def test_every_claim_names_cells(benchmark: SimpleNamespace) -> None:
    assert all(
        str(benchmark.cells.parse_cell(cell)) == cell
        for claim in benchmark.claims.CLAIMS.values()
        for cell in claim.cells
    )


def test_runs_are_interleaved_and_each_is_there_once(benchmark: SimpleNamespace) -> None:
    claims = [benchmark.claims.CLAIMS[name] for name in ("binary", "pc")]
    plan = list(benchmark.runs.runs(claims, None, None, [0, 1]))
    assert len(plan) == len(set(plan)) == 8
    assert [seed for _, _, seed in plan] == [0] * 4 + [1] * 4
    assert plan[0][0] != plan[4][0]  # another method begins
    assert {m for m, _, _ in benchmark.runs.runs(claims, None, ["ccigkit"], [0])} == {"ccigkit:boss", "ccigkit:pc"}
    assert list(benchmark.runs.runs(claims, ["linear-d10-n100-raw"], None, [0])) == []


def test_what_is_there_or_was_too_slow_is_not_run_again(
    benchmark: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark.runs, "measure", lambda *_: pytest.fail("it ran"))
    slow = {"method": "a:b", "cell": "c", "seed": 0, "machine": "here", "limit": 9}
    assert benchmark.runs.play(("a:b", "c", 0), [slow], 9) == [slow]
    assert benchmark.runs.play(("a:b", "c", 1), [slow], 9) == [slow]


def test_the_page_tells_of_what_was_too_slow_and_what_broke(benchmark: SimpleNamespace) -> None:
    records = [
        record("ccigkit:boss", cpu=0.5),
        record("ccigkit:boss", seed=1, cpu=1.5),
        {"method": "causal-learn:pc", "cell": "logistic-d40-n200000-raw", "seed": 0,
         "machine": "here", "limit": 60},
    ]  # fmt: skip
    text = benchmark.page.page(records, Path("images/x.png"))
    assert "| ccigkit boss | 2 | 1 | 1 | 1 |  | 1.00 | 1.00 | 1 | 1 (0.5 to 1.5) | 1.0 | 1 |" in text
    assert "| causal-learn pc | 0 | stopped after 60 CPU s |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {9, 13}


def test_regret_is_what_auto_has_more_than_the_best_of_its_scores(benchmark: SimpleNamespace) -> None:
    cell = "curves-d10-n500-std"
    shds = {"ccigkit:auto": (5, 2, 1), "ccigkit:boss:score=gaussian": (7, 2), "ccigkit:boss:score=spline": (3, 9)}
    records = [
        record(method, seed, cell=cell, shd=shd) for method, all_of in shds.items() for seed, shd in enumerate(all_of)
    ]
    assert benchmark.page.regret(records) == {0: 2, 1: 0}
    assert (
        f"| {cell} | gaussian, spline | 2 | 3.5 (2 to 5) | 1 | 2.5 (2 to 3) | 1 (0 to 2) | 1 |"
        in benchmark.page.page(records, Path("x"))
    )
    claim = benchmark.claims.Claim("", (cell,), ("ccigkit:auto",), ())
    (line,) = [line for line in benchmark.page.table(claim, records) if "auto" in line]
    assert line.startswith("| ccigkit auto | 3 | 2 (1 to 5) | 1 | 1 | 1 (0 to 2) |")


def test_graphs_agree_where_they_are_the_same_in_every_edge(benchmark: SimpleNamespace) -> None:
    claim = benchmark.claims.CLAIMS["pc"]
    theirs = record(benchmark.claims.PC_AS_OURS, edges=[[0, 1], [1, 2]])
    same, other = (record("ccigkit:pc", edges=edges) for edges in ([[1, 2], [0, 1]], [[1, 0], [1, 2]]))
    assert "in 1 of 1 seeds" in benchmark.page.agreement(claim, [theirs, same])[0]
    assert "in 0 of 1 seeds" in benchmark.page.agreement(claim, [theirs, other])[0]


@pytest.mark.parametrize("cell", ["logistic-d12-n3000-raw", "linear-d12-n1000-std"])
def test_our_pc_finds_the_graph_of_their_own_call(benchmark: SimpleNamespace, cell: str) -> None:
    ours, theirs = (benchmark.runs.measure((m, cell, 0), 300) for m in ("ccigkit:pc", benchmark.claims.PC_AS_OURS))
    assert len(ours["edges"]) > 10
    assert ours["edges"] == theirs["edges"]


def test_a_run_is_a_process_that_says_what_it_found_or_why_not(benchmark: SimpleNamespace) -> None:
    found = benchmark.runs.measure(("ccigkit:notears", "linear-d4-n200-std", 0), 300)
    assert found["cpu"] > 0
    assert found["shd"] <= 6
    assert found["mib"] >= found["mib_before"] > 10
    assert (
        "unknown structure 'nothing'"
        in benchmark.runs.measure(("ccigkit:nothing", "linear-d4-n200-std", 0), 300)["error"]
    )


def test_proteins_are_read_with_what_was_set(
    benchmark: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("data", "ground.truth"):
        (tmp_path / folder).mkdir()
    rng, names = np.random.default_rng(0), (*benchmark.proteins.PROTEINS, "cd3_cd28", *benchmark.proteins.REAGENTS)
    conditions = np.repeat(np.eye(9), 60, axis=0)  # nothing, then each reagent
    conditions[:, 0] = 1 - conditions[:, 7:].sum(axis=1)
    rows = np.hstack([rng.normal(size=(540, 11)), conditions])
    large = tmp_path / "data/sachs.2005.continuous.discrete.experimental.mixed.maximum.2.txt"
    np.savetxt(large, rows, header=" ".join(names), comments="")
    np.savetxt(
        tmp_path / "data/sachs.2005.discrete.txt", rng.integers(1, 4, (5400, 11)), fmt="%d", header="x", comments=""
    )
    edges = [
        f"{n}. {a} --> {b}" for n, (a, b) in enumerate(zip(names[:10] * 2, names[1:11] + names[2:12], strict=True))
    ]
    (tmp_path / "ground.truth/sachs.2005.ground.truth.graph.txt").write_text("Graph Edges:\n" + "\n".join(edges))
    monkeypatch.setenv(benchmark.proteins.SACHS, str(tmp_path))
    every, observed, levels = (
        benchmark.cells.parse_cell(f"sachs-{name}-e17") for name in ("all", "observed", "discrete")
    )
    found, truth = benchmark.cells.draw(every, 0)
    np.testing.assert_allclose(found, rows[:, :11])
    assert truth.sum() == 17
    assert benchmark.cells.draw(observed, 0)[0].shape == (60, 11)
    assert not observed.intervened().any()
    held = every.intervened()
    assert {
        name: int(column.sum())
        for name, column in zip(benchmark.proteins.PROTEINS, held.T, strict=True)
        if column.any()
    } == ({"akt": 60, "pkc": 120, "pip2": 60, "mek": 60, "pip3": 60, "pka": 60})
    assert held[60 * 5 : 60 * 6, benchmark.proteins.PROTEINS.index("mek")].all()  # u0126
    assert benchmark.cells.draw(levels, 0)[0].max() == 2
    assert levels.intervened().sum(axis=0).tolist() == [0, 600, 0, 600, 0, 0, 600, 600, 1200, 0, 0]
    for method in ("ccigkit:auto:interventions=true,conditions=true", "ccigkit:pc:interventions=true"):
        assert "shd" in benchmark.runs.measure((method, "sachs-all-e17", 0), 300), method
