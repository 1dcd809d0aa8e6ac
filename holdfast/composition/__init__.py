"""The composition root: builds adapters, clients and workers from the settings."""
