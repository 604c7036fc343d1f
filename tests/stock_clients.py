"""Drives a running server with stock clients, unmodified: NVIDIA's tritonclient[http], and sseclient-py, which reads
server-sent events.

usage: stock_clients.py HOST:PORT GUEST_MODELS_FOLDER

Expects the example models chat, house-price, iris and upper, all serving. Prints one line per check; ends with
an exception at the first thing that is not as it should be.
"""

import http.client
import json
import pathlib
import sys

import numpy as np
import sseclient
import tritonclient.http as triton

ADDRESS, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
client = triton.InferenceServerClient(ADDRESS)


def refused(status, call, *arguments, **keywords):
    """Checks that a call is refused with that status, and gives the text."""
    try:
        call(*arguments, **keywords)
    except triton.InferenceServerException as error:
        assert str(error.status()) == str(status), f"{error.status()}: {error}"
        return error.message()
    raise AssertionError(f"{call.__name__} should have been refused with {status}")


def health_and_metadata():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("iris") and client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nobody")
    server = client.get_server_metadata()
    assert server["name"] == "wardian" and "binary_tensor_data" in server["extensions"], server
    iris = client.get_model_metadata("iris")
    assert iris["versions"] == ["1"], iris
    assert [output["datatype"] for output in iris["outputs"]] == ["BYTES", "FP64"], iris
    config = client.get_model_config("house-price")
    assert config["name"] == "house-price" and config["max_batch_size"] == 1024, config
    refused(404, client.get_model_metadata, "nobody")


def golden_requests():
    """The predictions of the library that house-price was trained in, as JSON and as binary tensors."""
    golden = json.loads((MODELS / "house-price" / "golden.json").read_text())
    for case in golden["cases"]:
        [given], [wanted] = case["request"]["inputs"], case["response"]["outputs"]
        features = np.array(given["data"], dtype=np.float64).reshape(given["shape"])
        prices = np.array(wanted["data"], dtype=np.float64).reshape(wanted["shape"])
        for binary_in in (True, False):
            for binary_out in (True, False):
                tensor = triton.InferInput("features", list(features.shape), "FP64")
                tensor.set_data_from_numpy(features, binary_data=binary_in)
                output = triton.InferRequestedOutput("price", binary_data=binary_out)
                answer = client.infer("house-price", [tensor], outputs=[output], request_id="a name")
                np.testing.assert_allclose(answer.as_numpy("price"), prices, rtol=golden["tolerance"]["relative"])
                assert answer.get_response()["id"] == "a name"


def texts():
    """BYTES both ways, with every compression the client knows."""
    given = np.array(["light goes in", "nothing gets out", "grüße", ""], dtype=np.object_)
    for compression in (None, "gzip", "deflate"):
        for binary in (True, False):
            tensor = triton.InferInput("text", [4], "BYTES")
            tensor.set_data_from_numpy(given, binary_data=binary)
            answer = client.infer(
                "upper",
                [tensor],
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
                timeout=2_000_000,
                headers={"X-Request-Id": "mine"},
            )
            upper = [text if isinstance(text, str) else text.decode() for text in answer.as_numpy("text")]
            assert upper == [text.upper() for text in given], upper


def many_at_once():
    """The client's own concurrency, and large tensors."""
    features = np.tile(np.array([[5850, 3, 1, 2, 1, 0, 1, 0, 0, 1, 0]], dtype=np.float64), (1000, 1))
    tensor = triton.InferInput("features", list(features.shape), "FP64")
    tensor.set_data_from_numpy(features)
    concurrent = triton.InferenceServerClient(ADDRESS, concurrency=8)
    pending = [concurrent.async_infer("house-price", [tensor]) for _ in range(64)]
    for request in pending:
        prices = request.get_result().as_numpy("price")
        assert prices.shape == (1000, 1) and np.all(prices == prices[0]), prices
    concurrent.close()


def wrong_requests():
    tensor = triton.InferInput("features", [1, 3], "FP64")
    tensor.set_data_from_numpy(np.zeros((1, 3)))
    assert "shape" in refused(400, client.infer, "house-price", [tensor])
    tensor = triton.InferInput("features", [1, 11], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 11), dtype=np.float32))
    assert "FP64" in refused(400, client.infer, "house-price", [tensor])
    tensor = triton.InferInput("features", [1, 11], "FP64")
    tensor.set_data_from_numpy(np.full((1, 11), np.nan))
    assert "finite" in refused(422, client.infer, "house-price", [tensor])
    refused(404, client.infer, "nobody", [tensor])
    refused(404, client.infer, "house-price", [tensor], model_version="9")


def repository():
    index = {(entry["name"], entry.get("version")): entry for entry in client.get_model_repository_index()}
    assert index[("iris", "1")]["state"] == "READY", index
    client.unload_model("iris")
    tensor = triton.InferInput("measurements", [1, 4], "FP64")
    tensor.set_data_from_numpy(np.array([[5.1, 3.5, 1.4, 0.2]]))
    refused(503, client.infer, "iris", [tensor])
    assert not client.is_model_ready("iris")
    client.load_model("iris")
    assert client.infer("iris", [tensor]).as_numpy("label")[0] == b"setosa"
    refused(404, client.load_model, "nobody")
    refused(404, client.unload_model, "nobody")


def generate(path, body):
    """The response to a request of the generate extension, for which Triton has no client."""
    connection = http.client.HTTPConnection(ADDRESS)
    connection.request("POST", f"/v2/models/{path}", json.dumps(body), {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    return response


def answers_in_parts():
    body = {"text_input": "Hello", "parameters": {"max_tokens": 40, "seed": 1}}
    events = list(sseclient.SSEClient(generate("chat/generate_stream", body)).events())
    parts = [json.loads(event.data) for event in events]
    assert len(parts) > 1 and all(event.event == "message" for event in events), events
    assert all(part["model_name"] == "chat" and part["model_version"] == "1" for part in parts), parts
    text = "".join(part["text_output"] for part in parts)
    assert json.load(generate("chat/generate", body))["text_output"] == text, text
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Hello"], dtype=object))
    whole = client.infer("chat", [tensor], parameters=body["parameters"]).as_numpy("text_output")
    assert whole[0].decode() == text, whole
    [only] = sseclient.SSEClient(generate("upper/generate_stream", {"text": "grüße"})).events()
    assert json.loads(only.data)["text"] == "GRÜSSE", only.data


for check in (
    health_and_metadata,
    golden_requests,
    texts,
    many_at_once,
    wrong_requests,
    answers_in_parts,
    repository,
):
    check()
    print(f"{check.__name__}: ok")
