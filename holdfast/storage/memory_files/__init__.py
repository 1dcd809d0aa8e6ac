"""Files of memory folders."""

from holdfast.storage.memory_files.surreal import SurrealMemoryFiles

__all__ = ["SurrealMemoryFiles"]
