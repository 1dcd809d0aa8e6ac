"""The gateway, through which the owner of an embedded database serves it to other processes of this machine.

It is a websocket on loopback. Clients authenticate with a token from a file beside the database, which only the user
that runs the owner can read.
"""
