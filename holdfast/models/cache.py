"""A cache of replies for development: a request that was answered once is answered from a folder.

Each reply is a file, named after what identifies its request. Files are replaced as a whole, so several processes may
use one folder. Only complete replies are kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from typing_extensions import override

from holdfast._util.logger import get_logger
from holdfast._util.private_files import write_private
from holdfast.chat_requests import normalised
from holdfast.model_reply import ModelReply
from holdfast.models.request import Concessions, request_body
from holdfast.ports import ChatModel
from holdfast.types import AgentSpec, Message, Usage

log = get_logger(__name__)

MAX_BYTES = 256 * 1024 * 1024
"""Of a folder; then the files that were not used for longest are deleted, until a fifth of it is free."""
CHECKED_EVERY = 100  # new files of a process between two looks at the size of the folder
COMPLETE = ("stop", "tool_calls", "length")
"""How a complete reply ends."""
KEPT = {"content", "tool_calls", "model", "finish_reason", "provider_fields"}
STREAM = ("messages", "tools", "model", "stream", "stream_options")
"""Fields of a request that are normalised apart, or say nothing about the reply."""


class ReplyCache:
    """A folder with replies.

    Args:
        folder: is made when it is needed, for this user only.
        max_bytes: of its files.
    """

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._written = 0

    def get(self, key: str) -> ModelReply | None:
        """Returns the reply of a request; `None` if there is none that can be read."""
        file = self._file(key)
        try:
            kept = json.loads(file.read_bytes())
            os.utime(file)
            return ModelReply.model_validate({**kept, "usage": Usage(), "seconds": 0.0, "cached": True})
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ValidationError) as error:
            log.warning("a cached reply cannot be read, so the model is asked", file=str(file), reason=str(error))
            return None

    def put(self, key: str, reply: ModelReply) -> None:
        """Keeps a reply; a folder that cannot be written only costs the next request."""
        file = self._file(key)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(file, reply.model_dump_json(include=KEPT), durable=False)
            self._written += 1
            if self._written % CHECKED_EVERY == 1:
                self._make_room()
        except OSError as error:
            log.warning("a reply cannot be cached", file=str(file), reason=str(error))

    def _file(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.json"

    def _make_room(self) -> None:
        found = []
        for file in self._folder.glob("*/*.json"):
            with suppress(OSError):  # another process makes room, too
                found.append((file.stat().st_mtime, file.stat().st_size, file))
        size = sum(each[1] for each in found)
        if size <= self._max_bytes:
            return
        for _, length, file in sorted(found):
            if size <= 0.8 * self._max_bytes:
                break
            file.unlink(missing_ok=True)
            size -= length


class CachedModel(ChatModel):
    """A `ChatModel` that asks another one only what the cache cannot answer.

    Args:
        model: the other one.
        cache: has the replies.
        scope: where that model is; replies of other places are not used.
        default_model: as in the other model.
    """

    def __init__(self, model: ChatModel, cache: ReplyCache, *, scope: str, default_model: str) -> None:
        self._model = model
        self._cache = cache
        self._scope = scope
        self._default_model = default_model

    @override
    async def complete(
        self,
        spec: AgentSpec,
        messages: list[Message],
        *,
        on_text: Callable[[str], None],
        max_output: int | None = None,
    ) -> ModelReply:
        started = time.perf_counter()
        key = await asyncio.to_thread(self._key, spec, messages)
        reply = await asyncio.to_thread(self._cache.get, key)
        if reply is not None:
            reply.seconds = round(time.perf_counter() - started, 3)
            if reply.content:
                on_text(reply.content)
            return reply
        reply = await self._model.complete(spec, messages, on_text=on_text, max_output=max_output)
        is_cut = reply.finish_reason == "length" and max_output is not None  # by a budget, which others do not have
        if not reply.partial and not is_cut and reply.finish_reason in COMPLETE:
            await asyncio.to_thread(self._cache.put, key, reply)
        return reply

    @override
    async def close(self) -> None:
        await self._model.close()

    def _key(self, spec: AgentSpec, messages: list[Message]) -> str:
        """Returns the digest of what identifies a request."""
        model = (spec.models or [self._default_model])[0]
        body: dict[str, Any] = json.loads(request_body(spec, messages, model, Concessions()))
        settings = {name: value for name, value in body.items() if name not in STREAM}
        identity = json.dumps([self._scope, normalised(body), settings], sort_keys=True)
        return hashlib.sha256(identity.encode()).hexdigest()
