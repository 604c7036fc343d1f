"""A server of the protocol with one model, for tests of the client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from wardian.tensors import Tensor

Model = Callable[[dict[str, Tensor]], list[Tensor]]


class FakeServer:
    """Serves ``model`` as the model ``m``; keeps the requests that it gets.

    Attributes:
        metadata: The answer of the route for the metadata.
        config: The answer of the route for the configuration.
        version: The version that answers.
        requests: Method, path, headers and body of each request.
        refusal: Status, body and headers with which the next inference or upload is refused.
        close_after_answer: True if connections end without a word, as idle ones do.
    """

    def __init__(self, model: Model, inputs: list[dict], outputs: list[dict], **properties: str):
        self.model = model
        self.metadata: dict[str, Any] = {
            "name": "m", "versions": ["1"], "platform": "wardian",
            "inputs": inputs, "outputs": outputs, "properties": properties,
        }  # fmt: skip
        self.config: dict[str, Any] = {"max_batch_size": 4}
        self.version = "1"
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.refusal: tuple[int, Any, dict[str, str]] | None = None
        self.close_after_answer = False

    def __enter__(self) -> FakeServer:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def paths(self, method: str) -> list[str]:
        return [path for used, path, _, _ in self.requests if used == method]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._remember(b"")
        if self.path.endswith("/config"):
            self._answer(200, self.fake.config)
        elif self.path.endswith("/v2/models"):
            self._answer(200, {"models": ["m"]})
        else:
            self._answer(200, self.fake.metadata)

    def do_PUT(self) -> None:
        self._remember(self._body())
        name, version = self.path.split("/")[-3], self.path.split("/")[-1]
        if self.fake.refusal is not None:
            self._answer(*self.fake.refusal)
            return
        verdict = {"name": name, "version": version, "digest": "d", "state": "READY", "reason": ""}
        self._answer(201, verdict)

    def do_POST(self) -> None:
        body = self._body()
        self._remember(body)
        if self.path.endswith("/index"):
            numbers = (1, 9)
            self._answer(200, [{"name": "m", "version": str(number)} for number in numbers])
        elif self.fake.refusal is not None:
            refusal, self.fake.refusal = self.fake.refusal, None
            self._answer(*refusal)
        else:
            self._infer(body)

    def _infer(self, body: bytes) -> None:
        at = int(self.headers["Inference-Header-Content-Length"])
        document = json.loads(body[:at])
        inputs = {}
        for given in document["inputs"]:
            size = given["parameters"]["binary_data_size"]
            raw = body[at : at + size]
            at += size
            shape = tuple(given["shape"])
            inputs[given["name"]] = Tensor(given["name"], given["datatype"], shape, raw)
        wanted = [output["name"] for output in document.get("outputs", [])]
        outputs = [
            tensor for tensor in self.fake.model(inputs) if not wanted or tensor.name in wanted
        ]
        described = [
            {
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": list(tensor.shape),
                "parameters": {"binary_data_size": len(tensor.raw)},
            }
            for tensor in outputs
        ]
        answer = {"model_name": "m", "model_version": self.fake.version, "outputs": described}
        head = json.dumps(answer).encode()
        content = head + b"".join(tensor.raw for tensor in outputs)
        self._send(200, content, {"Inference-Header-Content-Length": str(len(head))})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _remember(self, body: bytes) -> None:
        self.fake.requests.append((self.command, self.path, dict(self.headers), body))

    def _answer(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self._send(status, content, headers or {})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        if self.fake.close_after_answer:
            self.close_connection = True
