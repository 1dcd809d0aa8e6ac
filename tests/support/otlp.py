"""A receiver of OpenTelemetry spans over HTTP, as a collector is one."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.lab import eventually


@dataclass(frozen=True)
class ReceivedSpan:
    """A span that has arrived."""

    raw: trace_pb2.Span
    service: str

    @property
    def name(self) -> str:
        """Its name."""
        return self.raw.name

    @property
    def trace(self) -> str:
        """The id of its trace."""
        return self.raw.trace_id.hex()

    @property
    def id(self) -> str:
        """Its id."""
        return self.raw.span_id.hex()

    @property
    def parent(self) -> str:
        """The id of its parent; empty if it is a root."""
        return self.raw.parent_span_id.hex()

    @property
    def attributes(self) -> dict[str, Any]:
        """Its attributes."""
        return {item.key: _value(item.value) for item in self.raw.attributes}

    @property
    def is_error(self) -> bool:
        """Whether it says that it has failed."""
        return self.raw.status.code == trace_pb2.Status.STATUS_CODE_ERROR


@dataclass
class OtlpReceiver:
    """Keeps every span that it receives, also repeated ones."""

    url: str = ""
    spans: list[ReceivedSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def of(self, run_id: str) -> list[ReceivedSpan]:
        """Returns the spans that belong to a run."""
        return [span for span in list(self.spans) if span.attributes.get("gen_ai.conversation.id") == run_id]

    def named(self, *names: str) -> list[ReceivedSpan]:
        """Returns the spans with these names."""
        return [span for span in list(self.spans) if span.name in names]

    async def wait_for(self, *names: str) -> None:
        """Waits until spans with all of these names have arrived."""

        async def arrived() -> bool:
            return set(names) <= {span.name for span in list(self.spans)}

        await eventually(arrived)

    def take(self, body: bytes) -> None:
        """Decodes a request."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            facts = {item.key: _value(item.value) for item in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans += [ReceivedSpan(span, facts["service.name"]) for span in scope.spans]


def assert_one_tree(spans: list[ReceivedSpan]) -> ReceivedSpan:
    """Checks that spans are one trace with one root, without repeats and orphans; returns the root."""
    assert len({span.trace for span in spans}) == 1
    ids = [span.id for span in spans]
    assert len(ids) == len(set(ids)), sorted(span.name for span in spans)
    roots = [span for span in spans if not span.parent]
    assert [span.name for span in spans if span.parent and span.parent not in ids] == []
    assert len(roots) == 1, [span.name for span in roots]
    return roots[0]


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Runs a receiver on a free port."""
    receiver = OtlpReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            receiver.headers.append(dict(self.headers))
            receiver.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
