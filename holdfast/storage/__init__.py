"""Everything that is stored: the database, and what is built on it."""
