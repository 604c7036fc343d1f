"""Every method of NVIDIA's tritonclient.grpc, alone and with asyncio.

usage: triton_grpc.py HOST:PORT GUEST_MODELS_FOLDER

Expects the example models chat, house-price, iris and upper, all serving.
"""

import asyncio
import json
import pathlib
import queue
import sys
import time

import grpc
import numpy as np
import tritonclient.grpc as triton
import tritonclient.grpc.aio as triton_aio
from tritonclient.grpc import service_pb2

import checks

ADDRESS, MODELS = sys.argv[1], pathlib.Path(sys.argv[2])
client = triton.InferenceServerClient(ADDRESS)
IRIS = np.array([[5.1, 3.5, 1.4, 0.2]])


def refused(status, call, *arguments, **keywords):
    """Checks that a call is refused with this status, and returns the text."""
    try:
        call(*arguments, **keywords)
    except triton.InferenceServerException as error:
        assert error.status() == f"StatusCode.{status}", f"{error.status()}: {error}"
        return error.message()
    raise AssertionError(f"{call.__name__} should have been refused with {status}")


def iris_input(rows=1):
    tensor = triton.InferInput("measurements", [rows, 4], "FP64")
    tensor.set_data_from_numpy(np.tile(IRIS, (rows, 1)))
    return tensor


def text_input(name, *texts):
    tensor = triton.InferInput(name, [len(texts)], "BYTES")
    tensor.set_data_from_numpy(np.array(texts, dtype=np.object_))
    return tensor


def health_and_metadata():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("iris") and client.is_model_ready("iris", "1")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("iris", "77")
    server = client.get_server_metadata()
    assert server.name == "wardian" and "binary_tensor_data" in server.extensions, server
    iris = client.get_model_metadata("iris")
    assert list(iris.versions) == ["1"] and iris.platform, iris
    assert [(output.datatype, list(output.shape)) for output in iris.outputs] == [("BYTES", [-1]), ("FP64", [-1, 3])]
    assert client.get_model_metadata("iris", "1", as_json=True)["inputs"][0]["name"] == "measurements"
    config = client.get_model_config("house-price").config
    assert (config.name, config.max_batch_size, config.backend) == ("house-price", 1024, "wardian"), config
    assert config.input[0].data_type == 12 and list(config.input[0].dims) == [11], config
    assert config.version_policy.latest.num_versions == 1, config
    assert not config.model_transaction_policy.decoupled
    assert client.get_model_config("chat").config.model_transaction_policy.decoupled
    [texts] = client.get_model_config("upper").config.input
    assert list(texts.dims) == [1] and not texts.reshape.shape and texts.data_type == 13, texts
    assert "iris" in refused("NOT_FOUND", client.get_model_metadata, "irs")


def golden_requests():
    """The predictions of the library in which house-price was trained, raw and typed."""
    golden = json.loads((MODELS / "house-price" / "golden.json").read_text())
    for case in golden["cases"]:
        [given], [wanted] = case["request"]["inputs"], case["response"]["outputs"]
        features = np.array(given["data"], dtype=np.float64).reshape(given["shape"])
        prices = np.array(wanted["data"], dtype=np.float64).reshape(wanted["shape"])
        tensor = triton.InferInput("features", list(features.shape), "FP64")
        tensor.set_data_from_numpy(features)
        output = triton.InferRequestedOutput("price")
        answer = client.infer("house-price", [tensor], outputs=[output], request_id="a name")
        np.testing.assert_allclose(answer.as_numpy("price"), prices, rtol=golden["tolerance"]["relative"])
        assert answer.get_response().id == "a name" and answer.get_response().raw_output_contents

        request = service_pb2.ModelInferRequest(model_name="house-price")
        typed = request.inputs.add(name="features", datatype="FP64", shape=features.shape)
        typed.contents.fp64_contents.extend(features.ravel())
        answer = stub().ModelInfer(request)
        assert not answer.raw_output_contents and answer.id == "", answer
        given = np.array(answer.outputs[0].contents.fp64_contents).reshape(prices.shape)
        np.testing.assert_allclose(given, prices, rtol=golden["tolerance"]["relative"])


def stub():
    return client._client_stub


def texts():
    """BYTES in both directions, with every compression of the client."""
    given = ["light goes in", "nothing gets out", "grüße", "", "x" * 6_000_000]
    for compression in (None, "gzip", "deflate"):
        answer = client.infer(
            "upper",
            [text_input("text", *given)],
            compression_algorithm=compression,
            timeout=20_000_000,
            headers={"x-request-id": "mine"},
        )
        upper = [text if isinstance(text, str) else text.decode() for text in answer.as_numpy("text")]
        assert upper == [text.upper() for text in given], compression


def many_at_once():
    features = np.tile(np.array([[5850, 3, 1, 2, 1, 0, 1, 0, 0, 1, 0]], dtype=np.float64), (1000, 1))
    tensor = triton.InferInput("features", list(features.shape), "FP64")
    tensor.set_data_from_numpy(features)
    answers = queue.Queue()
    for _ in range(200):
        client.async_infer("house-price", [tensor], lambda result, error: answers.put((result, error)))
    for _ in range(200):
        result, error = answers.get(timeout=60)
        assert error is None, error
        prices = result.as_numpy("price")
        assert prices.shape == (1000, 1) and np.all(prices == prices[0]), prices


def wrong_requests():
    tensor = triton.InferInput("features", [1, 3], "FP64")
    tensor.set_data_from_numpy(np.zeros((1, 3)))
    assert "shape" in refused("INVALID_ARGUMENT", client.infer, "house-price", [tensor])
    tensor = triton.InferInput("features", [1, 11], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 11), dtype=np.float32))
    assert "FP64" in refused("INVALID_ARGUMENT", client.infer, "house-price", [tensor])
    tensor = triton.InferInput("features", [1, 11], "FP64")
    tensor.set_data_from_numpy(np.full((1, 11), np.nan))
    assert "finite" in refused("INVALID_ARGUMENT", client.infer, "house-price", [tensor])
    refused("NOT_FOUND", client.infer, "nobody", [tensor])
    assert "77" in refused("NOT_FOUND", client.infer, "house-price", [tensor], model_version="77")
    assert "mödel" in refused("NOT_FOUND", client.infer, "mödel", [tensor])
    assert "b%41" in refused("NOT_FOUND", client.infer, "a\nb%41", [tensor])
    refused("NOT_FOUND", client.get_model_metadata, "a\nb%41/../iris")


def repository():
    index = {(entry.name, entry.version): entry for entry in client.get_model_repository_index().models}
    assert index[("iris", "1")].state == "READY", index
    client.unload_model("iris")
    assert "iris" in refused("UNAVAILABLE", client.infer, "iris", [iris_input()])
    assert not client.is_model_ready("iris")
    client.load_model("iris")
    assert client.infer("iris", [iris_input()]).as_numpy("label")[0] == b"setosa"
    refused("NOT_FOUND", client.load_model, "nobody")
    refused("NOT_FOUND", client.unload_model, "nobody")
    assert "repository" in refused("INVALID_ARGUMENT", client.load_model, "iris", config="{}")
    refused("RESOURCE_EXHAUSTED", client.load_model, "iris", config="{}", files={"file:1/model.wasm": bytes(3_000_000)})
    client.unload_model("upper", unload_dependents=True)
    client.load_model("upper")
    assert client.is_model_ready("upper")


def statistics():
    """One request of five rows is one execution and five inferences."""

    def counted():
        [iris] = client.get_inference_statistics("iris", "1").model_stats
        assert (iris.name, iris.version) == ("iris", "1"), iris
        return iris

    before = counted()
    client.infer("iris", [iris_input(5)])
    after = counted()
    assert after.inference_count - before.inference_count == 5, (before, after)
    assert after.execution_count - before.execution_count == 1, (before, after)
    assert after.inference_stats.success.count - before.inference_stats.success.count == 1, (before, after)
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    assert after.batch_stats and after.last_inference >= before.last_inference > 0
    names = {model.name for model in client.get_inference_statistics().model_stats}
    assert {"iris", "house-price", "upper", "chat"} <= names, names


def sequences():
    """A sequence id is an unsigned 64-bit number or a text."""
    for sequence in (1, 2**63 - 1, "mine"):
        for start, end in ((True, False), (False, True)):
            answer = client.infer(
                "chat",
                [text_input("text_input", "Hello")],
                sequence_id=sequence,
                sequence_start=start,
                sequence_end=end,
                parameters={"max_tokens": 5},
            )
            assert answer.as_numpy("text_output").shape == (1,), answer.get_response()


def timeouts_and_cancellation():
    """The parameter `timeout` is in microseconds; the client's own timeout reaches the server."""
    hello = [text_input("text_input", "Hello")]
    long = {"max_tokens": 1000}
    text = refused("DEADLINE_EXCEEDED", client.infer, "chat", hello, timeout=5, parameters=long)
    assert "timeout" in text and "microseconds" in text, text
    started = time.monotonic()
    refused("DEADLINE_EXCEEDED", client.infer, "chat", hello, client_timeout=0.02, parameters=long)
    assert time.monotonic() - started < 5
    answers = queue.Queue()
    call = client.async_infer("chat", hello, lambda result, error: answers.put(error), parameters=long)
    call.cancel()
    error = answers.get(timeout=10)
    assert "CANCELLED" in str(error.status()) or "Locally cancelled" in error.message(), error
    assert client.infer("iris", [iris_input()], priority=1, timeout=10_000_000).as_numpy("label")[0] == b"setosa"


def stream_of(responses, client_=None, **keywords):
    client_ = client_ or client
    client_.start_stream(lambda result, error: responses.put((result, error)), **keywords)
    return client_


def answers_in_parts():
    """Every request of a stream has a last response if it asks for one."""
    responses = queue.Queue()
    stream_of(responses)
    parameters = {"max_tokens": 40, "seed": 1}
    for number in (1, 2):
        client.async_stream_infer(
            "chat",
            [text_input("text_input", "Hello")],
            request_id=str(number),
            parameters=parameters,
            enable_empty_final_response=True,
        )
    told = {}
    for number in ("1", "2"):
        parts = []
        while True:
            result, error = responses.get(timeout=60)
            assert error is None, error
            response = result.get_response()
            assert response.id == number and response.model_name == "chat", response
            if response.parameters["triton_final_response"].bool_param:
                assert not response.outputs
                break
            parts.append(result.as_numpy("text_output")[0].decode())
        assert len(parts) > 1, parts
        told[number] = "".join(parts)
    client.async_stream_infer("iris", [iris_input()], request_id="3", enable_empty_final_response=True)
    result, error = responses.get(timeout=60)
    assert error is None and result.as_numpy("label")[0] == b"setosa"
    assert result.get_response().parameters["triton_final_response"].bool_param
    client.async_stream_infer("iris", [iris_input()], request_id="4")
    result, error = responses.get(timeout=60)
    assert error is None and not result.get_response().parameters
    client.stop_stream()
    assert responses.empty() and told["1"] == told["2"], told
    whole = client.infer("chat", [text_input("text_input", "Hello")], parameters=parameters).as_numpy("text_output")
    assert whole[0].decode() == told["1"], whole


def errors_in_streams():
    """An error ends its request and not the stream, unless the client asks for statuses."""
    responses = queue.Queue()
    stream_of(responses)
    client.async_stream_infer("nobody", [iris_input()], request_id="1")
    result, error = responses.get(timeout=60)
    assert result is None and "nobody" in error.message(), error
    client.async_stream_infer("iris", [text_input("measurements", "x")], request_id="2")
    result, error = responses.get(timeout=60)
    assert result is None and "FP64" in error.message(), error
    client.async_stream_infer("iris", [iris_input()], request_id="3")
    result, error = responses.get(timeout=60)
    assert error is None and result.get_response().id == "3"
    client.stop_stream()

    stream_of(responses, headers={"triton_grpc_error": "true"})
    client.async_stream_infer("nobody", [iris_input()])
    result, error = responses.get(timeout=60)
    assert result is None and error.status() == "StatusCode.NOT_FOUND", error
    client.stop_stream()


def cancelled_streams():
    responses = queue.Queue()
    stream_of(responses)
    client.async_stream_infer(
        "chat", [text_input("text_input", "Hello")], request_id="1", parameters={"max_tokens": 1000}
    )
    result, error = responses.get(timeout=60)
    assert error is None, error
    client.stop_stream(cancel_requests=True)

    stream_of(responses := queue.Queue(), stream_timeout=0.5)
    client.async_stream_infer(
        "chat", [text_input("text_input", "Hello")], request_id="1", parameters={"max_tokens": 1000}
    )
    while (answer := responses.get(timeout=60))[1] is None:
        pass
    assert answer[1].status() == "StatusCode.DEADLINE_EXCEEDED", answer
    client.stop_stream()
    assert client.infer("iris", [iris_input()]).as_numpy("label")[0] == b"setosa"


def asynchronous_client():
    async def calls():
        async with triton_aio.InferenceServerClient(ADDRESS) as other:
            assert await other.is_server_live() and await other.is_model_ready("iris")
            assert (await other.get_model_metadata("iris")).name == "iris"
            answers = await asyncio.gather(*(other.infer("iris", [iris_input()]) for _ in range(50)))
            assert all(answer.as_numpy("label")[0] == b"setosa" for answer in answers)

            async def requests():
                for number in (1, 2):
                    yield {
                        "model_name": "chat",
                        "inputs": [text_input("text_input", "Hello")],
                        "request_id": str(number),
                        "parameters": {"max_tokens": 10, "seed": 1},
                    }

            texts = {"1": "", "2": ""}
            async for result, error in other.stream_infer(requests()):
                assert error is None, error
                texts[result.get_response().id] += result.as_numpy("text_output")[0].decode()
            assert texts["1"] and texts["1"] == texts["2"], texts

            call = other.stream_infer(requests())
            await anext(call)
            assert call.cancel()

    asyncio.run(calls())


def classification():
    """The largest elements with their labels."""
    outputs = [triton.InferRequestedOutput("probabilities", class_count=2), triton.InferRequestedOutput("label")]
    answer = client.infer("iris", [iris_input(3)], outputs=outputs)
    found = answer.as_numpy("probabilities")
    assert found.shape == (3, 2) and list(answer.as_numpy("label")) == [b"setosa"] * 3, found
    for row in found:
        first, second = [text.decode().split(":") for text in row]
        assert first[1:] == ["0", "setosa"] and second[1:] == ["1", "versicolor"], row
        assert 1 > float(first[0]) > float(second[0]) > 0, row
    texts = triton.InferRequestedOutput("label", class_count=1)
    assert "BYTES" in refused("INVALID_ARGUMENT", client.infer, "iris", [iris_input()], outputs=[texts])


def extensions_that_are_not_offered():
    for call, *arguments in (
        (client.get_trace_settings,),
        (client.update_trace_settings, "iris", {"trace_level": ["OFF"]}),
        (client.get_log_settings,),
        (client.update_log_settings, {"log_info": False}),
        (client.get_system_shared_memory_status,),
        (client.register_system_shared_memory, "region", "/region", 64),
        (client.unregister_system_shared_memory,),
        (client.get_cuda_shared_memory_status,),
        (client.register_cuda_shared_memory, "region", b"aGFuZGxl", 0, 64),
        (client.unregister_cuda_shared_memory,),
    ):
        assert "extensions" in refused("UNIMPLEMENTED", call, *arguments), call.__name__
    shared = triton.InferInput("measurements", [1, 4], "FP64")
    shared.set_shared_memory("region", 32)
    assert "shared memory" in refused("INVALID_ARGUMENT", client.infer, "iris", [shared])


def unknown_methods():
    """A method that does not exist is UNIMPLEMENTED, also on a service that does not exist."""
    with grpc.insecure_channel(ADDRESS) as channel:
        for path in ("/no.such.Service/Check", "/inference.GRPCInferenceService/Nothing", "/"):
            try:
                channel.unary_unary(path)(b"", timeout=10)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED and error.details(), error
                continue
            raise AssertionError(path)


checks.run(
    health_and_metadata,
    golden_requests,
    texts,
    many_at_once,
    wrong_requests,
    repository,
    statistics,
    sequences,
    timeouts_and_cancellation,
    answers_in_parts,
    errors_in_streams,
    cancelled_streams,
    asynchronous_client,
    classification,
    extensions_that_are_not_offered,
    unknown_methods,
)
