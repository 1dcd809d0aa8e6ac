"""Definitions as people write them: TOML, YAML or JSON, one agent a file."""

from holdfast.storage.registry.documents.format import Format
from holdfast.storage.registry.documents.read import read_definition
from holdfast.storage.registry.documents.write import write_definition

__all__ = ["Format", "read_definition", "write_definition"]
