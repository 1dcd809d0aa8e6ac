"""LiteLLM's proxy for tests, in an environment of its own: `python -m tests.support.litellm_proxy` installs it.

It has more than a hundred dependencies, whose versions are not those of Holdfast. The checks of a change install it;
without it, its tests are skipped.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import venv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from tests.support.surreal_server import free_port

LOCK = Path(__file__).parents[2] / "requirements" / "litellm.lock"
FOLDER = Path.home() / ".cache" / "holdfast-tests" / "litellm"
INSTALLED = FOLDER / "installed"  # contains the digest of the lock that was installed
KEY = "sk-holdfast-0123456789abcdef0123456789abcdef"
START_TIMEOUT = 150.0  # seconds; it takes some ten, a few times as long on a busy machine
HOW_TO_GET_IT = "LiteLLM is not installed: `python -m tests.support.litellm_proxy` does that in about a minute"


class LiteLLMProxy:
    """One proxy on loopback; a context manager, whose end stops it.

    Args:
        folder: where its configuration and its log are.
        models: the parameters of LiteLLM by the names of models.
    """

    def __init__(self, folder: Path, models: dict[str, dict[str, Any]]) -> None:
        if not is_installed():
            pytest.skip(HOW_TO_GET_IT)
        self._port = free_port()
        self._folder = folder
        self._models = models
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        config = self._folder / "litellm.yaml"
        config.write_text(yaml.safe_dump(self._configuration()))
        program = str(FOLDER / "bin" / "litellm")
        command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(self._port)]
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "PATH", "TMPDIR")}
        environment = {**kept, "LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        with (self._folder / "litellm.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Kills the proxy."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _configuration(self) -> dict[str, Any]:
        return {
            "model_list": [
                {"model_name": name, "litellm_params": {"api_key": "none", **parameters}}
                for name, parameters in self._models.items()
            ],
            "litellm_settings": {"include_cost_in_streaming_usage": True, "num_retries": 0, "telemetry": False},
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(self.url.replace("/v1", "/health/liveliness"), timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f"LiteLLM did not start:\n{(self._folder / 'litellm.log').read_text()[-3000:]}")


def is_installed() -> bool:
    """Whether the versions of the lock are installed."""
    return INSTALLED.is_file() and INSTALLED.read_text() == _digest()


def install() -> None:
    """Installs the versions of the lock, each checked by its hash."""
    if is_installed():
        return
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, with_pip=True)
    pip = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--no-deps", "--requirement", str(LOCK)], check=True)
    INSTALLED.write_text(_digest())


def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()


if __name__ == "__main__":
    install()
