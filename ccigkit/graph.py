"""Public names of `ccigkit.causal.graph`."""

from ccigkit.causal.graph import (
    CausalGraph,
    Knowledge,
    Matrix,
    acyclic,
    find_cycle,
    parse_edge,
    reachability,
    topological_order,
)

__all__ = [
    "CausalGraph",
    "Knowledge",
    "Matrix",
    "acyclic",
    "find_cycle",
    "parse_edge",
    "reachability",
    "topological_order",
]
