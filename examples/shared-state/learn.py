"""Sends outcomes of tumours to the model `learner` from several clients, and checks its predictions before and after."""

import argparse
import json
import os
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "guest-models/learner/golden.json"
CLIENTS = 4


def infer(server, inputs):
    request = urllib.request.Request(
        f"{server}/v2/models/learner/infer",
        json.dumps({"inputs": inputs}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as response:
        outputs = json.load(response)["outputs"]
    return {output["name"]: output["data"] for output in outputs}


def measurements(rows):
    data = [value for row in rows for value in row]
    return {"name": "measurements", "datatype": "FP64", "shape": [len(rows), 30], "data": data}


def tumours():
    measured, outcome = json.loads(GOLDEN.read_text())["cases"][0]["request"]["inputs"]
    data = measured["data"]
    return [data[at : at + 30] for at in range(0, len(data), 30)], outcome["data"]


def report(when, server, rows, outcomes):
    answer = infer(server, [measurements(rows)])
    right = sum((probability > 0.5) == outcome for probability, outcome in zip(answer["probability"], outcomes))
    print(f"{when} learned from {answer['learned'][0]}, right about {right} of {len(rows)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default=os.environ.get("WARDIAN_URL", "http://localhost:8080"))
    parser.add_argument("--only-ask", action="store_true", help="tell it nothing")
    options = parser.parse_args()
    rows, outcomes = tumours()

    def tell(row, outcome):
        told = {"name": "malignant", "datatype": "BOOL", "shape": [1], "data": [outcome]}
        infer(options.server, [measurements([row]), told])

    report("now:   " if options.only_ask else "before:", options.server, rows, outcomes)
    if options.only_ask:
        return
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(tell, rows, outcomes))
    print(f"told it {len(rows)} outcomes, {CLIENTS} clients at a time")
    report("after: ", options.server, rows, outcomes)


if __name__ == "__main__":
    main()
