"""The tools of MCP servers, which a run reads when it starts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from holdfast.bounds import Text
from holdfast.data import Tolerant


class ServerTools(Tolerant):
    """The tools of one server, before they were read."""

    server: Text
    """Name of the server, which the process knows that has the agent's code."""
    approve: Annotated[list[Text], Field(exclude_if=lambda tools: not tools)] = []
    """Names of the tools, as the model knows them, whose calls a person must approve; `all` stands for every tool."""
