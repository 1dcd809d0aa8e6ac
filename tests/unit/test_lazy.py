"""Modules that are loaded when they are first used."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast import _lazy

SLOW = "import time\ntime.sleep(0.2)\nvalue = 7\n"
THREADS = 8


def test_several_threads_may_use_a_module_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them sees the whole module, although it takes a while to load."""
    (tmp_path / "slow_module_of_a_test.py").write_text(SLOW)
    monkeypatch.syspath_prepend(tmp_path)
    module = _lazy.load("slow_module_of_a_test")
    assert "slow_module_of_a_test" not in sys.modules
    together = threading.Barrier(THREADS)

    def read(_number: int) -> int:
        together.wait()
        value: int = module.value
        return value

    with ThreadPoolExecutor(THREADS) as threads:
        assert list(threads.map(read, range(THREADS))) == [7] * THREADS
    del sys.modules["slow_module_of_a_test"]


def test_a_module_that_is_not_installed_is_an_import_error() -> None:
    """The error comes with the first use."""
    module = _lazy.load("no_such_module_of_a_test")
    with pytest.raises(ModuleNotFoundError, match="no_such_module_of_a_test"):
        _ = module.anything
