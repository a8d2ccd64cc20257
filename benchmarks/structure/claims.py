"""What the benchmark is to show: which methods are given which tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Claim:
    """What a part of the benchmark is to show: cells, ours and peers that all of them are given to.

    On the page it is a table per cell; or, of a claim about regret, a line per cell; or one table of class distances.
    """

    title: str
    cells: tuple[str, ...]
    ours: tuple[str, ...]
    peers: tuple[str, ...]
    shown: Literal["cells", "regret", "classes"] = "cells"

    @property
    def methods(self) -> tuple[str, ...]:
        """Ours and peers."""
        return self.ours + self.peers


def on_networks(title: str, names: Sequence[str]) -> Claim:
    """Known networks of 5,000 rows, beside every peer, by the distance of classes."""
    tables = tuple(f"{name}-n5000" for name in names)
    return Claim(title, tables, OURS_ON_NETWORKS, PEERS_ON_NETWORKS, shown="classes")


ORDER_PEERS = ("causal-learn:boss", "causal-learn:boss:lambda=1", "causal-learn:boss:lambda=0.5", "causal-learn:grasp")
BIG = "logistic-d40-n200000-raw"
AUTO, OWN = "ccigkit:auto", "ccigkit:boss:score="  # and the scores that auto chooses among
FAMILIES = {  # how each is standardised, and the scores that take it
    "linear": ("std", "gaussian", "spline"),
    "uniform": ("std", "gaussian", "spline"),
    "laplace": ("std", "gaussian", "spline"),
    "noises": ("std", "gaussian", "spline"),
    "linear, internally": ("internal", "gaussian", "spline"),
    "uniform, internally": ("internal", "gaussian", "spline"),
    "curves": ("std", "gaussian", "spline"),
    "mlp": ("std", "gaussian", "spline"),
    "mixed": ("std", "indicators", "gaussian"),
    "logistic": ("raw", "mdl", "gaussian", "qnml", "logistic"),
    "interactions": ("raw", "mdl", "gaussian", "qnml", "logistic"),
    "categories": ("raw", "mdl", "indicators", "qnml"),
}
# On raw cells the scale of the rows is part of what they are to find, and penalties and thresholds are their papers'.
RAW_NOTEARS = "ccigkit:notears:l1=0.1,threshold=0.3,standardise=false"
RAW_DAGMA = "ccigkit:dagma:l1=0.05,threshold=0.3,standardise=false"
RAW_GOLEM = "ccigkit:golem:likelihood=ev,l1=0.02,threshold=0.3,standardise=false"
RAW_MLP = "ccigkit:notears:model=mlp,l1=0.01,threshold=0.5,standardise=false"
PC_AS_OURS = "causal-learn:pc:directed=ours"
OURS_ON_NETWORKS = ("ccigkit:auto", "ccigkit:boss", "ccigkit:pc")
PEERS_ON_NETWORKS = (
    *(f"causal-learn:pc:test={test},alpha={alpha}" for test in ("chisq", "gsq") for alpha in (0.01, 0.05)),
    *(f"causal-learn:{name}:score=local_score_BDeu" for name in ("ges", "boss", "grasp")),
    # K2 of pgmpy 1.1.2 adds log Gamma(levels) for each state of the parents that no row has, so it joins too many
    *(f"pgmpy:hc:score={score}" for score in ("bdeu,ess=10", "bdeu,ess=1", "k2", "bic-d")),
    *(f"pgmpy:ges:score={score}" for score in ("bdeu,ess=10", "bdeu,ess=1", "bic-d")),
    "pgmpy:pc",
    "gcastle:pc:ci_test=chi2",
)
PEERS_ON_PROTEINS = (
    *ORDER_PEERS,
    *("causal-learn:ges", "causal-learn:ges:lambda=1", "causal-learn:pc", "causal-learn:pc:alpha=0.05"),
    "gcastle:notears",
)
LOOKED_AT = ("cancer", "earthquake", "survey", "asia", "sachs", "child", "insurance", "alarm")
SEEN_ONCE = ("hepar2", "hailfinder", "win95pts", "water")  # when structure.least was chosen, by other scores
HELD_OUT = ("mildew", "barley", "pathfinder", "andes")
CLAIMS = {
    "notears": Claim(
        "NOTEARS, linear",
        ("linear-d10-n100000-raw", "linear-d20-n10000-raw", "linear-d50-n1000-raw"),
        (RAW_NOTEARS,),
        ("gcastle:notears",),
    ),
    "notears-std": Claim(
        "NOTEARS, linear, standardised",
        ("linear-d10-n100000-std", "linear-d20-n10000-std", "linear-d50-n1000-std"),
        ("ccigkit:notears:l1=0.1,threshold=0.3", "ccigkit:notears"),  # at the peer's penalty and threshold, and at ours
        ("gcastle:notears",),
    ),
    "boss": Claim("BOSS, d=50", ("linear-d50-n1000-raw", "linear-d50-n1000-std"), ("ccigkit:boss",), ORDER_PEERS[:3]),
    "binary": Claim("BOSS on 200,000 rows of labels", (BIG,), ("ccigkit:boss",), ("causal-learn:pc",)),
    "pc": Claim("PC on 200,000 rows of labels", (BIG,), ("ccigkit:pc",), ("causal-learn:pc", PC_AS_OURS)),
    "auto-linear": Claim(
        "auto, linear",
        ("linear-d20-n1000-std", "linear-d50-n1000-std"),
        ("ccigkit:auto",),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears", "dagma:linear"),
    ),
    "auto-logistic": Claim(
        "auto, labels",
        ("logistic-d10-n5000-raw", "logistic-d20-n5000-raw"),
        ("ccigkit:auto",),
        (
            *ORDER_PEERS,
            "causal-learn:boss:score=local_score_BDeu",
            "causal-learn:pc",
            "causal-learn:ges",
            "gcastle:notears:loss_type=logistic",
            "dagma:logistic",
        ),
    ),
    "auto-mlp": Claim(
        "auto, networks",
        ("mlp-d10-n1000-std",),
        ("ccigkit:auto",),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears-mlp", "dagma:mlp"),
    ),
    "auto-mixed": Claim(
        "auto, numbers, labels and categories",
        ("mixed-d10-n1000-std", "mixed-d20-n5000-std"),
        ("ccigkit:auto", "ccigkit:pc"),
        (*ORDER_PEERS, "causal-learn:pc", "gcastle:notears", "dagma:linear"),  # to which all are numbers
    ),
    "notears-mlp": Claim(
        "NOTEARS, networks",
        ("mlp-d10-n1000-raw",),
        (RAW_MLP,),
        ("gcastle:notears-mlp", "dagma:mlp"),
    ),
    "notears-mlp-std": Claim(
        "NOTEARS, networks, standardised",
        ("mlp-d10-n1000-std",),
        ("ccigkit:notears:model=mlp",),
        ("gcastle:notears-mlp", "dagma:mlp"),
    ),
    "memory": Claim(
        "Memory on 200,000 rows",
        (BIG,),
        ("ccigkit:auto", "ccigkit:boss", "ccigkit:pc", "ccigkit:notears", "ccigkit:dagma", "ccigkit:golem"),
        (),
    ),
    "all": Claim(
        "Every learner",
        ("linear-d20-n1000-std",),
        (
            *("ccigkit:auto", "ccigkit:boss", "ccigkit:pc", "ccigkit:ges", "ccigkit:grasp"),
            *("ccigkit:notears", "ccigkit:dagma", "ccigkit:golem", "ccigkit:gae"),
        ),
        (*ORDER_PEERS, "causal-learn:pc", "causal-learn:ges", "gcastle:notears", "gcastle:golem", "dagma:linear"),
    ),
    "raw": Claim(
        "Every learner by least squares or likelihood, on the rows as they are",
        ("linear-d20-n1000-raw",),
        (RAW_NOTEARS, RAW_DAGMA, RAW_GOLEM),
        ("gcastle:notears", "gcastle:golem", "dagma:linear"),
    ),
    "field": on_networks("Known networks, looked at while the learners were made", LOOKED_AT),
    "field-seen": on_networks("Known networks, looked at once before the learners were done", SEEN_ONCE),
    "field-held-out": on_networks("Known networks, looked at last", HELD_OUT),
    "sachs-observed": Claim(
        "Proteins, only activated",
        ("sachs-observed-e17", "sachs-observed-e20"),
        ("ccigkit:auto", "ccigkit:boss:score=gaussian", "ccigkit:pc"),
        PEERS_ON_PROTEINS,
    ),
    "sachs-discrete": Claim(
        "Proteins, in three levels, of nine conditions",
        ("sachs-discrete-e17", "sachs-discrete-e20"),
        ("ccigkit:auto", "ccigkit:auto:interventions=true", "ccigkit:pc"),
        (*PEERS_ON_NETWORKS, "gies:gies:interventions=true"),  # to which levels are numbers
    ),
    "sachs-all": Claim(
        "Proteins, of nine conditions",
        ("sachs-all-e17", "sachs-all-e20"),
        (
            *("ccigkit:auto", "ccigkit:auto:interventions=true", "ccigkit:auto:conditions=true"),
            "ccigkit:auto:interventions=true,conditions=true",
            *("ccigkit:boss:score=gaussian", "ccigkit:boss:score=gaussian,interventions=true", "ccigkit:pc"),
        ),
        (
            *PEERS_ON_PROTEINS,
            *(
                "causal-learn:pc:conditions=true",
                "causal-learn:boss:conditions=true",
                "causal-learn:grasp:conditions=true",
            ),
            *(
                "gies:gies:interventions=true",
                "gies:gies:conditions=true",
                "gies:gies:interventions=true,conditions=true",
            ),
        ),
    ),
    "field-many": Claim(
        "Known networks, 50,000 rows",
        tuple(f"{name}-n50000" for name in ("child", "insurance", "alarm", "hepar2")),
        OURS_ON_NETWORKS,
        PEERS_ON_NETWORKS,
        shown="classes",
    ),
    **{
        f"regret-{family.replace(', internally', '-internal')}": Claim(
            f"Regret of auto: {family}",
            tuple(f"{family.split(',')[0]}-d{d}-n{n}-{scale}" for n in (500, 5000, 200_000) for d in (10, 20, 40)),
            (AUTO, *(OWN + score for score in scores)),
            (),
            shown="regret",
        )
        for family, (scale, *scores) in FAMILIES.items()
    },
}


def of_proteins(claim: str) -> bool:
    """Whether a claim is about the table of Sachs et al., which has to be there."""
    return claim.startswith("sachs-")
