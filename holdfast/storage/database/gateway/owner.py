"""The process that has the files open."""

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
    """The engine in this process, and the gateway for the others; the lock is held for as long as it lives.

    Args:
        endpoint: the files, whose lock has been claimed.
        engine: what works on them.
        file: where the others look for the gateway.
    """

    is_usable = True

    def __init__(self, endpoint: PathEndpoint, engine: Database, file: DescriptorFile) -> None:
        self._endpoint, self._engine, self._file = endpoint, engine, file
        self._gateway = GatewayServer(engine)

    @classmethod
    async def take(cls, endpoint: PathEndpoint, engine: Database, file: DescriptorFile) -> Owner:
        """Takes the lock and lets the others in; the engine opens with the first statement, which may take a while.

        Raises:
            StoreLocked: another process has it.
        """
        endpoint.acquire()
        holder = cls(endpoint, engine, file)
        try:
            file.remove()  # of a holder that died: nobody must follow it
            file.write(holder._descriptor(await holder._gateway.start()))
        except BaseException as error:
            await holder.close()
            if isinstance(error, OSError):
                raise StoreUnavailable(f"{endpoint} cannot be shared: {error}") from error
            raise
        return holder

    async def call(self, verb: str, statement: str = "", values: dict[str, Any] | None = None) -> Any:
        """Has the engine do something."""
        return await execute(self._engine, verb, statement, values or {})

    async def listen(self, table: str, notify: Callable[[], None]) -> None:
        """Calls back whenever a table may have changed, until it is cancelled."""
        async with self._engine.watch(table) as watch:
            while True:
                notify()
                await watch.changed()

    def touch(self, table: str) -> None:
        """Tells those who watch a table, here and through the gateway."""
        self._engine.touch(table)

    async def close(self) -> None:
        """Lets the others finish, then lets go; nobody finds the gateway any more from the first moment on."""
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
