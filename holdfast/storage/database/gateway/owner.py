"""The owner of an embedded database: the process that has its files open."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from holdfast.errors import StoreUnavailable
from holdfast.storage.database.database import Database
from holdfast.storage.database.embedded import PathEndpoint
from holdfast.storage.database.gateway.descriptor import DescriptorFile, GatewayDescriptor
from holdfast.storage.database.gateway.server import GatewayServer, execute
from holdfast.storage.database.migrate import MIGRATIONS


class Owner:
    """Runs the engine in this process and the gateway for others; holds the lock until it is closed.

    Args:
        endpoint: the files; their lock is held.
        engine: the database on these files.
        file: where other processes find the gateway's address.
    """

    is_usable = True

    def __init__(self, endpoint: PathEndpoint, engine: Database, file: DescriptorFile) -> None:
        self._endpoint, self._engine, self._file = endpoint, engine, file
        self._gateway = GatewayServer(engine)

    @classmethod
    async def acquire(cls, endpoint: PathEndpoint, engine: Database, file: DescriptorFile) -> Owner:
        """Acquires the lock and starts the gateway; the engine opens with the first statement, which may take a while.

        Raises:
            StoreLocked: another process owns the database.
            StoreUnavailable: the gateway could not be started.
        """
        endpoint.acquire()
        owner = cls(endpoint, engine, file)
        try:
            file.remove()  # of an owner that died: clients must not use it
            file.write(owner._descriptor(await owner._gateway.start()))
        except BaseException as error:
            await owner.close()
            if isinstance(error, OSError):
                raise StoreUnavailable(f"{endpoint} cannot be shared: {error}") from error
            raise
        return owner

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Calls a method of the engine; see `execute`."""
        return await execute(self._engine, verb, statement, values or {})

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls `notify` at first and whenever a table may have changed, until it is cancelled."""
        async with self._engine.watch(table) as watch:
            while True:
                notify()
                await watch.changed()

    def touch(self, table: str) -> None:
        """Notifies the watches of a table, here and through the gateway."""
        self._engine.touch(table)

    async def close(self) -> None:
        """Removes the gateway's address, waits for calls in flight, then closes the engine and releases the lock."""
        self._file.remove()
        await self._gateway.close()
        await self._engine.close()
        self._endpoint.relinquish()

    def _descriptor(self, address: str) -> GatewayDescriptor:
        return GatewayDescriptor(
            pid=os.getpid(),
            address=address,
            token=self._gateway.token,
            namespace=self._endpoint.namespace,
            database=self._endpoint.database,
            schema_version=len(MIGRATIONS),
        )
