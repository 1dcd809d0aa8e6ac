"""Holdfast runs AI agents that survive crashes.

    async with holdfast.connect() as hf:
        result = await hf.run("researcher", "Which limits does a run have?", workspace="docs")
        print(result.content)

The public names are listed in `__init__.pyi`. Each is loaded when it is first used, so that importing the package costs
little: a script that defines agents never loads the database's SDK.
"""

from typing import TYPE_CHECKING

from holdfast._lazy import attach_stub
from holdfast.agents import services

if TYPE_CHECKING:
    from holdfast.client.agent_runner import AgentRunner
    from holdfast.ports.retrieval import Embedder, TextMemoryProtocol

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)


def _text_memory() -> "TextMemoryProtocol":
    from holdfast.composition.persistence import shared_persistence  # noqa: PLC0415 - loads the database's SDK

    return shared_persistence().memories


def _embedder() -> "Embedder | None":
    from holdfast.composition.persistence import shared_embedder  # noqa: PLC0415 - loads the database's SDK

    return shared_embedder()


def _agent_runner() -> "AgentRunner":
    from holdfast.composition.own_agents import own_agents  # noqa: PLC0415 - loads the clients

    return own_agents()


services.provide(text_memory=_text_memory, embedder=_embedder, agent_runner=_agent_runner)
