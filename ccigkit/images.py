"""Public names of `ccigkit.pixels`, `ccigkit.show.images` and `ccigkit.show.drawings`."""

from ccigkit.pixels import eight_bits, read_image, spread, to_bytes, to_float
from ccigkit.show.drawings import save_graph
from ccigkit.show.images import save_image, save_picture, save_rows

__all__ = [
    "eight_bits",
    "read_image",
    "save_graph",
    "save_image",
    "save_picture",
    "save_rows",
    "spread",
    "to_bytes",
    "to_float",
]
