"""NVIDIA's perf_analyzer: it reads a model's configuration, sends requests and reads the server's statistics.

usage: perf_analyzer.py HOST:PORT
       perf_analyzer.py --version

Expects every example model, all serving. Needs the interpreter of the environment that has the program. `--version`
tells whether the program starts.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tempfile
import urllib.request

import checks

PROGRAM = pathlib.Path(sys.executable).parent / "perf_analyzer"
CUDA = pathlib.Path(sysconfig.get_path("purelib"), "nvidia/cuda_runtime/lib")
ENVIRONMENT = {**os.environ, "LD_LIBRARY_PATH": str(CUDA)}
FOLDER = tempfile.TemporaryDirectory()

if sys.argv[1] == "--version":
    sys.exit(subprocess.run([PROGRAM, "--version"], env=ENVIRONMENT).returncode)
ADDRESS = sys.argv[1]


def counted(model):
    with urllib.request.urlopen(f"http://{ADDRESS}/v2/models/{model}/stats") as response:
        [statistics] = json.load(response)["model_stats"]
    succeeded, failed = (statistics["inference_stats"][name]["count"] for name in ("success", "fail"))
    return statistics["inference_count"], statistics["execution_count"], succeeded, failed


def analyze(model, *options, rows=1, requests=20):
    """Sends this many requests, each with this many rows. Checks the counts of the server."""
    command = [PROGRAM, "-m", model, "-u", ADDRESS, "-b", str(rows), "--request-count", str(requests), *options]
    before = counted(model)
    ran = subprocess.run(
        command,
        env=ENVIRONMENT,
        cwd=FOLDER.name,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, f"{model}: {ran.returncode}\n{ran.stdout}"
    inferences, executions, succeeded, failed = (now - then for now, then in zip(counted(model), before))
    assert failed == 0, (model, failed)
    assert inferences == succeeded * rows and 0 < executions <= succeeded, (model, inferences, executions, succeeded)
    [told] = re.findall(r"Client: \s+Request count: (\d+)", ran.stdout)
    assert requests <= int(told) <= succeeded, (told, succeeded)
    [told] = re.findall(r"Server: \s+Inference count: (\d+)", ran.stdout)
    return int(told), ran.stdout


def every_example():
    """The data are random, except for models that refuse random data or are slow with them."""
    for model in ("iris", "digits", "digits-wide"):
        analyze(model)
    for model in ("upper", "language-id"):
        analyze(model, "--string-length", "40")
    analyze("house-price", "--input-data", "zero")
    # The configuration of a model without batches does not contain the rows of a request.
    analyze("learner", "--shape", "measurements:2,30", "--shape", "malignant:2", "--input-data", "zero")
    analyze("chat", "--string-data", "Hello", requests=5)
    analyze("notes", "--input-data", data({"action": {"content": ["list"], "shape": [1]}}))


def data(sample):
    """A file with data for a request."""
    file = pathlib.Path(FOLDER.name, "data.json")
    file.write_text(json.dumps({"data": [sample]}))
    return str(file)


def batches():
    for model in ("iris", "digits", "upper"):
        told, _ = analyze(model, rows=8)
        assert told % 8 == 0 and told > 0, (model, told)


def texts_as_json():
    for model in ("iris", "upper"):
        analyze(model, "--input-tensor-format", "json", "--output-tensor-format", "json")


def many_at_once():
    analyze("iris", "--concurrency-range", "8", requests=200)
    analyze("iris", "--concurrency-range", "4", "--async", rows=8, requests=200)


def rates():
    analyze("iris", "--request-rate-range", "100", requests=100)


def by_grpc():
    grpc = ("-i", "grpc")
    analyze("iris", "--concurrency-range", "8", *grpc, requests=200)
    analyze("iris", "--concurrency-range", "4", "--async", *grpc, rows=8, requests=200)
    analyze("upper", "--string-length", "40", *grpc)
    analyze("iris", "--streaming", "--async", *grpc)


checks.run(every_example, batches, texts_as_json, many_at_once, rates, by_grpc)
