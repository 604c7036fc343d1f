"""Every method of NVIDIA's tritonclient.http.aio.

usage: triton_aio.py HOST:PORT

Expects the example models house-price, iris and upper, all serving.
"""

import asyncio
import pathlib
import sys

import aiohttp
import numpy as np
import tritonclient.http.aio as triton
from tritonclient.http import InferenceServerClientPlugin

import checks

ADDRESS = sys.argv[1]


def check(function):
    """Turns a coroutine that takes a client into a check."""

    def run():
        async def with_client():
            async with triton.InferenceServerClient(ADDRESS) as client:
                await function(client)

        asyncio.run(with_client())

    run.__name__ = function.__name__
    return run


async def refused(status, call, *arguments, **keywords):
    """Checks that a call is refused with this status, and returns the text."""
    try:
        await call(*arguments, **keywords)
    except triton.InferenceServerException as error:
        assert str(error.status()) == str(status), f"{error.status()}: {error}"
        return error.message()
    raise AssertionError(f"{call.__name__} should have been refused with {status}")


def iris_input(rows=1, binary=True):
    tensor = triton.InferInput("measurements", [rows, 4], "FP64")
    tensor.set_data_from_numpy(np.tile(np.array([[5.1, 3.5, 1.4, 0.2]]), (rows, 1)), binary_data=binary)
    return tensor


@check
async def health_and_metadata(client):
    assert await client.is_server_live() and await client.is_server_ready()
    assert await client.is_model_ready("iris", "1") and not await client.is_model_ready("nobody")
    assert (await client.get_server_metadata())["name"] == "wardian"
    assert (await client.get_model_metadata("iris"))["versions"] == ["1"]
    config = await client.get_model_config("iris")
    [label, probabilities] = config["output"]
    assert label["dims"] == [1] and label["reshape"] == {"shape": []}, label
    assert probabilities["dims"] == [3], probabilities


@check
async def inference(client):
    for binary in (True, False):
        for compression in (None, "gzip", "deflate"):
            outputs = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("label", "probabilities")]
            answer = await client.infer(
                "iris",
                [iris_input(3, binary)],
                outputs=outputs,
                request_id="mine",
                priority=1,
                timeout=10_000_000,
                headers={"X-Request-Id": "mine"},
                query_params={"a": "b"},
                request_compression_algorithm=compression,
                response_compression_algorithm=compression,
                parameters={"mine": 1},
            )
            assert answer.get_response()["id"] == "mine"
            labels = [text if isinstance(text, str) else text.decode() for text in answer.as_numpy("label")]
            assert labels == ["setosa"] * 3, labels


@check
async def many_at_once(client):
    asked = [client.infer("house-price", [features(rows)]) for rows in range(1, 65)]
    for rows, answer in enumerate(await asyncio.gather(*asked), 1):
        prices = answer.as_numpy("price")
        assert prices.shape == (rows, 1) and np.all(prices == prices[0]), prices


def features(rows):
    values = np.tile(np.array([[5850, 3, 1, 2, 1, 0, 1, 0, 0, 1, 0]], dtype=np.float64), (rows, 1))
    tensor = triton.InferInput("features", list(values.shape), "FP64")
    tensor.set_data_from_numpy(values)
    return tensor


@check
async def bodies_made_apart(client):
    body, json_length = client.generate_request_body([iris_input(2)])
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(json_length)}
    async with aiohttp.ClientSession() as session:
        url = f"http://{ADDRESS}/v2/models/iris/infer"
        async with session.post(url, data=body, headers=headers) as response:
            assert response.status == 200, await response.text()
            json_length = int(response.headers["Inference-Header-Content-Length"])
            answer = client.parse_response_body(await response.read(), header_length=json_length)
    assert answer.as_numpy("probabilities").shape == (2, 3)


@check
async def repository(client):
    index = {(entry["name"], entry.get("version")): entry for entry in await client.get_model_repository_index()}
    assert index[("iris", "1")]["state"] == "READY", index
    await client.unload_model("iris")
    await refused(503, client.infer, "iris", [iris_input()])
    await client.load_model("iris")
    assert (await client.infer("iris", [iris_input()])).as_numpy("label")[0] == b"setosa"
    await refused(404, client.load_model, "nobody")
    await refused(400, client.load_model, "iris", config="{}")


@check
async def statistics(client):
    [before] = (await client.get_inference_statistics("upper"))["model_stats"]
    text = triton.InferInput("text", [7], "BYTES")
    text.set_data_from_numpy(np.array(["a"] * 7, dtype=object))
    await client.infer("upper", [text])
    [after] = (await client.get_inference_statistics("upper"))["model_stats"]
    assert after["inference_count"] - before["inference_count"] == 7, (before, after)
    assert after["execution_count"] - before["execution_count"] == 1, (before, after)


@check
async def plugins(client):
    class Deadline(InferenceServerClientPlugin):
        def __call__(self, request):
            request.headers["Wardian-Deadline-Ms"] = "soon"

    plugin = Deadline()
    client.register_plugin(plugin)
    assert client.plugin() is plugin
    assert "Wardian-Deadline-Ms" in await refused(400, client.infer, "iris", [iris_input()])
    client.unregister_plugin()
    await client.infer("iris", [iris_input()])


@check
async def extensions_that_are_not_offered(client):
    for call, *arguments in (
        (client.get_trace_settings,),
        (client.update_trace_settings, "iris", {"trace_level": ["OFF"]}),
        (client.get_log_settings,),
        (client.update_log_settings, {"log_info": False}),
        (client.get_system_shared_memory_status,),
        (client.register_system_shared_memory, "region", "/region", 64),
        (client.unregister_system_shared_memory, "region"),
        (client.get_cuda_shared_memory_status,),
        (client.register_cuda_shared_memory, "region", b"handle", 0, 64),
        (client.unregister_cuda_shared_memory, "region"),
    ):
        assert "path" in await refused(404, call, *arguments), call.__name__


@check
async def every_method(client):
    """Fails when a new version of the client has a method that no check here calls."""
    source = pathlib.Path(__file__).read_text()
    public = [name for name in dir(client) if not name.startswith("_")]
    missing = [name for name in public if name != "close" and f".{name}" not in source]
    assert len(public) == 27 and not missing, (len(public), missing)
    # The client's context manager calls it too.
    await client.close()


checks.run(
    health_and_metadata,
    inference,
    many_at_once,
    bodies_made_apart,
    repository,
    statistics,
    plugins,
    extensions_that_are_not_offered,
    every_method,
)
