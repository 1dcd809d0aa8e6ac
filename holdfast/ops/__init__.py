"""Operating a store: verify and repair, export and import, retention."""
