"""Sends words over one WebSocket connection, and prints the answers.

usage: shout.py [URL]

Needs the package websockets.
"""

import json
import sys

from websockets.sync.client import connect

URL = sys.argv[1] if len(sys.argv) > 1 else "ws://localhost:8080/shout"

with connect(URL) as socket:
    for message in [{"x": "cat"}, {"x": "dog"}, {"y": "cat"}]:
        socket.send(json.dumps(message))
        print(socket.recv())
