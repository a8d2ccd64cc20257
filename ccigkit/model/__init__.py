"""The causal image model."""

from ccigkit.model.files import load, load_model, save_model
from ccigkit.model.model import CausalImageModel, Codes

__all__ = ["CausalImageModel", "Codes", "load", "load_model", "save_model"]
