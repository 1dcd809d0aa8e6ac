"""The tools that come with Holdfast, one file for each group."""

from holdfast.tools.files import list_files, read_file, search_files, write_file
from holdfast.tools.memory import remember, search_memory

__all__ = ["list_files", "read_file", "remember", "search_files", "search_memory", "write_file"]
