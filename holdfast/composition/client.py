"""Construction of clients from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from holdfast.agents.importing import refuse_during_import
from holdfast.arguments import check_instance
from holdfast.client.conversations import ConversationPlaces
from holdfast.client.holdfast import Holdfast
from holdfast.composition.converter import client_converter
from holdfast.composition.reachable import ClientStorage, reachable_storage
from holdfast.errors import TemporalUnavailable
from holdfast.settings import Settings
from holdfast.stack.address import local_address
from holdfast.stack.worker import may_run
from holdfast.temporal.connection import connect_temporal
from holdfast.temporal.payload_limits import largest_input


@asynccontextmanager
async def connect(settings: Settings | None = None) -> AsyncIterator[Holdfast]:
    """Connects to the Temporal server in the settings, or to the local stack if they name none.

    Args:
        settings: `None` means the settings of the environment and of `.env`.

    Raises:
        SettingsError: a setting has a bad value.
        TemporalUnavailable: the server is unavailable; the message says what to do.
    """
    refuse_during_import()
    if settings is None:
        settings = Settings.load()
    check_instance("settings", settings, Settings, "Settings, or None")
    async with open_client(settings, settings.temporal_address or _local_address(settings)) as client:
        yield client


@asynccontextmanager
async def open_client(settings: Settings, address: str) -> AsyncIterator[Holdfast]:
    """Connects to the Temporal server at `address` (host:port).

    Raises:
        SettingsError: a setting has a bad value.
        TemporalUnavailable: the server is unavailable.
    """
    async with reachable_storage(settings) as storage:
        yield await client_on(settings, address, storage)


async def client_on(settings: Settings, address: str, storage: ClientStorage) -> Holdfast:
    """Returns a client of the Temporal server at `address` (host:port), with the workers' storage.

    Raises:
        SettingsError: a setting has a bad value.
        TemporalUnavailable: the server is unavailable.
    """
    converter = client_converter(settings, storage)
    temporal = await connect_temporal(address, settings.temporal_namespace, converter=converter)
    return Holdfast(
        temporal,
        task_queue=settings.temporal_task_queue,
        max_input_bytes=largest_input(converter, settings.max_payload_bytes),
        bus=storage.bus,
        agents=storage.agents,
        mirror=storage.mirror,
        contents=storage.contents,
        embedder=storage.embedder,
        conversations=ConversationPlaces(settings.holdfast_home, storage.conversations),
        may_run=may_run if settings.temporal_address is None else None,
    )


def _local_address(settings: Settings) -> str:
    address = local_address(settings.holdfast_home)
    if address is None:
        raise TemporalUnavailable(
            f"no local stack is running in {str(settings.holdfast_home)!r}: start it with `holdfast up`, "
            "or name a server in TEMPORAL_ADDRESS"
        )
    return address
