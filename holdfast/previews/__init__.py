"""Pages that agents have made, served over HTTP on this machine only: a sandbox tool for the front-end developer."""

from holdfast.previews.server import PreviewServer

__all__ = ["PreviewServer"]
