"""Small shared helpers, internal to the package."""
