"""Asks a model without a pause, and prints each version that answers. Needs only Python 3.

usage: watch.py MODEL VERSIONS [URL]

Ends when that many versions have answered. Without URL it asks the server at $WARDIAN_URL, or else at
http://127.0.0.1:8080.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

SERVER = os.environ.get("WARDIAN_URL", "http://127.0.0.1:8080")
ROW = [17, 20.5]  # five in the afternoon, and 20.5 degrees


def ask(server, model):
    """Returns the version that answers, and its prediction."""
    tensor = {"name": "features", "datatype": "FP64", "shape": [1, 2], "data": ROW}
    body = json.dumps({"inputs": [tensor]}).encode()
    with urllib.request.urlopen(f"{server}/v2/models/{model}/infer", body) as response:
        answer = json.load(response)
    return answer["model_version"], answer["outputs"][0]["data"][0]


def wait_until_ready(server, model, seconds=120):
    """Waits until the first version serves."""
    for _ in range(10 * seconds):
        try:
            return urllib.request.urlopen(f"{server}/v2/models/{model}/ready").close()
        except urllib.error.HTTPError as error:
            if error.code not in (404, 503):
                raise
        time.sleep(0.1)
    sys.exit(f"the model {model} is not ready after {seconds} seconds")


def main(model, versions, server=SERVER):
    wait_until_ready(server, model)
    asked, seen = 0, []
    while len(seen) < int(versions):
        version, rides = ask(server, model)
        asked += 1
        if version not in seen:
            seen.append(version)
            print(f"version {version} predicts {rides:.1f} rides", flush=True)
    print(f"{asked} requests, each of them answered")


if __name__ == "__main__":
    main(*sys.argv[1:])
