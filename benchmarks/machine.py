"""Description of the machine that runs a benchmark."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

GIGABYTE = 1024**3


def describe(temporal_server: str | None) -> dict[str, str]:
    """Returns facts about the machine and the versions of the software, by name.

    Args:
        temporal_server: its version; None: not known.
    """
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / GIGABYTE:.1f} GB",
        "system": f"{_system()}, kernel {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f} processes in the last minute",
        "Python": platform.python_version(),
        "Temporal server": temporal_server or "unknown",
        "temporalio": version("temporalio"),
        "surrealdb": f"{version('surrealdb')}, embedded",
        "openai": version("openai"),
        "pydantic": version("pydantic"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.platform(terse=True)
