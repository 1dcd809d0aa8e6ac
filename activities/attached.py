"""Images and files of messages: stored before a run refers to them, and put into the requests to models."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence

from temporalio import activity
from temporalio.exceptions import ApplicationError

from holdfast import names
from holdfast._util.logger import get_logger
from holdfast.activities.failures import EXPECTED, store_unavailable
from holdfast.agents.files import Loaded
from holdfast.attachments import Attachment
from holdfast.errors import ErrorType, ModelUnavailable, PayloadUnreadable, StoreUnavailable
from holdfast.inlining import inlined
from holdfast.ports.contents import ContentStore
from holdfast.types import Context, ToolResult

log = get_logger(__name__)

PAUSE = 2.0  # seconds between attempts to store an image while the store is unavailable
NOT_SHARED = "[the image is not shown: the process that calls the tool and the worker share no database]"


class Attached:
    """Puts the contents of attachments into requests.

    Args:
        contents: has them.
    """

    def __init__(self, contents: ContentStore) -> None:
        self._contents = contents

    async def inlined(self, context: Context) -> Context:
        """Returns a context whose messages carry the contents of their attachments.

        Raises:
            ModelUnavailable: the store is unavailable, so that a later attempt may succeed.
            ApplicationError: a content is lost.
        """
        attached = [attachment for message in context.messages for attachment in message.attachments]
        if not attached:
            return context
        contents = {each.digest: await self._content(each) for each in attached if each.digest is not None}
        messages = await asyncio.to_thread(lambda: list(inlined(context.messages, contents)))
        return context.model_copy(update={"messages": messages})

    async def _content(self, attachment: Attachment) -> bytes:
        assert attachment.digest is not None, "what is at a URL has no content"
        try:
            return await self._contents.get(attachment.digest)
        except StoreUnavailable as error:
            raise ModelUnavailable(f"the store, which has {attachment.line}, is unavailable: {error}") from None
        except PayloadUnreadable as error:
            raise ApplicationError(
                f"the content of {attachment.line} is lost: {error}",
                type=ErrorType.CONTENT_LOST,
                non_retryable=True,
                category=EXPECTED,
            ) from None


class ImageKeeper:
    """Stores the images that tools return.

    Args:
        contents: stores them; `None` means that workers would not find them.
    """

    def __init__(self, contents: ContentStore | None) -> None:
        self._contents = contents

    async def keep(self, result: ToolResult, images: Sequence[Loaded]) -> None:
        """Adds images to a result when they are stored; retries until the store is available, as the tool has run.

        Args:
            result: of a call; attachments that carry their content refer to it afterwards.
            images: that the function has returned.
        """
        shown = [*result.attachments, *(_carried(image) for image in images)]
        if not shown or result.error is not None:
            return
        if self._contents is None and any(image.data is not None for image in shown):
            result.content = f"{result.content}\n{NOT_SHARED}"
            shown = [image for image in shown if image.data is None]
        result.attachments = [await self._kept(image) for image in shown]

    async def _kept(self, image: Attachment) -> Attachment:
        if image.data is None or self._contents is None:
            return image
        while True:
            try:
                return image.stored(await self._contents.put(image.content()))
            except StoreUnavailable as error:
                log.warning("an image of a result waits until the store is available", reason=str(error))
                await asyncio.sleep(PAUSE)


def _carried(image: Loaded) -> Attachment:
    """Returns an image with its content, if it is not at a URL."""
    if image.data is None:
        return image.attachment
    known, data = image.attachment, base64.b64encode(image.data).decode()
    return Attachment(name=known.name, media_type=known.media_type, data=data)


class ContentActivities:
    """Stores what a request carries itself."""

    def __init__(self, contents: ContentStore) -> None:
        self._contents = contents

    @activity.defn(name=names.CONTENT_KEEP)
    async def keep(self, attachments: list[Attachment]) -> list[Attachment]:
        """Returns attachments whose content is in the store.

        Raises:
            ApplicationError: the store is unavailable; Temporal retries.
        """
        try:
            return [await self._stored(each) for each in attachments]
        except StoreUnavailable as error:
            raise store_unavailable(error) from None

    async def _stored(self, attachment: Attachment) -> Attachment:
        if attachment.data is None:
            return attachment
        return attachment.stored(await self._contents.put(attachment.content()))
