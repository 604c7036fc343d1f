"""Times ONNX Runtime for the benchmark that starts this.

``onnx_runtime.py FOLDER`` reads lines ``NETWORK CASE THREADS SECONDS`` and answers each with a
line: the least and the median time of a call, in microseconds.
"""

import statistics
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime


@cache
def session_of(folder, network, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    file = folder / "models" / network / "1" / "model.onnx"
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def timed(call, seconds):
    """Returns the times of calls in microseconds, after one that warms up."""
    call()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1e6)
    return times


def main(folder):
    for line in sys.stdin:
        network, case, threads, seconds = line.split()
        session = session_of(folder, network, int(threads))
        inputs = dict(np.load(folder / "cases" / f"{network}-{case}.npz"))
        outputs = [session.get_outputs()[0].name]
        times = timed(lambda: session.run(outputs, inputs), float(seconds))
        print(min(times), statistics.median(times), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
