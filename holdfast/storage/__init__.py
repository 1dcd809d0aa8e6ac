"""Storage: the database, and the stores on it."""
