"""Agent definitions in files: TOML, YAML or JSON, one agent per file."""

from holdfast.storage.registry.documents.format import Format
from holdfast.storage.registry.documents.read import read_definition
from holdfast.storage.registry.documents.write import write_definition

__all__ = ["Format", "read_definition", "write_definition"]
