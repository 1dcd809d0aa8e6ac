"""Decoding of server-sent events."""

from __future__ import annotations

import pytest

from holdfast.models.event_stream import EventDecoder

STREAMS = {
    "plain": (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    "no space": (b"data:a\n\n", [b"a"]),
    "other fields": (b"retry: 10\nid: 1\n\n: comment\n\nevent: x\nid: 2\ndata: a\n\n", [b"a"]),
    "CR LF": (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    "CR": (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    "several lines": (b"data: a\ndata: b\n\n", [b"a\nb"]),
    "byte order mark": (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
    "no end": (b"data: a\n\ndata: b", [b"a", b"b"]),
    "line separators of Unicode": ("data: a\u2028\x85b\n\n".encode(), ["a\u2028\x85b".encode()]),
    "not events": (b"<html>\n\n<p>\n", []),
}


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("name", STREAMS)
def test_events_are_decoded_from_pieces_of_any_size(name: str, size: int) -> None:
    """The same events are decoded, wherever the network splits the stream."""
    stream, events = STREAMS[name]
    decoder = EventDecoder()
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [event for piece in pieces for event in decoder.feed(piece)] + decoder.end() == events
