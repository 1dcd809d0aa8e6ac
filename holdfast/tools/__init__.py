"""The tools that come with Holdfast, one file a group."""

from holdfast.tools.files import list_files, read_file, search_files, write_file

__all__ = ["list_files", "read_file", "search_files", "write_file"]
