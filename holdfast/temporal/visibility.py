"""Check of a namespace's search attributes, and the command that adds them."""

from __future__ import annotations

import shlex
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from holdfast.errors import SettingsError
from holdfast.search_attributes import SEARCH_ATTRIBUTES

DEFAULT_ADDRESS = "localhost:7233"  # of Temporal's command line

__all__ = ["SEARCH_ATTRIBUTES", "check_search_attributes", "command", "explained_rejections", "lacking", "missing"]


async def missing(client: Client) -> list[str]:
    """Returns the search attributes that the client's namespace lacks; runs need all of them.

    Raises:
        RPCError: the server is unavailable or denies the request.
    """
    answer = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return [name for name in SEARCH_ATTRIBUTES if name not in answer.custom_attributes]


async def check_search_attributes(client: Client) -> None:
    """Checks that the client's namespace has all search attributes.

    Raises:
        SettingsError: it lacks some; the message has the command that adds them.
        RPCError: the server is unavailable or denies the request.
    """
    if names := await missing(client):
        raise SettingsError(lacking(names, client))


@asynccontextmanager
async def explained_rejections(client: Client) -> AsyncIterator[None]:
    """Explains a rejected request by the search attributes that the namespace lacks, if it lacks any.

    Raises:
        SettingsError: it lacks some; see `check_search_attributes`.
        RPCError: any other error of the block.
    """
    try:
        yield
    except RPCError as error:
        if error.status == RPCStatusCode.INVALID_ARGUMENT:
            await check_search_attributes(client)
        raise


def lacking(names: Sequence[str], client: Client) -> str:
    """Returns that a namespace lacks search attributes, and how to add them."""
    *first, last = names
    shown = f"{', '.join(first)} and {last}" if first else last
    return (
        f"namespace {client.namespace!r} lacks search attributes, which runs need: {shown}. "
        "On Temporal Cloud, add them in the settings of the namespace; elsewhere with:\n"
        f"  {command(names, client.namespace, client.service_client.config.target_host)}"
    )


def command(names: Iterable[str], namespace: str, address: str = DEFAULT_ADDRESS) -> str:
    """Returns the shell command that adds these search attributes to a namespace."""
    words = ["temporal", "operator", "search-attribute", "create", "--namespace", namespace]
    if address not in (DEFAULT_ADDRESS, DEFAULT_ADDRESS.replace("localhost", "127.0.0.1")):
        words += ["--address", address]
    for name in names:
        words += ["--name", name, "--type", SEARCH_ATTRIBUTES[name]]
    return shlex.join(words)
