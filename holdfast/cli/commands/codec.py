"""`codec` and `key`: encrypted and large payloads, for people."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from holdfast.cli.render.output import Output
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.stack import ui_url
from holdfast.stack.sockets import LOOPBACK, answers
from holdfast.stack.ui import CODEC_PORT, codec_endpoint
from holdfast.storage.encryption import SETTING, new_key

DEFAULT_UI = "http://localhost:8233"  # where Temporal's own commands put it

CODEC_EXAMPLES = """
    $ codec
    $ codec --port 9090 --ui https://temporal.example.com
"""
KEY_EXAMPLES = """
    $ key
    $ key >> .env
"""


async def codec(
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="Port to listen on.")] = CODEC_PORT,
    ui: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Temporal's UI is. Default: the local stack's, else port 8233."),
    ] = None,
) -> None:
    """Lets Temporal's UI and CLI show encrypted and large payloads.

    Temporal has only ciphertext and references. This serves what they stand for,
    to this machine and to the UI's pages alone; Ctrl-C ends it. It needs the
    settings of the worker: HOLDFAST_ENCRYPTION_KEY and the store's.
    """
    import uvicorn  # noqa: PLC0415 - other commands start faster without these

    from holdfast.api.codec import codec_app  # noqa: PLC0415
    from holdfast.composition.persistence import converter, open_configured  # noqa: PLC0415

    out, settings = Output(), Settings.load()
    origins = _origins(ui or ui_url(settings) or DEFAULT_UI)
    if answers(port):
        raise UsageError(f"port {port} is taken on this machine; choose another with --port")
    persistence = open_configured(settings)
    app = codec_app(converter(settings, persistence), origins)
    address = codec_endpoint(port)
    out.say(f"codec endpoint at {address}, for pages of {' and '.join(origins)}")
    out.note("  in Temporal's UI:   the glasses at the top right, then Remote Codec Endpoint")
    out.note(f"  in Temporal's CLI:  --codec-endpoint {address}")
    try:
        await uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning")).serve()
    finally:
        await persistence.close()


async def key() -> None:
    """Makes a key for HOLDFAST_ENCRYPTION_KEY.

    Write it where the worker and all clients read their settings, and keep a
    copy: without it nothing that it encrypted can be read again. To change keys,
    put the new one first and leave the old one behind it, after a comma.
    """
    Output().say(f"{SETTING}={new_key()}")


def _origins(url: str) -> list[str]:
    """The origin of a page, by both names of this machine if it is here."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"--ui {url!r} is no address of a web page; write http://HOST:PORT")
    names = {parts.hostname or "", LOOPBACK, "localhost"} if parts.hostname in (LOOPBACK, "localhost") else {""}
    port = f":{parts.port}" if parts.port else ""
    return sorted(f"{parts.scheme}://{name}{port}" if name else f"{parts.scheme}://{parts.netloc}" for name in names)
