"""The tools that come with Holdfast, one file for each group."""

from holdfast.tools.control import ask_human, emit, sleep, wait_for_event, wait_for_message
from holdfast.tools.files import list_files, read_file, search_files, write_file
from holdfast.tools.http import download_file, fetch_url, http_tool
from holdfast.tools.memory import remember, search_memory
from holdfast.tools.memory_files import memory_delete, memory_edit, memory_list, memory_read, memory_write
from holdfast.tools.shell import run_python, run_shell

__all__ = [
    "ask_human",
    "download_file",
    "emit",
    "fetch_url",
    "http_tool",
    "list_files",
    "memory_delete",
    "memory_edit",
    "memory_list",
    "memory_read",
    "memory_write",
    "read_file",
    "remember",
    "run_python",
    "run_shell",
    "search_files",
    "search_memory",
    "sleep",
    "wait_for_event",
    "wait_for_message",
    "write_file",
]
