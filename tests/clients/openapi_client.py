"""openapi-python-client: a client that is generated from `/openapi.json` without a warning, and works.

usage: openapi_client.py HOST:PORT KEY

Expects the example models chat, iris and upper, all serving for that key, which has every scope.
"""

import importlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

import checks

URL, KEY = f"http://{sys.argv[1]}", sys.argv[2]
FOLDER = tempfile.TemporaryDirectory()
# A generator that finds no formatter warns too.
PROGRAMS = {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}


def generated(name):
    """A module of the generated package."""
    return importlib.import_module(f"wardian_client.{name}")


def inference(name):
    return generated(f"api.inference.{name}")


def client():
    return generated("client").AuthenticatedClient(base_url=URL, token=KEY)


def generate():
    command = ["openapi-python-client", "generate", "--url", f"{URL}/openapi.json", "--fail-on-warning"]
    made = subprocess.run(
        [*command, "--output-path", FOLDER.name, "--overwrite"],
        env=PROGRAMS,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert made.returncode == 0 and "arning" not in made.stdout and "will not be" not in made.stdout, made.stdout
    sys.path.insert(0, FOLDER.name)


def every_operation():
    with urllib.request.urlopen(f"{URL}/openapi.json") as response:
        document = json.load(response)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) > 40
    for operation in operations:
        module = generated(f"api.{operation['tags'][0]}.{operation['operationId']}")
        assert module.sync_detailed and module.asyncio_detailed, operation


def infer():
    models = generated("models")
    tensor = models.InputTensor(
        name="measurements", datatype=models.InputTensorDatatype.FP64, shape=[1, 4], data=[5.1, 3.5, 1.4, 0.2]
    )
    body = models.InferRequest(inputs=[tensor], id="mine", outputs=[models.RequestedOutput(name="label")])
    answer = inference("infer").sync("iris", client=client(), body=body)
    [label] = answer.outputs
    assert (answer.id, answer.model_name, label.name, label.data) == ("mine", "iris", "label", ["setosa"]), answer
    answer = inference("infer_version").sync("iris", "1", client=client(), body=body)
    assert answer.outputs[0].shape == [1], answer
    nested = models.InputTensor.from_dict({**tensor.to_dict(), "shape": [2, 4], "data": [[5.1, 3.5, 1.4, 0.2]] * 2})
    answer = inference("infer").sync("iris", client=client(), body=models.InferRequest(inputs=[nested]))
    assert answer.outputs[0].shape == [2], answer


def infer_with_binary_tensors():
    text = b"\x05\x00\x00\x00glass"
    size = {"binary_data_size": len(text)}
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": size}
    head = json.dumps({"inputs": [tensor], "outputs": [{"name": "text"}]}).encode()
    body = generated("types").File(payload=io.BytesIO(head + text))
    answer = inference("infer").sync("upper", client=client(), body=body, inference_header_content_length=len(head))
    assert answer.outputs[0].data == ["GLASS"], answer


def generate_text():
    models = generated("models")
    body = models.GenerateRequest.from_dict({"text": "glass"})
    answer = inference("generate").sync("upper", client=client(), body=body)
    assert answer.model_name == "upper" and answer["text"] == "GLASS", answer
    body = models.GenerateRequest.from_dict({"text_input": "Hello", "parameters": {"max_tokens": 20, "seed": 1}})
    whole = inference("generate").sync("chat", client=client(), body=body)
    events = inference("generate_stream").sync_detailed("chat", client=client(), body=body)
    parts = [json.loads(line[6:]) for line in events.content.decode().splitlines() if line.startswith("data: ")]
    assert "".join(part["text_output"] for part in parts) == whole.text_output, (parts, whole)


def refusals():
    models = generated("models")
    refused = inference("infer").sync("nobody", client=client(), body=models.InferRequest(inputs=[]))
    assert isinstance(refused, models.Error) and refused.code == "model_not_found", refused
    refused = inference("infer").sync("upper", client=client(), body=models.InferRequest(inputs=[]))
    assert isinstance(refused, models.Error) and refused.code == "invalid_input", refused
    stranger = generated("client").AuthenticatedClient(base_url=URL, token="wrong")
    refused = generated("api.models.list_models").sync(client=stranger)
    assert isinstance(refused, models.Error) and refused.code == "unknown_key", refused


def uploads_and_values():
    """Bodies and answers of bytes."""
    file = generated("types").File
    types, tenant, repository = generated("models"), "api.tenant", "api.repository"
    body = file(payload=io.BytesIO(b"not a component"))
    refused = generated(f"{repository}.upload_version").sync("torn", "1", client=client(), body=body)
    assert isinstance(refused, types.Error) and refused.code == "load_failed", refused
    body = file(payload=io.BytesIO(b"\x00\xff"))
    kept = generated(f"{tenant}.set_value").sync("bucket", "key", client=client(), body=body)
    assert kept.size == 2, kept
    value = generated(f"{tenant}.get_value").sync("bucket", "key", client=client())
    assert value.payload.read() == b"\x00\xff"
    kept = generated(f"{tenant}.delete_value").sync("bucket", "key", client=client())
    assert kept.key == "key", kept


def repository():
    models, tag = generated("models"), "api.repository"
    index = generated(f"{tag}.repository_index").sync(client=client(), body=models.IndexRequest(ready=True))
    assert {"chat", "iris", "upper"} <= {entry.name for entry in index}, index
    for command in ("unload_model", "load_model"):
        answer = generated(f"{tag}.{command}").sync_detailed("iris", client=client())
        assert answer.status_code == 200, answer
    infer()


checks.run(
    generate,
    every_operation,
    infer,
    infer_with_binary_tensors,
    generate_text,
    refusals,
    uploads_and_values,
    repository,
)
