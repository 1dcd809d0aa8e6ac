"""Check of a namespace's search attributes, and the command that adds them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client

from holdfast.search_attributes import SEARCH_ATTRIBUTES

__all__ = ["SEARCH_ATTRIBUTES", "command", "missing"]


async def missing(client: Client) -> list[str]:
    """Returns the search attributes that the client's namespace lacks; runs need all of them.

    Raises:
        RPCError: the server is unavailable or denies the request.
    """
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


def command(names: Iterable[str], namespace: str) -> str:
    """Returns the shell command that adds these search attributes to a namespace."""
    words = ["temporal", "operator", "search-attribute", "create", "--namespace", namespace]
    for name in names:
        words += ["--name", name, "--type", SEARCH_ATTRIBUTES[name]]
    return shlex.join(words)
