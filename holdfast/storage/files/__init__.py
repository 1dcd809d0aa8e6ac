"""Files of workspaces and memory folders, stored by content."""

from holdfast.storage.files.surreal import SurrealFiles

__all__ = ["SurrealFiles"]
