"""The preview server: what it serves, to whom, and how long."""

from __future__ import annotations

import asyncio
import http.client
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from holdfast import PreviewServer, UsageError
from holdfast.previews import pages
from tests.support.cli import ROOT
from tests.support.lab import eventually

FILES: dict[str, Any] = {"index.html": "<h1>Rope</h1>", "img/logo.svg": "<svg/>", "data.bin": b"\x00\xff"}
SERVE = """
import asyncio, sys
from holdfast import PreviewServer

async def main():
    previews = PreviewServer(sys.argv[1])
    print(await previews.run_async({"files": {"index.html": "<h1>Rope</h1>"}, "commands": ["serve"]}), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def asked(files: Any) -> dict[str, Any]:
    """The request that serves files."""
    return {"files": files, "commands": ["serve"]}


def get(url: str, path: str = "", *, method: str = "GET", host: str | None = None) -> tuple[int, str, bytes]:
    """Returns status, content type and body of what is at an address, with a path behind it that is sent unchanged."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc, timeout=20)
    try:
        connection.putrequest(method, f"{place.path}{path}", skip_host=True)
        connection.putheader("Host", place.netloc if host is None else host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


@pytest.fixture
def previews(tmp_path: Path) -> Iterator[PreviewServer]:
    """A preview server with a folder."""
    server = PreviewServer(tmp_path / "previews")
    yield server
    server.close()


async def test_files_are_served_and_nothing_else(previews: PreviewServer, tmp_path: Path) -> None:
    """The files of a page can be read, with their types; no path leads out of it, and no other host is answered."""
    (tmp_path / "secret.txt").write_text("secret")
    url = await previews.run_async(asked(FILES))
    assert get(url) == (200, "text/html; charset=utf-8", b"<h1>Rope</h1>")
    assert get(url, method="HEAD") == (200, "text/html; charset=utf-8", b"")
    assert get(url, "img/logo.svg?x=1") == (200, "image/svg+xml; charset=utf-8", b"<svg/>")
    assert get(url, "data.bin")[2] == FILES["data.bin"]
    assert get(url.rstrip("/"))[0] == 301
    outside = [
        "../server",
        "..%2fserver",
        "%2e%2e/server",
        "../../secret.txt",
        "img/../../server",
        "img",
        "none",
        "%00",
    ]
    outside += ["//etc/passwd", "..\\server", "img/", "./index.html", str(tmp_path / "secret.txt")]
    assert {path: get(url, path)[0] for path in outside} == dict.fromkeys(outside, 404)
    assert get(url, host="evil.example")[0] == 421, "a name of another site that leads here reads nothing"
    assert get(url, method="POST")[0] == 501


async def test_the_same_files_have_the_same_address(previews: PreviewServer) -> None:
    """To serve a page again changes nothing; another page has another address, and both can be opened."""
    first = await previews.run_async(asked(FILES))
    again = await previews.run_async(asked(dict(reversed(FILES.items()))))
    other = await previews.run_async(asked({"index.html": "<h1>Tar</h1>"}))
    assert first == again != other
    assert (get(first)[2], get(other)[2]) == (b"<h1>Rope</h1>", b"<h1>Tar</h1>")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (None, "the preview server takes"),
        ({"files": FILES}, "the preview server takes"),
        ({"files": FILES, "commands": ["rm -rf /"]}, "the preview server takes"),
        (asked(None), "it must have the files of a page"),
        (asked({}), "it must have the files of a page"),
        (asked({"../x": ""}), "use a relative one"),
        (asked({"/etc/x": ""}), "use a relative one"),
        (asked({"a\0b": ""}), "use a relative one"),
        (asked({7: ""}), "use a relative one"),
        (asked({"x": 7}), "must be text or bytes, not int"),
        (asked({"x": "", "x/y": ""}), "both a file and a folder"),
        (asked({f"{number}": "" for number in range(201)}), "at most 200 files, not 201"),
        (asked({"x": "x" * (10 * 1024 * 1024 + 1)}), "at most 10,485,760 bytes together"),
    ],
    ids=str,
)
async def test_what_is_not_accepted(previews: PreviewServer, request_: Any, reason: str) -> None:
    """A request that is wrong is refused with the reason."""
    with pytest.raises(UsageError, match=reason):
        await previews.run_async(request_)


async def test_old_pages_are_removed(previews: PreviewServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest pages are kept; one that is served again is new."""
    monkeypatch.setattr(pages, "KEPT", 2)
    first, second, third = [f"<h1>{number}</h1>" for number in range(3)]
    urls = [await previews.run_async(asked({"index.html": text})) for text in (first, second, first, third)]
    assert [get(url)[0] for url in urls] == [200, 404, 200, 200]


async def test_a_killed_server_leaves_nothing_and_another_takes_over(tmp_path: Path) -> None:
    """A server ends with its process; one of the same folder then serves its pages under the same addresses."""
    folder = tmp_path / "previews"
    previews, files = PreviewServer(folder), {"index.html": "<h1>Rope</h1>"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", SERVE, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        url = (await process.stdout.readline()).decode().strip()
        assert await previews.run_async(asked(files)) == url, "the other process serves it"
        new = await previews.run_async(asked({"index.html": "<h1>Tar</h1>"}))
        assert (get(url)[0], get(new)[2]) == (200, b"<h1>Tar</h1>")
    finally:
        process.kill()
        await process.wait()
    with pytest.raises(ConnectionRefusedError):
        get(url)
    serving = asyncio.create_task(previews.run())

    async def is_served() -> bool:
        try:
            return get(url)[0] == 200
        except ConnectionRefusedError:
            return False

    await eventually(is_served)
    serving.cancel()
    await asyncio.wait([serving])
    with pytest.raises(ConnectionRefusedError):
        get(url)


async def test_a_server_without_a_folder_forgets_its_pages() -> None:
    """Without a folder, pages end with the server, and nothing is left behind."""
    previews = PreviewServer()
    url = await previews.run_async(asked(FILES))
    assert get(url)[0] == 200
    folder = Path(previews._temporary.name)  # type: ignore[union-attr]
    previews.close()
    assert not await asyncio.to_thread(folder.exists)
    again = await previews.run_async(asked(FILES))
    assert get(again)[0] == 200
    previews.close()
