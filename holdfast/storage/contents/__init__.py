"""Contents of the images and files of messages, each stored once."""

from holdfast.storage.contents.memory import MemoryContents
from holdfast.storage.contents.surreal import SurrealContents

__all__ = ["MemoryContents", "SurrealContents"]
