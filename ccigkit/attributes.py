"""Public names of `ccigkit.causal.attributes`."""

from ccigkit.causal.attributes import SURE, Attribute, Attributes, Kind, Table, Values, infer_kind
from ccigkit.causal.do import parse_do

__all__ = ["SURE", "Attribute", "Attributes", "Kind", "Table", "Values", "infer_kind", "parse_do"]
