"""Tools of MCP servers: one connection for each server and process, in a thread of their own."""
