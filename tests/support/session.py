"""The folder that all test processes of a session share."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast.settings import Settings

TEST_HOME = "HOLDFAST_TEST_HOME"
"""The environment variable that names the folder."""


def shared_settings() -> Settings:
    """Returns the settings of the stack that the whole session shares."""
    return Settings(holdfast_home=Path(os.environ[TEST_HOME]), openai_api_key="unused")
