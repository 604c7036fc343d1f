"""Has many clients ask a model at once, and tells in how many calls they were answered. Needs nothing but Python 3.

usage: ask.py [CLIENTS] [URL]
"""

import json
import sys
import threading
import urllib.request

TEXTS = [
    ("en", "Nothing goes together that does not belong together"),
    ("de", "Was nicht zusammengehört, kommt auch nicht zusammen"),
    ("fr", "Ce qui ne va pas ensemble ne sera pas mis ensemble"),
    ("es", "Lo que no pertenece junto no se pone nunca junto"),
]
ASKING = 50


def ask(server, text):
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [text]}
    body = json.dumps({"inputs": [tensor]}).encode()
    request = urllib.request.Request(f"{server}/v2/models/language-id/infer", body)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["outputs"][0]["data"][0]


def counted(server):
    """Requests and calls so far."""
    with urllib.request.urlopen(f"{server}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    of = lambda name: sum(float(line.split()[-1]) for line in lines if line.startswith(name) and "language-id" in line)
    return of("wardian_batch_size_sum"), of("wardian_batch_size_count")


def client(server, number, wrong):
    language, text = TEXTS[number % len(TEXTS)]
    wrong += [text for _ in range(ASKING) if ask(server, text) != language]


def main(clients="64", server="http://127.0.0.1:8080"):
    before, wrong = counted(server), []
    threads = [threading.Thread(target=client, args=(server, number, wrong)) for number in range(int(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    requests, calls = (after - earlier for after, earlier in zip(counted(server), before))
    print(f"{requests:.0f} requests in {calls:.0f} calls, {len(wrong)} wrong answers")


if __name__ == "__main__":
    main(*sys.argv[1:])
