"""`codec`: serves encrypted and large payloads to Temporal's UI and CLI."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from holdfast.cli.options import between
from holdfast.cli.render.output import Output
from holdfast.errors import UsageError
from holdfast.settings import Settings
from holdfast.stack import ui_url
from holdfast.stack.sockets import LOOPBACK, answers
from holdfast.stack.ui import CODEC_PORT, codec_endpoint

DEFAULT_UI = "http://localhost:8233"  # the default of Temporal's own commands

EXAMPLES = """
    $ codec
    $ codec --port 9090 --ui https://temporal.example.com
"""


async def codec(
    port: Annotated[int, typer.Option(metavar="N", callback=between(1, 65535), help="Port to listen on.")] = CODEC_PORT,
    ui: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where Temporal's UI is. Default: the local stack's, else port 8233."),
    ] = None,
) -> None:
    """Lets Temporal's UI and CLI show encrypted and large payloads.

    Temporal has only ciphertext and references. This command serves the payloads
    themselves, only to this machine and to the UI's pages, until Ctrl-C. It needs
    the worker's settings: HOLDFAST_ENCRYPTION_KEY and those of the store.
    """
    import uvicorn  # noqa: PLC0415 - other commands start faster without these

    from holdfast.api.codec import codec_app  # noqa: PLC0415
    from holdfast.composition.keys import key_ring  # noqa: PLC0415
    from holdfast.composition.persistence import converter, open_configured  # noqa: PLC0415
    from holdfast.storage.payloads.data_converter import data_converter  # noqa: PLC0415

    out, settings = Output(), Settings.load()
    origins = _origins(ui or ui_url(settings) or DEFAULT_UI)
    if answers(port):
        raise UsageError(f"port {port} is in use on this machine; choose another with --port")
    persistence = open_configured(settings)
    app = codec_app(converter(settings, persistence), data_converter(None, key_ring(settings)), origins)
    address = codec_endpoint(port)
    out.say(f"codec endpoint at {address}, for pages of {' and '.join(origins)}")
    out.note("  in Temporal's UI:   the glasses icon at the top right, then Remote Codec Endpoint")
    out.note(f"  in Temporal's CLI:  --codec-endpoint {address}")
    try:
        await uvicorn.Server(uvicorn.Config(app, host=LOOPBACK, port=port, log_level="warning")).serve()
    finally:
        await persistence.close()


def _origins(url: str) -> list[str]:
    """The origin of a page, under both names of this machine if it is local."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"--ui {url!r} is not the URL of a web page; write http://HOST:PORT")
    names = {parts.hostname or "", LOOPBACK, "localhost"} if parts.hostname in (LOOPBACK, "localhost") else {""}
    port = f":{parts.port}" if parts.port else ""
    return sorted(f"{parts.scheme}://{name}{port}" if name else f"{parts.scheme}://{parts.netloc}" for name in names)
