"""Commands on agents and the registry."""
