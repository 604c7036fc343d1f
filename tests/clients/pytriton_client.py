"""PyTriton's clients: they read a model's configuration and request every output in it.

usage: pytriton_client.py HOST:PORT

Expects the example models, all serving.
"""

import asyncio
import sys

import numpy as np
from pytriton.client import AsyncioModelClient, FuturesModelClient, ModelClient
from pytriton.client.exceptions import PyTritonClientInferenceServerError, PyTritonClientTimeoutError

import checks

URL = f"http://{sys.argv[1]}"
IRIS = np.array([[5.1, 3.5, 1.4, 0.2]])


def batches():
    with ModelClient(URL, "iris") as client:
        assert client.model_config.max_batch_size == 1024, client.model_config
        answer = client.infer_batch(np.tile(IRIS, (3, 1)))
        assert answer["label"].shape[0] == 3 and set(answer["label"].flatten()) == {b"setosa"}, answer
        assert answer["probabilities"].shape == (3, 3), answer
        answer = client.infer_batch(measurements=IRIS, parameters={"mine": 1}, headers={"X-Request-Id": "mine"})
        assert answer["probabilities"].shape == (1, 3), answer


def samples():
    """A sample of a scalar has the shape [1] here, and a batch of them the shape [N, 1]."""
    with ModelClient(URL, "iris") as client:
        answer = client.infer_sample(measurements=IRIS[0])
        assert answer["probabilities"].shape == (3,), answer
    with ModelClient(URL, "upper") as client:
        for text in (np.array([b"glass"]), np.array(["glass".encode()], dtype=object)):
            answer = client.infer_sample(text=text)
            assert np.asarray(answer["text"]).item() == b"GLASS", answer
        answer = client.infer_batch(text=np.array([[b"glass"], [b"case"]]))
        assert list(answer["text"].flatten()) == [b"GLASS", b"CASE"], answer


def every_example():
    """The inputs of each model, built from its configuration."""
    special = {"chat": {"text_input": np.array([b"Hello"])}, "notes": {"action": np.array([b"list"])}}
    for name in ("chat", "digits", "digits-wide", "house-price", "iris", "language-id", "learner", "notes", "upper"):
        with ModelClient(URL, name) as client:
            config = client.model_config
            inputs = special.get(name)
            if inputs is None:
                inputs = {spec.name: zeros(spec, name) for spec in config.inputs if not spec.optional}
            ask = client.infer_batch if config.max_batch_size else client.infer_sample
            answer = ask(**inputs, parameters={"max_tokens": 5} if name == "chat" else None)
            assert answer, (name, answer)


def zeros(spec, name):
    """A batch of two; the one model without batches accepts any number of rows."""
    sizes = [2 if size < 0 else size for size in spec.shape]
    batch = [] if name == "learner" else [2]
    if spec.dtype in (np.bytes_, object, np.object_, bytes):
        return np.full(batch + sizes, b"glass", dtype=object)
    return np.zeros(batch + sizes, dtype=spec.dtype)


def futures():
    with FuturesModelClient(URL, "iris", max_workers=4) as client:
        pending = [client.infer_batch(np.tile(IRIS, (rows, 1))) for rows in range(1, 33)]
        for rows, future in enumerate(pending, 1):
            assert future.result()["probabilities"].shape == (rows, 3)


def coroutines():
    async def ask():
        async with AsyncioModelClient(URL, "iris") as client:
            answer = await client.infer_sample(IRIS[0])
            assert answer["probabilities"].shape == (3,), answer
            asked = [client.infer_batch(IRIS) for _ in range(16)]
            assert all(answer["label"].size == 1 for answer in await asyncio.gather(*asked))

    asyncio.run(ask())


def refusals():
    try:
        with ModelClient(URL, "nobody", init_timeout_s=1) as client:
            client.infer_batch(IRIS)
        raise AssertionError("there is no such model")
    except PyTritonClientTimeoutError:
        # It retries, because the model may still be loaded.
        pass
    with ModelClient(URL, "house-price") as client:
        try:
            client.infer_batch(np.full((1, 11), np.nan))
            raise AssertionError("the model refuses what is not finite")
        except PyTritonClientInferenceServerError as error:
            assert "finite" in str(error), error


checks.run(batches, samples, every_example, futures, coroutines, refusals)
