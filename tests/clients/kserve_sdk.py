"""KServe's SDK with version 2 of the protocol over REST and gRPC, and the description of the messages.

usage: kserve_sdk.py HOST:PORT PROTO_FOLDER

Expects the example models house-price, iris and upper, all serving.
"""

import asyncio
import pathlib
import sys
import tempfile

import httpx
import numpy as np
from grpc_tools import protoc
from kserve import InferInput, InferRequest, InferenceGRPCClient, InferenceRESTClient, RESTConfig
from kserve.protocol.infer_type import RequestedOutput

import checks

URL = f"http://{sys.argv[1]}"
IRIS = np.array([[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]])


def check(function):
    """Turns a coroutine that takes a client into a check."""

    def run():
        async def with_client():
            async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
                await function(client)

        asyncio.run(with_client())

    run.__name__ = function.__name__
    return run


def iris(binary, **more):
    measurements = InferInput("measurements", list(IRIS.shape), "FP64")
    measurements.set_data_from_numpy(IRIS, binary_data=binary)
    return InferRequest(model_name="iris", infer_inputs=[measurements], **more)


@check
async def health(client):
    assert await client.is_server_live(URL) and await client.is_server_ready(URL)
    assert await client.is_model_ready(URL, "iris")
    assert not await client.is_model_ready(URL, "nobody")


@check
async def liveness_of_version_1(_client):
    """By default the client uses `/` to check that the server is alive."""
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_server_live(URL)


@check
async def predictions_of_version_1(_client):
    async with InferenceRESTClient(RESTConfig(protocol="v1")) as client:
        assert await client.is_model_ready(URL, "iris")
        answer = await client.infer(URL, {"instances": ["light", "glass"]}, model_name="upper")
        assert answer == {"predictions": ["LIGHT", "GLASS"]}, answer
        answer = await client.infer(URL, {"instances": IRIS.tolist()}, model_name="iris")
        assert [entry["label"] for entry in answer["predictions"]] == ["setosa", "virginica"], answer


@check
async def inference(client):
    for binary in (True, False):
        for binary_out in (True, False):
            names = ("probabilities", "label")
            outputs = [RequestedOutput(name, parameters={"binary_data": binary_out}) for name in names]
            request = iris(binary, request_id="mine", parameters={"mine": 1}, request_outputs=outputs)
            headers = {}
            answer = await client.infer(URL, request, model_name="iris", response_headers=headers)
            assert answer.id == "mine" and answer.model_name == "iris", answer
            assert ("inference-header-content-length" in headers) == binary_out, headers
            probabilities = answer.get_output_by_name("probabilities").as_numpy()
            assert probabilities.shape == (2, 3) and np.allclose(probabilities.sum(axis=1), 1), probabilities
            labels = answer.get_output_by_name("label").as_numpy()
            assert [label if isinstance(label, str) else label.decode() for label in labels] == ["setosa", "virginica"]


@check
async def plain_objects(client):
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["grüße", "glass"]}]}
    answer = await client.infer(URL, body, model_name="upper", headers={"X-Request-Id": "mine"})
    assert answer.outputs[0].data == ["GRÜSSE", "GLASS"], answer


@check
async def texts(client):
    given = InferInput("text", [2], "BYTES")
    for binary in (True, False):
        given.set_data_from_numpy(np.array([b"light", b"glass"], dtype=object), binary_data=binary)
        answer = await client.infer(URL, InferRequest(model_name="upper", infer_inputs=[given]), model_name="upper")
        texts = [text if isinstance(text, str) else text.decode() for text in answer.outputs[0].as_numpy()]
        assert texts == ["LIGHT", "GLASS"], texts


@check
async def many_at_once(client):
    asked = [client.infer(URL, iris(True), model_name="iris") for _ in range(64)]
    for answer in await asyncio.gather(*asked):
        assert answer.get_output_by_name("probabilities").as_numpy().shape == (2, 3)


@check
async def refusals(client):
    for model, status, words in (("nobody", 404, "nobody"), ("house-price", 400, "measurements")):
        try:
            await client.infer(URL, iris(True), model_name=model)
            raise AssertionError(f"{model} should have been refused")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == status and words in str(error), error


def inference_by_grpc():
    async def calls():
        client = InferenceGRPCClient(sys.argv[1])
        try:
            assert await client.is_server_live() and await client.is_server_ready()
            assert await client.is_model_ready("iris") and not await client.is_model_ready("nobody")
            for binary in (True, False):
                answer = await client.infer(iris(binary, request_id="mine"))
                assert answer.id == "mine" and answer.model_name == "iris", answer
                probabilities = answer.get_output_by_name("probabilities").as_numpy()
                assert probabilities.shape == (2, 3) and np.allclose(probabilities.sum(axis=1), 1), probabilities
        finally:
            await client.close()

    asyncio.run(calls())


def description_of_the_messages():
    """`inference.bin` is `inference.proto`, compiled."""
    folder = pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as out:
        compiled = pathlib.Path(out, "inference.bin")
        protoc.main(["", f"-I{folder}", f"--descriptor_set_out={compiled}", "inference.proto"])
        current = compiled.read_bytes() == (folder / "inference.bin").read_bytes()
    assert current, "compile it again: the command is at the beginning of inference.proto"


checks.run(
    health,
    liveness_of_version_1,
    predictions_of_version_1,
    inference,
    plain_objects,
    texts,
    many_at_once,
    refusals,
    inference_by_grpc,
    description_of_the_messages,
)
