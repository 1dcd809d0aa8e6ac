"""How the process that holds an embedded database serves it to the others on this machine.

A websocket on loopback, behind a token that stands in a file beside the database which only its owner may read.
"""
