"""MLServer's types, codecs and command: requests that they build, and responses that they read.

usage: mlserver_codecs.py HOST:PORT

Expects the example models iris and upper and the test model batcher, all serving.
"""

import datetime
import json
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import numpy as np
import pandas as pd
from mlserver.codecs import (
    Base64Codec,
    DatetimeCodec,
    NumpyCodec,
    NumpyRequestCodec,
    PandasCodec,
    StringCodec,
    StringRequestCodec,
)
from mlserver.types import (
    InferenceRequest,
    InferenceResponse,
    MetadataModelResponse,
    MetadataServerResponse,
    Parameters,
    RepositoryIndexResponse,
    RequestOutput,
)

import checks

ADDRESS = sys.argv[1]
IRIS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])


def ask(path, body=None):
    """The response to a GET, or to a POST of a JSON text."""
    data = None if body is None else body.encode()
    request = urllib.request.Request(f"http://{ADDRESS}/v2{path}", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


def infer(model, request):
    return InferenceResponse.model_validate(ask(f"/models/{model}/infer", request.model_dump_json()))


def metadata():
    server = MetadataServerResponse.model_validate(ask(""))
    assert server.name == "wardian", server
    iris = MetadataModelResponse.model_validate(ask("/models/iris"))
    assert iris.name == "iris" and iris.inputs[0].shape == [-1, 4], iris
    index = RepositoryIndexResponse.model_validate(ask("/repository/index", "{}"))
    assert {"iris", "upper", "batcher"} <= {item.name for item in index.root}, index


def numpy_arrays():
    request = InferenceRequest(
        id="mine",
        inputs=[NumpyCodec.encode_input("measurements", IRIS)],
        outputs=[RequestOutput(name="probabilities"), RequestOutput(name="label")],
        parameters=Parameters(content_type="np", mine="yes"),
    )
    answer = infer("iris", request)
    assert answer.id == "mine" and answer.model_name == "iris" and answer.model_version == "1", answer
    outputs = {output.name: output for output in answer.outputs}
    probabilities = NumpyCodec.decode_output(outputs["probabilities"])
    assert probabilities.shape == (2, 3) and np.allclose(probabilities.sum(axis=1), 1), probabilities
    assert StringCodec.decode_output(outputs["label"]) == ["setosa", "virginica"], answer


def numpy_requests():
    request = NumpyRequestCodec.encode_request(IRIS)
    # The codec chooses the name of the only input.
    request.inputs[0].name = "measurements"
    answer = infer("iris", request)
    assert answer.outputs[0].shape == [2], answer


def texts():
    """One text each, with the shape [N, 1] for the model's [-1]."""
    for use_bytes in (True, False):
        given = StringCodec.encode_input("text", ["light goes in", "grüße", ""], use_bytes=use_bytes)
        assert given.shape == [3, 1], given
        answer = infer("upper", InferenceRequest(inputs=[given]))
        assert StringCodec.decode_output(answer.outputs[0]) == ["LIGHT GOES IN", "GRÜSSE", ""], answer
    request = StringRequestCodec.encode_request(["glass", "case"])
    request.inputs[0].name = "text"
    answer = infer("upper", request)
    assert StringRequestCodec.decode_response(answer) == ["GLASS", "CASE"], answer


def bytes_as_base64():
    # Its base64 text has upper case letters only.
    given = [bytes.fromhex("001083"), bytes.fromhex("105187")]
    answer = infer("upper", InferenceRequest(inputs=[Base64Codec.encode_input("text", given)]))
    assert Base64Codec.decode_output(answer.outputs[0]) == given, answer


def times():
    given = [datetime.datetime(2026, 1, 2, 3, 4, 5), datetime.datetime(1970, 1, 1)]
    answer = infer("upper", InferenceRequest(inputs=[DatetimeCodec.encode_input("text", given)]))
    assert DatetimeCodec.decode_output(answer.outputs[0]) == given, answer


def data_frames():
    """An input for each column."""
    frame = pd.DataFrame({"word": ["light", "glass"], "x": [1.5, -2.0]})
    request = PandasCodec.encode_request(frame)
    assert [given.shape for given in request.inputs] == [[2, 1], [2, 1]], request
    answer = PandasCodec.decode_response(infer("batcher", request))
    assert list(answer["word"]) == ["light", "glass"] and list(answer["sum"]) == [1.5, -2.0], answer
    assert list(answer["batch"]) == [2, 2], answer


def fields_that_are_null():
    """The types write every field that is not set as null."""
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("measurements", IRIS)])
    body = json.loads(request.model_dump_json())
    body.update(id=None, parameters=None, outputs=None)
    body["inputs"][0]["parameters"] = None
    answer = InferenceResponse.model_validate(ask("/models/iris/infer", json.dumps(body)))
    assert answer.outputs[0].shape == [2], answer


def command():
    """`mlserver infer`, which reads a file with a request for each line."""
    request = InferenceRequest(inputs=[NumpyCodec.encode_input("measurements", IRIS)])
    with tempfile.TemporaryDirectory() as folder:
        given, answered = pathlib.Path(folder, "given.json"), pathlib.Path(folder, "answered.json")
        given.write_text("".join(request.model_dump_json() + "\n" for _ in range(5)))
        program = [pathlib.Path(sys.executable).parent / "mlserver", "infer", "-u", ADDRESS, "-m", "iris"]
        subprocess.run([*program, "-i", given, "-o", answered, "--workers", "2"], check=True, stdout=subprocess.DEVNULL)
        answers = [json.loads(line) for line in answered.read_text().splitlines()]
    assert len(answers) == 5 and all(answer["outputs"][0]["shape"][0] == 2 for answer in answers), answers


checks.run(
    metadata,
    numpy_arrays,
    numpy_requests,
    texts,
    bytes_as_base64,
    times,
    data_frames,
    fields_that_are_null,
    command,
)
