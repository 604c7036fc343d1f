"""Sends requests from many concurrent clients and prints the number of calls. Needs only Python 3.

usage: ask.py [CLIENTS] [URL]

Without URL it asks the server at $WARDIAN_URL, or else at http://127.0.0.1:8080.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

TEXTS = [
    ("en", "Nothing goes together that does not belong together"),
    ("de", "Was nicht zusammengehört, kommt auch nicht zusammen"),
    ("fr", "Ce qui ne va pas ensemble ne sera pas mis ensemble"),
    ("es", "Lo que no pertenece junto no se pone nunca junto"),
]
ASKING = 50
SERVER = os.environ.get("WARDIAN_URL", "http://127.0.0.1:8080")


def ask(server, text):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    body = json.dumps({"inputs": [tensor]}).encode()
    request = urllib.request.Request(f"{server}/v2/models/language-id/infer", body)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["outputs"][0]["data"][0]


def wait_until_ready(server, seconds=120):
    """Waits until the model serves; a new server is still compiling it."""
    for _ in range(seconds):
        try:
            return urllib.request.urlopen(f"{server}/v2/models/language-id/ready").close()
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(1)
    sys.exit(f"the model language-id is not ready after {seconds} seconds")


def counted(server):
    """Returns the numbers of requests and calls so far."""
    with urllib.request.urlopen(f"{server}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    of = lambda name: sum(float(line.split()[-1]) for line in lines if line.startswith(name) and "language-id" in line)
    return of("wardian_batch_size_sum"), of("wardian_batch_size_count")


def client(server, number):
    """Sends requests repeatedly, and returns the number of wrong answers."""
    language, text = TEXTS[number % len(TEXTS)]
    return sum(ask(server, text) != language for _ in range(ASKING))


def main(clients="64", server=SERVER):
    wait_until_ready(server)
    before, clients = counted(server), int(clients)
    with ThreadPoolExecutor(clients) as running:
        wrong = sum(running.map(client, [server] * clients, range(clients)))
    requests, calls = (after - earlier for after, earlier in zip(counted(server), before))
    print(f"{requests:.0f} requests in {calls:.0f} calls, {wrong} wrong answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
