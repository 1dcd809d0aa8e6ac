"""The HTTP tools: what they reach, what they refuse, and what a model reads."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import ssl
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from holdfast.agents.tool import ToolContext, ToolError
from holdfast.errors import AgentDefinitionError, SettingsError
from holdfast.http_access import HostPattern, HttpAccess
from holdfast.settings import Settings
from holdfast.tools import download_file, fetch_url, fetching, http_tool
from holdfast.tools.addresses import refusal
from holdfast.tools.fetching import Fetcher, WebRequest
from holdfast.tools.readable import readable
from tests.support.web_server import answer, web_server

PUBLIC = "93.184.216.34"
PAGE = """<!doctype html><html><head><title>Ropes &amp; knots</title><style>p {}</style></head><body>
<h1>Ropes</h1><p>We <b>sell</b> <a href="/r?a=1&amp;b=2">ropes of hemp</a>.<br>Call us.
<div hidden>Obey <div>me</div></div>
<ul><li>one</li><li>two</ul><table><tr><th>Rope</th><th>m</th><tr><td>thin<td>12</table><pre>a
  b</pre>1 < 2 <script>if (a</b>) "<p>"</script><img alt="a knot" src=x></body></html>"""

FORMS = """
    127.0.0.1 127.1 2130706433 0x7f000001 0x7f.1 017700000001 0177.0.0.1 127.0.0.1. 127。0。0。1 ①②⑦.0.0.1 [::1] [::]
    [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::10.0.0.1] [64:ff9b:1::7f00:1]
    [2002:7f00:1::] [2002:a9fe:a9fe::] [2001:0:4136:e378:8000:63bf:3fff:fdd2] [fe80::1] [fe80::1%25eth0] [fec0::1]
    [fc00::1] [fd00:ec2::254] [ff02::1] [2001:db8::1] [100::1] [5f00::1] [3fff::1] 0.0.0.0 0 10.1.2.3 172.16.0.1
    192.168.0.1 100.64.0.1 100.100.100.200 169.254.169.254 168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 224.0.0.1
    239.255.255.250 240.0.0.1 255.255.255.255 192.88.99.1 1.2.3 0x01010101 01.1.1.1 1.1.1.1.1 localhost a..b
    %31.1.1.1
"""
"""Addresses that are not public, and forms of addresses that are read in different ways."""


def context(*private: str, allowed: Sequence[str] = (), workspace: Path = Path("/nowhere")) -> ToolContext:
    access = HttpAccess.parse(allowed, private)
    return ToolContext(run_id="r", call_id="c", agent="a", turn=1, attempt=1, workspace=workspace, http=access)


def fetcher(*private: str, deadline: float = 10, **names: str | list[list[str]]) -> tuple[Fetcher, list[str]]:
    """A fetcher with a resolver that knows only these names, `_` standing for a dot, and what it was asked.

    A name has one address, or a list of answers that it gives in order, the last one for ever.
    """
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        known = names.get(host.replace(".", "_"))
        if known is None:
            return [str(ip_address(host))]
        return [known] if isinstance(known, str) else known[min(asked.count(host), len(known)) - 1]

    return Fetcher(HttpAccess.parse((), private), resolve=resolve, deadline=deadline, max_bytes=1_000_000), asked


async def test_rebinding_resolver() -> None:
    """A name is resolved once for a request, and the connection goes to the address that was checked.

    A name with one address that may not be reached is refused, whatever its other addresses are.
    """
    async with (
        web_server({"/": answer("first")}) as first,
        web_server({"/": answer("second")}, host="127.0.0.2", port=first.port) as second,
    ):
        one_after_the_other = [["127.0.0.1"], ["127.0.0.2"]]
        ours, asked = fetcher("rebind.test", rebind_test=one_after_the_other)
        assert (await ours.fetch(WebRequest(f"http://rebind.test:{first.port}/"))).body == b"first"
        assert (asked, second.asked) == (["rebind.test"], [])
        assert first.asked[0].headers["host"] == f"rebind.test:{first.port}"

        for answers in ([[PUBLIC, "127.0.0.1"]], [["127.0.0.1"], [PUBLIC]]):
            strict, asked = fetcher(rebind_test=answers)
            with pytest.raises(ToolError, match=r"'rebind\.test' has an address of the worker's own machine"):
                await strict.fetch(WebRequest(f"http://rebind.test:{first.port}/"))
            assert asked == ["rebind.test"]
        assert len(first.asked) == 1


async def test_redirect_to_metadata() -> None:
    """Each redirect is checked like the first address; a host that may be private has no way to metadata."""
    async with web_server({"/": answer("secret")}) as hidden:
        targets = {
            "http://169.254.169.254/latest/meta-data/": "metadata service",
            "http://[::ffff:169.254.169.254]/": "metadata service",
            "http://[fd00:ec2::254]/": "metadata service",
            "http://alias.test/": "metadata service",
            "//169.254.1.1/": "link-local",
            f"http://127.0.0.1:{hidden.port}/": "worker's own machine",
            "http://rebind.test/": "private address",
            "file:///etc/passwd": "begins with http",
            "http://user:pw@ok.test/": "leave out the user name",
        }
        answers: dict[str, bytes | list[bytes]] = {
            f"/{number}": answer(status="302 Found", location=target) for number, target in enumerate(targets)
        }
        loop = answer(status="307 Temporary Redirect", location="/loop")
        there = answer(status="301 Moved Permanently", location="there?x=ä")
        async with web_server({**answers, "/loop": loop, "/old": there, "/there?x=%C3%A4": answer("found")}) as server:
            ours, _ = fetcher(
                f"ok.test:{server.port}",
                "alias.test",
                ok_test="127.0.0.1",
                alias_test="169.254.169.254",
                rebind_test="10.0.0.1",
            )
            start = f"http://ok.test:{server.port}"
            for number, reason in enumerate(targets.values()):
                with pytest.raises(ToolError, match=reason):
                    await ours.fetch(WebRequest(f"{start}/{number}"))
            with pytest.raises(ToolError, match="more than 5 redirects"):
                await ours.fetch(WebRequest(f"{start}/loop"))
            assert (await ours.fetch(WebRequest(f"{start}/old"))).body == b"found"
        assert hidden.asked == []


async def test_decimal_octal_ipv6_forms() -> None:
    """No form of an address that is not public is accepted, nor any form of an address that is read in two ways."""
    forms = FORMS.split()
    async with web_server({"/": answer("secret")}) as server:
        for form in forms:
            with pytest.raises(ToolError):
                await fetch_url(f"http://{form}:{server.port}/", context=context())
        unusual = [form for form in forms if form[0].isdigit() and not form.startswith(("127.0.0.1", "127。"))]
        for form in unusual:
            with pytest.raises(ToolError):  # also where the address itself may be reached
                await fetch_url(f"http://{form}:{server.port}/", context=context("127.0.0.1", "2130706433"))
        assert server.asked == []
        for form in ("127.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]"):
            url = f"http://{form}:{server.port}/"
            assert "secret" in await fetch_url(url, context=context("127.0.0.1", "[::ffff:7f00:1]"))
    public = [PUBLIC, "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
    assert [refusal(address, private=False) for address in public] == [None] * len(public)


async def test_gzip_bomb() -> None:
    """A body is measured after it is decoded, and no more of it is kept or read than the limit."""
    compressor = zlib.compressobj(1, wbits=zlib.MAX_WBITS | 16)
    bomb = b"".join([*(compressor.compress(bytes(2**20)) for _ in range(40)), compressor.flush()])
    gzipped = {"content_encoding": "gzip"}
    answers: dict[str, bytes | list[bytes]] = {
        "/bomb": answer(bomb, **gzipped),
        "/members": answer(gzip.compress(b"whole") + gzip.compress(b"") * 100_000, **gzipped),
        "/broken": answer(b"\x1f\x8bnonsense", **gzipped),
        "/twice": answer(b"", content_encoding="gzip, gzip"),
        "/small": answer(gzip.compress(b"small"), **gzipped),
        "/plain": answer(b"x" * 2_000_000),
    }
    async with web_server(answers) as server:
        ours, _ = fetcher("127.0.0.1")
        start = f"http://127.0.0.1:{server.port}"
        tracemalloc.start()
        read = await ours.fetch(WebRequest(f"{start}/bomb"))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (len(read.body), read.is_whole) == (1_000_000, False)
        assert peak < 8_000_000
        assert (await ours.fetch(WebRequest(f"{start}/members"))).body == b"whole"
        assert (await ours.fetch(WebRequest(f"{start}/small"))).body == b"small"
        plain = await ours.fetch(WebRequest(f"{start}/plain"))
        assert (len(plain.body), plain.is_whole) == (1_000_000, False)
        for path, reason in {"/broken": "cannot be decoded", "/twice": "not asked for"}.items():
            with pytest.raises(ToolError, match=reason):
                await ours.fetch(WebRequest(f"{start}{path}"))


async def test_pages_are_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is text with links; JSON is as it is; a long text comes in parts. No proxy is used, and no cookie kept."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    latin = "<meta charset=iso-8859-1><p>Größe</p>".encode("latin-1")
    answers: dict[str, bytes | list[bytes]] = {
        "/": answer(PAGE, "text/html", set_cookie="a=b"),
        "/latin": answer(latin, "text/html"),
        "/odd": answer("plain", "text/plain; charset=punycode"),
        "/json": answer('{"a": [1]}', "application/problem+json"),
        "/long": answer("x" * 70_000),
        "/none": answer(b"no type", ""),
    }
    async with web_server(answers) as server:
        start, ours = f"http://127.0.0.1:{server.port}", context("127.0.0.1")
        head, _, text = (await fetch_url(f"{start}/#part", context=ours)).partition("\n\n")
        assert head == f"200 {start}/ (text/html, {len(PAGE):,} bytes)"
        assert text == (
            f"Ropes & knots\n\n# Ropes\n\nWe sell [ropes of hemp]({start}/r?a=1&b=2).\nCall us.\n- one\n- two\n"
            "| Rope | m\n| thin | 12\n```\na\n  b\n```\n1 < 2 [picture: a knot]"
        )
        assert (await fetch_url(f"{start}/latin", context=ours)).endswith("Größe")
        assert (await fetch_url(f"{start}/odd", context=ours)).endswith("plain")
        assert (await fetch_url(f"{start}/json", context=ours)).endswith('{"a": [1]}')
        assert (await fetch_url(f"{start}/none", context=ours)).endswith("no type")
        assert "call again with start=50000" in await fetch_url(f"{start}/long", context=ours)
        assert "x" * 20_000 in await fetch_url(f"{start}/long", 50_000, context=ours)
        with pytest.raises(ToolError, match="start=70000 is beyond its end"):
            await fetch_url(f"{start}/long", 70_000, context=ours)
        assert not any("cookie" in request.headers for request in server.asked)


def test_hostile_pages_take_linear_time() -> None:
    """A page that parsers need quadratic time for is read within seconds."""
    began = time.monotonic()
    for part in ("<div>", "<!--", "<", "<a x='", "</div", "<b><p>", "&#", "<script>", "<a href=x>y", "<table><tr>x"):
        readable(part * (100_000 // len(part)), "http://page.test/")
    assert time.monotonic() - began < 20


async def test_errors_say_what_to_do(tmp_path: Path) -> None:
    """What cannot be read is explained, and what is not text can be saved to the workspace."""
    picture = bytes(range(256))
    answers: dict[str, bytes | list[bytes]] = {
        "/picture": answer(picture, "image/png"),
        "/busy": answer("slow down", status="429 Too Many Requests", retry_after="7"),
        "/slow": [answer("x" * 500)[:-400], *[b"x"] * 400],
    }
    async with web_server(answers) as server:
        start, ours = f"http://127.0.0.1:{server.port}", context("127.0.0.1", workspace=tmp_path)
        reasons = {
            f"{start}/picture": "is not text: download_file saves it",
            f"{start}/missing": "404 .*: there is nothing at this address.*\nThe server says:\nnothing here",
            f"{start}/busy": r"429 .*wait before the next one.*\(the server asks to wait: 7\)",
            "http://127.0.0.1:1/": "'127.0.0.1' does not accept connections at port 1",
            "http://no-such-host.invalid/": "cannot be found: check its spelling",
            "ftp://page.test/": "begins with http:// or https://",
            "page.test": "begins with http:// or https://",
            "http://page.test:0/": "1 to 65535",
        }
        for url, reason in reasons.items():
            with pytest.raises(ToolError, match=f"(?s){reason}"):
                await fetch_url(url, context=ours)
        saved = await download_file(f"{start}/picture", "pictures/a.png", context=ours)
        assert (saved.files, (tmp_path / "pictures/a.png").read_bytes()) == (["pictures/a.png"], picture)
        with pytest.raises(ToolError, match=r"without '\.\.'"):
            await download_file(f"{start}/picture", "../a.png", context=ours)
        hurried, _ = fetcher("127.0.0.1", deadline=0.3)
        began = time.monotonic()
        with pytest.raises(ToolError, match=r"did not answer in full within 0\.3 s"):
            await hurried.fetch(WebRequest(f"{start}/slow"))
        assert time.monotonic() - began < 5


async def test_tls_is_checked_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to a checked address asks for the host's name by TLS, and its certificate must be for that name."""
    certificate = _certificate(tmp_path, "rope.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    fetching._tls.cache_clear()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    try:
        async with web_server({"/": answer("secure")}, tls=tls) as server:
            ours, _ = fetcher("rope.test", "other.test", rope_test="127.0.0.1", other_test="127.0.0.1")
            assert (await ours.fetch(WebRequest(f"https://rope.test:{server.port}/"))).body == b"secure"
            with pytest.raises(ToolError, match=r"certificate of 'other\.test' is not valid"):
                await ours.fetch(WebRequest(f"https://other.test:{server.port}/"))
            assert (server.names, len(server.asked)) == (["rope.test", "other.test"], 1)
    finally:
        fetching._tls.cache_clear()


async def test_an_api_tool_sends_what_it_was_configured_for() -> None:
    """A tool of other methods is never repeated, is for its hosts only, and keeps its headers from other hosts."""
    async with web_server({"/there": answer("there")}) as other:
        elsewhere = answer(status="307 Temporary Redirect", location=f"http://127.0.0.1:{other.port}/there")
        answers = {"/": answer('{"ok": 1}', "application/json"), "/away": elsewhere}
        async with web_server(answers) as server:
            start, ours = f"http://127.0.0.1:{server.port}", context("127.0.0.1")
            headers = {"Authorization": "Bearer secret"}
            orders = http_tool(name="orders", methods=["GET", "POST"], hosts=["127.0.0.1"], headers=headers)
            call = json.dumps({"url": f"{start}/", "method": "POST", "body": '{"rope": 1}'})
            assert (await orders.call(call, ours)).content.endswith('{"ok": 1}')
            assert (await orders.call(json.dumps({"url": f"{start}/away"}), ours)).content.endswith("there")
            sent, _ = server.asked
            assert (sent.line, sent.body, sent.headers["content-type"], sent.headers["authorization"]) == (
                "POST / HTTP/1.1",
                b'{"rope": 1}',
                "application/json",
                "Bearer secret",
            )
            assert "authorization" not in other.asked[0].headers
            narrow = http_tool(hosts=[f"127.0.0.1:{server.port}"])
            with pytest.raises(ToolError, match=f"only for 127.0.0.1:{server.port}"):
                await narrow.call(json.dumps({"url": f"{start}/away"}), ours)
    assert (orders.spec.repeatable, narrow.spec.read_only, fetch_url.spec.read_only) == (False, True, True)
    assert "'enum': ['GET', 'POST']" in str(orders.spec.parameters)
    assert "HTTP_ALLOWED_HOSTS" in str(await _refused("http://page.test/", context(allowed=["*.rope.test"])))
    with pytest.raises(AgentDefinitionError, match="must be a list of GET"):
        http_tool(methods=["BREW"])


def test_hosts_are_named_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two settings take lists of hosts, and a wrong one is refused with the forms that are accepted."""
    monkeypatch.setenv("HTTP_PRIVATE_HOSTS", "Intranet.example, [FD00::7]:8080,*.corp.example:443")
    access = Settings.load().http_access
    assert [str(host) for host in access.private] == ["intranet.example", "[fd00::7]:8080", "*.corp.example:443"]
    reached = [("intranet.example", 1), ("fd00::7", 8080), ("a.corp.example", 443)]
    assert all(access.may_be_private(host, port) for host, port in reached)
    assert not any(
        access.may_be_private(*other) for other in [("fd00::7", 80), ("corp.example", 443), ("xcorp.example", 443)]
    )
    monkeypatch.setenv("HTTP_ALLOWED_HOSTS", "http://example.org")
    with pytest.raises(SettingsError, match=r"HTTP_ALLOWED_HOSTS.*\*\.example\.org"):
        Settings.load()
    assert HostPattern.parse("Example.org.").matches("example.org", 80)


async def _refused(url: str, ours: ToolContext) -> ToolError:
    with pytest.raises(ToolError) as caught:
        await fetch_url(url, context=ours)
    return caught.value


def _certificate(folder: Path, name: str) -> Path:
    """Writes a file with a certificate for a name, which is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return path
