"""Times predictions of the libraries themselves, for the benchmark that starts this.

`library.py FOLDER` reads lines `LIBRARY MODEL ROWS SECONDS` and answers each with a line: the
shortest time of a call, in microseconds. LIBRARY is `original` for the library that
trained the model, and `onnxruntime`. Everything runs on one thread.
"""

import sys
import time
from pathlib import Path

import joblib
import numpy as np
import onnxruntime


def prediction(folder, library, model, count):
    """Returns a function that predicts, or None where the library does not serve the file."""
    rows = np.load(folder / "rows" / f"{model}.npy")[:count]
    if library == "original":
        original = joblib.load(folder / "originals" / f"{model}.joblib")
        return lambda: original.predict(rows)

    file = folder / "models" / model / "1" / "model.onnx"
    if not file.exists():
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    [given] = session.get_inputs()
    kind = {"tensor(float)": np.float32, "tensor(double)": np.float64}[given.type]
    inputs = {given.name: rows.astype(kind)}
    outputs = [session.get_outputs()[0].name]
    return lambda: session.run(outputs, inputs)


def timed(predict, seconds):
    """Returns the times of calls in microseconds, after a few that warm up."""
    for _ in range(3):
        predict()

    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        started = time.perf_counter()
        predict()
        times.append((time.perf_counter() - started) * 1e6)
    return times


def main(folder):
    for line in sys.stdin:
        library, model, rows, seconds = line.split()
        predict = prediction(folder, library, model, int(rows))
        times = timed(predict, float(seconds)) if predict else [float("nan")]
        print(min(times), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
