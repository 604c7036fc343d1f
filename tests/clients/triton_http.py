"""Every method of NVIDIA's tritonclient.http, and sseclient-py, which reads server-sent events.

usage: triton_http.py HOST:PORT GUEST_MODELS_FOLDER

Expects the example models chat, house-price, iris and upper, all serving.
"""

import http.client
import json
import pathlib
import sys

import numpy as np
import sseclient
import tritonclient.http as triton
from tritonclient.http import InferenceServerClientPlugin

import checks

ADDRESS, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
client = triton.InferenceServerClient(ADDRESS)


def refused(status, call, *arguments, **keywords):
    """Checks that a call is refused with this status, and returns the text."""
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
    """The predictions of the library in which house-price was trained, as JSON and as binary tensors."""
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
    """BYTES in both directions, with every compression of the client."""
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


def iris_input(rows=1, binary=True):
    tensor = triton.InferInput("measurements", [rows, 4], "FP64")
    tensor.set_data_from_numpy(np.tile(np.array([[5.1, 3.5, 1.4, 0.2]]), (rows, 1)), binary_data=binary)
    return tensor


def bodies_made_apart():
    """A body of the client, sent by other means, and a response that the client reads."""
    for binary in (True, False):
        outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
        body, json_length = triton.InferenceServerClient.generate_request_body(
            [iris_input(2, binary)], outputs, request_id="apart", parameters={"mine": 1}
        )
        headers = {"Content-Type": "application/octet-stream" if json_length else "application/json"}
        if json_length:
            headers["Inference-Header-Content-Length"] = str(json_length)
        connection = http.client.HTTPConnection(ADDRESS)
        connection.request("POST", "/v2/models/iris/infer", body, headers)
        response = connection.getresponse()
        json_length = response.getheader("Inference-Header-Content-Length")
        assert (json_length is not None) == binary, response.getheaders()
        answer = triton.InferenceServerClient.parse_response_body(
            response.read(), header_length=int(json_length) if json_length else None
        )
        assert answer.get_response()["id"] == "apart", answer.get_response()
        assert answer.as_numpy("probabilities").shape == (2, 3)


def empty_batches():
    answer = client.infer("iris", [iris_input(0)])
    assert answer.as_numpy("probabilities").shape == (0, 3), answer.get_response()
    assert answer.as_numpy("label").shape == (0,), answer.get_response()


def statistics():
    """One request of five rows is one execution and five inferences."""

    def counted():
        [iris] = client.get_inference_statistics("iris", "1")["model_stats"]
        assert (iris["name"], iris["version"]) == ("iris", "1"), iris
        return iris

    before = counted()
    client.infer("iris", [iris_input(5)])
    after = counted()
    assert after["inference_count"] - before["inference_count"] == 5, (before, after)
    assert after["execution_count"] - before["execution_count"] == 1, (before, after)
    for name in ("success", "queue", "compute_infer"):
        before_, after_ = before["inference_stats"][name], after["inference_stats"][name]
        assert after_["count"] - before_["count"] == 1, (name, before, after)
    assert after["last_inference"] >= before["last_inference"] > 0
    names = {model["name"] for model in client.get_inference_statistics()["model_stats"]}
    assert {"iris", "house-price", "upper", "chat"} <= names, names


def sequences():
    """A sequence id is an unsigned 64-bit number or a text."""
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Hello"], dtype=object))
    for sequence in (1, 2**63, 2**64 - 1, "mine"):
        for start, end in ((True, False), (False, True)):
            answer = client.infer(
                "chat",
                [tensor],
                sequence_id=sequence,
                sequence_start=start,
                sequence_end=end,
                parameters={"max_tokens": 5},
            )
            assert answer.as_numpy("text_output").shape == (1,), answer.get_response()


def short_timeouts():
    """The client's parameter `timeout` is in microseconds."""
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Hello"], dtype=object))
    text = refused(504, client.infer, "chat", [tensor], timeout=5, parameters={"max_tokens": 1000})
    assert "timeout" in text and "microseconds" in text, text
    answer = client.infer("iris", [iris_input()], priority=1, timeout=10_000_000)
    assert answer.as_numpy("label")[0] == b"setosa"


def outputs_that_are_optional():
    """Triton's clients request every output of the configuration."""
    tensor = triton.InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array(["Hello"], dtype=object))
    outputs = [triton.InferRequestedOutput(output["name"]) for output in client.get_model_config("chat")["output"]]
    assert len(outputs) == 5, outputs
    for _ in range(12):
        answer = client.infer("chat", [tensor], outputs=outputs, parameters={"max_tokens": 5})
        assert answer.as_numpy("text_output").shape == (1,) and answer.as_numpy("summary") is None
        assert answer.as_numpy("completion_tokens").tolist() == [5]
    assert client.is_model_ready("chat")


def plugins():
    class Deadline(InferenceServerClientPlugin):
        def __call__(self, request):
            request.headers["Wardian-Deadline-Ms"] = "soon"

    plugin = Deadline()
    client.register_plugin(plugin)
    assert client.plugin() is plugin
    assert "Wardian-Deadline-Ms" in refused(400, client.infer, "iris", [iris_input()])
    client.unregister_plugin()
    assert client.plugin() is None
    client.infer("iris", [iris_input()])


def loads_of_foreign_content():
    """Models and their settings come from the repository, and not with a command."""
    assert "repository" in refused(400, client.load_model, "iris", config="{}")
    assert "repository" in refused(400, client.load_model, "iris", config="{}", files={"file:1/model.wasm": b"x"})
    refused(413, client.load_model, "iris", config="{}", files={"file:1/model.wasm": bytes(30_000_000)})
    client.unload_model("upper", unload_dependents=True)
    client.load_model("upper")
    assert client.is_model_ready("upper")


def classification():
    """The largest elements with their labels, as JSON and as binary tensors, beside another output."""
    for binary in (True, False):
        outputs = [
            triton.InferRequestedOutput("probabilities", binary_data=binary, class_count=2),
            triton.InferRequestedOutput("label", binary_data=not binary),
        ]
        answer = client.infer("iris", [iris_input(3)], outputs=outputs)
        found = answer.as_numpy("probabilities")
        labels = [text if isinstance(text, bytes) else text.encode() for text in answer.as_numpy("label")]
        assert found.shape == (3, 2) and labels == [b"setosa"] * 3, (found, labels)
        for row in found:
            first, second = [text.decode().split(":") if isinstance(text, bytes) else text.split(":") for text in row]
            assert first[1:] == ["0", "setosa"] and second[1:] == ["1", "versicolor"], row
            assert 1 > float(first[0]) > float(second[0]) > 0, row
    many = triton.InferRequestedOutput("probabilities", class_count=50)
    assert client.infer("iris", [iris_input()], outputs=[many]).as_numpy("probabilities").shape == (1, 3)
    price = triton.InferRequestedOutput("price", class_count=1)
    features = triton.InferInput("features", [1, 11], "FP64")
    features.set_data_from_numpy(np.array([[5850, 3, 1, 2, 1, 0, 1, 0, 0, 1, 0]], dtype=np.float64))
    [[found]] = client.infer("house-price", [features], outputs=[price]).as_numpy("price")
    assert found.endswith(b":0") and float(found[:-2]) > 0, found
    texts = triton.InferRequestedOutput("label", class_count=1)
    assert "BYTES" in refused(400, client.infer, "iris", [iris_input()], outputs=[texts])


def extensions_that_are_not_offered():
    """Each extension is refused with a text, and none is announced."""
    announced = client.get_server_metadata()["extensions"]
    for name in ("system_shared_memory", "cuda_shared_memory", "trace", "logging"):
        assert name not in announced, announced
    for call, *arguments in (
        (client.get_trace_settings,),
        (client.get_trace_settings, "iris"),
        (client.update_trace_settings, None, {"trace_level": ["OFF"]}),
        (client.update_trace_settings, "iris", {"trace_level": ["OFF"]}),
        (client.get_log_settings,),
        (client.update_log_settings, {"log_info": False}),
        (client.get_system_shared_memory_status,),
        (client.register_system_shared_memory, "region", "/region", 64),
        (client.unregister_system_shared_memory,),
        (client.unregister_system_shared_memory, "region"),
        (client.get_cuda_shared_memory_status,),
        (client.register_cuda_shared_memory, "region", b"handle", 0, 64),
        (client.unregister_cuda_shared_memory,),
        (client.unregister_cuda_shared_memory, "region"),
    ):
        assert "path" in refused(404, call, *arguments), call.__name__
    shared = triton.InferInput("measurements", [1, 4], "FP64")
    shared.set_shared_memory("region", 32)
    assert "shared memory" in refused(400, client.infer, "iris", [shared])
    shared = triton.InferRequestedOutput("probabilities")
    shared.set_shared_memory("region", 24)
    assert "shared memory" in refused(400, client.infer, "iris", [iris_input()], outputs=[shared])


def every_method():
    """Fails when a new version of the client has a method that no check here calls."""
    source = pathlib.Path(__file__).read_text()
    public = [name for name in dir(triton.InferenceServerClient) if not name.startswith("_")]
    missing = [name for name in public if f".{name}" not in source]
    assert len(public) == 28 and not missing, (len(public), missing)


checks.run(
    health_and_metadata,
    golden_requests,
    texts,
    many_at_once,
    wrong_requests,
    answers_in_parts,
    repository,
    bodies_made_apart,
    empty_batches,
    statistics,
    sequences,
    short_timeouts,
    outputs_that_are_optional,
    plugins,
    loads_of_foreign_content,
    classification,
    extensions_that_are_not_offered,
    every_method,
)
client.close()
