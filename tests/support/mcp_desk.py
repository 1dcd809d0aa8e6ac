"""An agent with the MCP server of the tests, for worker processes."""

from __future__ import annotations

import os
from pathlib import Path

from holdfast import Agent
from tests.support.mcp_shops import FOLDER, Shop

_shop = Shop(Path(os.environ[FOLDER]))
clerk = Agent(name="mcp_clerk", mcp=[_shop.server(protocol="legacy")])
trusting = Agent(name="trusting_clerk", mcp=[_shop.server(protocol="legacy", trust_annotations=True)])
