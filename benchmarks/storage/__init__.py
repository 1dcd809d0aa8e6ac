"""Measures the store: engines beside each other, the mirror, vectors, payloads, the event bus; see ../README.md."""
