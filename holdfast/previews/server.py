"""The preview server: pages over HTTP on 127.0.0.1, from the process that made them."""

from __future__ import annotations

import asyncio
import http.client
import mimetypes
import secrets
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from typing_extensions import override

from holdfast.arguments import checked_folder
from holdfast.errors import UsageError
from holdfast.previews.pages import INDEX, Pages

ADDRESS = "127.0.0.1"
SERVE = "serve"
REQUEST_TIMEOUT = 30.0  # seconds for the bytes of one request
PROBE_TIMEOUT = 2.0  # seconds for an answer of another process
TAKE_OVER = 2.0  # seconds after which a process looks whether the one that served has ended


class PreviewServer:
    """Serves pages on this machine, and returns their addresses.

        FrontendDeveloper(sandbox_tool=PreviewServer())

    The server is a part of this process: it ends with it, however that ends, and begins with the first page. A page has
    the same address whenever the same files are served again. Only this machine can open it. Files are read from a
    folder, and nothing else can be read through the server.

    Args:
        folder: where pages are kept. A process that uses the same folder later, or at the same time, serves all of them
            under the same addresses. `None` means a folder that ends with the process.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self._folder = checked_folder("folder", folder)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def keep_in(self, folder: Path) -> None:
        """Sets the folder of a server that was created without one, before its first page."""
        if self._folder is None:
            self._folder = folder

    async def run_async(self, request: Mapping[str, Any]) -> str:
        """Serves a page, and returns its address.

        Args:
            request: `files`: text or bytes by path, at most 200 and 10 MB; `commands`: `["serve"]`, the only one that
                there is.

        Raises:
            UsageError: the request is not accepted.
            OSError: the files cannot be written, or no port is free.
        """
        if not isinstance(request, Mapping) or list(request.get("commands") or ()) != [SERVE]:
            raise UsageError(
                f'{request!r:.80} is not accepted: the preview server takes {{"files": {{…}}, "commands": ["{SERVE}"]}}'
            )
        return await asyncio.to_thread(self._deploy, request.get("files"))

    async def run(self) -> None:
        """Serves the pages of earlier processes until it is cancelled, as soon as no other process does."""
        try:
            while True:
                with suppress(OSError):
                    await asyncio.to_thread(self._resume)
                await asyncio.sleep(TAKE_OVER)
        finally:
            self.close()

    def close(self) -> None:
        """Stops serving; pages of a folder that was given are kept."""
        with self._lock:
            server, self._server = self._server, None
            if server is not None:
                server.end()
            if self._temporary is not None:
                self._temporary.cleanup()
                self._temporary = None

    def _deploy(self, files: Any) -> str:
        with self._lock:
            folder = self._pages_folder()
            page = Pages(folder).add(files)
            return f"http://{ADDRESS}:{self._port(folder)}/{page}/"

    def _resume(self) -> None:
        with self._lock:
            folder = self._folder
            if self._server is None and folder is not None and _remembered(folder):
                self._port(folder)

    def _pages_folder(self) -> Path:
        if self._folder is not None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._folder
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="holdfast-previews-", ignore_cleanup_errors=True)
        return Path(self._temporary.name)

    def _port(self, folder: Path) -> int:
        """Returns the port at which this process, or another one, serves the folder."""
        if self._server is not None:
            return self._server.server_port
        known, secret = _remembered(folder) or (0, secrets.token_hex(16))
        for port in (known, 0):
            try:
                self._server = _Server(port, Pages(folder), secret)
            except OSError:
                if port and _serves(port, secret):
                    return port
                if not port:
                    raise
            else:
                break
        assert self._server is not None
        _remember(folder, self._server.server_port, secret)
        return self._server.server_port


class _Server(ThreadingHTTPServer):
    """Serves the pages of a folder in threads of this process."""

    daemon_threads = True

    def __init__(self, port: int, pages: Pages, secret: str) -> None:
        super().__init__((ADDRESS, port), _Handler)
        self.pages = pages
        self.secret = secret
        threading.Thread(target=self.serve_forever, name="previews", daemon=True).start()

    def end(self) -> None:
        """Ends at once; pages that are being sent are sent."""
        self.shutdown()
        self.server_close()

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores clients that have gone away."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_TIMEOUT
    server_version, sys_version = "holdfast", ""

    def do_GET(self) -> None:
        """Sends a file of a page."""
        self._answer()

    def do_HEAD(self) -> None:
        """Sends what `do_GET` would send, without the file."""
        self._answer()

    def _answer(self) -> None:
        port = self.server.server_port
        if self.headers.get("Host") not in (f"{ADDRESS}:{port}", f"localhost:{port}"):
            # A name that leads here belongs to someone else's website, which must not read pages through it.
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST, "not a host of this server")
            return
        page, slash, rest = unquote(urlsplit(self.path).path).lstrip("/").partition("/")
        if page == self.server.secret:
            self._send(b"", "text/plain")
        elif page and not slash and self.server.pages.read(page, INDEX) is not None:
            self.send_response(HTTPStatus.MOVED_PERMANENTLY)
            self.send_header("Location", f"/{page}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send_file(page, f"{rest}{INDEX}" if not rest or rest.endswith("/") else rest)

    def _send_file(self, page: str, path: str) -> None:
        data = self.server.pages.read(page, path)
        if data is None:
            self.send_error(HTTPStatus.NOT_FOUND, "there is no such page")
            return
        kind = mimetypes.guess_type(path, strict=False)[0] or "application/octet-stream"
        is_text = kind.startswith("text/") or kind in ("application/javascript", "application/json", "image/svg+xml")
        self._send(data, f"{kind}; charset=utf-8" if is_text else kind)

    def _send(self, data: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: each page is a dozen of requests."""


def _remembered(folder: Path) -> tuple[int, str] | None:
    """Returns the port at which the folder was served last, and the secret by which its server is known."""
    try:
        port, secret = (folder / "server").read_text().split()
        return int(port), secret
    except (OSError, ValueError):
        return None


def _remember(folder: Path, port: int, secret: str) -> None:
    written = folder / f".server-{secrets.token_hex(4)}"
    written.touch(mode=0o600)
    written.write_text(f"{port} {secret}")
    written.replace(folder / "server")


def _serves(port: int, secret: str) -> bool:
    """Whether a process of the same folder serves at a port."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", f"/{secret}")
        return connection.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
