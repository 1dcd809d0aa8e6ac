"""The activities that a fork begins with: they read the log that it copies, and copy the workspace."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from cachetools import LRUCache
from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED, store_unavailable
from holdfast.activities.heartbeat import heartbeats
from holdfast.activities.workspace_copy import ADVICE, Stopped, WorkspaceCopier
from holdfast.agents.workspaces import WorkspaceRoots
from holdfast.errors import (
    ErrorType,
    HoldfastError,
    MirrorDamaged,
    PayloadUnreadable,
    RunNotFound,
    StoreUnavailable,
    Unavailable,
    UsageError,
)
from holdfast.fork_of import ForkPage, ForkPageRequest, WorkspaceCopy
from holdfast.forking import check_prefix, edited_results
from holdfast.ports import RunLog, Store
from holdfast.temporal.prefix import PrefixReader
from holdfast.types import Entry
from holdfast.workspaces.keeper import WorkspaceKeeper

log = get_logger(__name__)

PAGE_BYTES = 512 * 1024  # a quarter of Temporal's limit for the result of an activity
REMEMBERED = 4  # logs of forks that are begun at the same time, at most 16 MB each


class ForkActivities:
    """Reads the log of the run that is forked, and copies its workspace.

    Args:
        run_log: reads Temporal's history.
        store: the mirror.
        roots: where workspaces may be.
        keeper: keeps workspaces in the store; `None` means that they stay on their machine.
    """

    def __init__(
        self, run_log: RunLog, store: Store, roots: WorkspaceRoots, keeper: WorkspaceKeeper | None = None
    ) -> None:
        self._reader = PrefixReader(run_log, store)
        self._roots = roots
        self._keeper = keeper
        self._read: LRUCache[str, list[Entry]] = LRUCache(REMEMBERED)
        """Prefixes by execution of the fork, between two pages."""

    @activity.defn(name=names.FORK_PAGE)
    async def page(self, wanted: ForkPageRequest) -> ForkPage:
        """Returns a page of the log that a fork copies, of which every digest has been checked.

        Raises:
            ApplicationError: the fork is refused; or, retryable, neither Temporal nor the store can be read now.
        """
        async with heartbeats():
            try:
                entries = await self._prefix(wanted)
            except (UsageError, RunNotFound, MirrorDamaged, PayloadUnreadable) as error:
                raise refusal(error) from None
            except Unavailable as error:
                log.warning("the run to fork cannot be read, will retry", run=wanted.fork.run, reason=str(error))
                raise store_unavailable(error) from None
        page = _page(entries, wanted.after)
        if wanted.after + len(page) >= entries[-1].seq:
            self._read.pop(activity.info().workflow_run_id or "", None)
        return ForkPage(entries=page, seq=entries[-1].seq, digest=entries[-1].digest)

    @activity.defn(name=names.FORK_WORKSPACE)
    async def workspace(self, wanted: WorkspaceCopy) -> int:
        """Copies the workspace of a run, and returns the number of files and folders.

        One that is kept is copied as it was at the point of the fork, any other one as it is now.

        Raises:
            ApplicationError: it exceeds a limit, cannot be read, or is on another machine; or, retryable, the store is
                unavailable.
        """
        stopped = threading.Event()
        async with heartbeats():
            try:
                if (restored := await self._restored(wanted)) is not None:
                    return restored
                source = self._source(wanted)
                if source is None:
                    return 0
                copier = WorkspaceCopier(stopped.is_set)
                return await asyncio.to_thread(copier.copy, source, self._roots.admit(Path(wanted.target)))
            except UsageError as error:
                raise refusal(error) from None
            except Stopped:
                raise asyncio.CancelledError from None
            finally:
                stopped.set()

    async def _restored(self, wanted: WorkspaceCopy) -> int | None:
        """Restores the recorded state of a workspace for the fork; `None` means that there is none."""
        if self._keeper is None or wanted.own_workspace is None:
            return None
        point = wanted.kept
        if point is None and wanted.source is None:
            point = await self._keeper.initial(self._roots.own_folder(wanted.run).name)
        if point is None:
            return None
        try:
            return await self._keeper.restore(activity.info().workflow_id or "", wanted.own_workspace, point)
        except PayloadUnreadable as error:
            raise UsageError(f"the files of run {wanted.run!r} cannot be restored: {error}; {ADVICE}") from None
        except OSError as error:
            raise UsageError(f"the files of run {wanted.run!r} cannot be written: {error}; {ADVICE}") from None
        except StoreUnavailable as error:
            log.warning("the files of the run to fork cannot be read, will retry", run=wanted.run, reason=str(error))
            raise store_unavailable(error) from None

    async def _prefix(self, wanted: ForkPageRequest) -> list[Entry]:
        fork = wanted.fork
        execution = activity.info().workflow_run_id or ""
        if (known := self._read.get(execution)) is not None:
            return known
        _, entries = await self._reader.prefix(fork)
        check_prefix(entries, has_message=fork.has_message, session=wanted.session)
        edited_results(entries, fork.tool_results)
        self._read[execution] = entries
        return entries

    def _source(self, wanted: WorkspaceCopy) -> Path | None:
        """Returns the folder to copy; `None` means that the run never had one."""
        source = self._roots.admit(Path(wanted.source)) if wanted.source else self._roots.own_folder(wanted.run)
        if source.is_dir():
            return source
        if wanted.source or wanted.wrote:
            raise UsageError(
                f"the workspace of run {wanted.run!r}, {str(source)!r}, is not on this worker's machine: {ADVICE}"
            )
        return None


def refusal(error: HoldfastError) -> ApplicationError:
    """Returns the failure of a fork that cannot begin."""
    return ApplicationError(
        f"this run cannot start: {error}", type=ErrorType.INVALID_REQUEST, non_retryable=True, category=EXPECTED
    )


def _page(entries: list[Entry], after: int) -> list[Entry]:
    page, size = list[Entry](), 0
    for entry in entries[after + 1 :]:
        size += entry.size
        if page and size > PAGE_BYTES:
            break
        page.append(entry)
    return page
