"""``wardian.Client``: asks models, with frames, arrays or lists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote

from . import wire
from .answers import give_back, give_back_probabilities
from .errors import Error
from .inputs import input_tensors
from .model_info import ModelInfo, row_bytes
from .tables import Table, table
from .tensors import Tensor
from .transport import Transport

# How often a request of several parts begins again, because another version took over meanwhile.
_ATTEMPTS = 3


class Client:
    """A client of one server. It may be shared by threads.

    Args:
        url: The server; ``$WARDIAN_URL`` or else ``http://127.0.0.1:8080``.
        key: The API key, if the server asks for one.
        timeout: Seconds that the server may be silent before a call fails.
    """

    def __init__(
        self, url: str | None = None, key: str | None = None, timeout: float = 60.0
    ) -> None:
        url = url or os.environ.get("WARDIAN_URL") or "http://127.0.0.1:8080"
        self._transport = Transport(url, key, timeout)
        self._known: dict[str, ModelInfo] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections. The client can be used again."""
        self._transport.close()

    # === Asking ===

    def predict(self, model: str, rows: Any, version: int | str | None = None) -> Any:
        """Asks a model for its predictions: of a classifier, the labels.

        Args:
            model: The model.
            rows: A frame, an array, a list of rows (lists or dictionaries), a dictionary of
                columns, or a list of texts. Columns with names are given to the model by name,
                other ones by position.
            version: The version; by default the newest that serves.

        Returns:
            A series for a frame, with its index; an array for an array; otherwise a list. A model
            with several outputs of which none is the prediction gives a dictionary of them.

        Raises:
            Error: if the server refuses, with its status and text.
            ValueError: if the rows do not fit the model.
        """
        given = table(rows)
        info, tensors = self._ask(model, given, version, lambda info: info.prediction())
        output = info.prediction()
        if output is not None:
            return give_back(tensors[output], given, output)
        return {name: give_back(tensor, given, name) for name, tensor in tensors.items()}

    def predict_proba(self, model: str, rows: Any, version: int | str | None = None) -> Any:
        """Asks a classifier for the probability of each class.

        Returns:
            A frame for a frame, with its index and the classes as columns; an array for an array;
            otherwise a list of lists.

        Raises:
            Error: if the server refuses, with its status and text.
            ValueError: if the rows do not fit the model, or it has no probabilities.
        """
        given = table(rows)
        info, tensors = self._ask(model, given, version, _probabilities)
        return give_back_probabilities(tensors[_probabilities(info)], given, info.classes)

    def infer(
        self,
        model: str,
        inputs: Mapping[str, Any] | Sequence[Tensor],
        outputs: Sequence[str] = (),
        version: int | str | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Asks a model with tensors, as they are.

        Args:
            model: The model.
            inputs: The inputs: numpy arrays by name, or tensors.
            outputs: The names of the wanted outputs; all by default.
            version: The version; by default the newest that serves.
            parameters: Parameters of the request.

        Returns:
            A numpy array for each output.
        """
        tensors = (
            self._typed(model, version, inputs) if isinstance(inputs, Mapping) else list(inputs)
        )
        _, found = self._infer(model, version, tensors, outputs, parameters)
        return {name: tensor.numpy() for name, tensor in found.items()}

    # === Models ===

    def models(self) -> list[str]:
        """Returns the names of the models, serving or not."""
        return self._transport.send("GET", "/v2/models").json()["models"]

    def metadata(self, model: str, version: int | str | None = None) -> ModelInfo:
        """Returns what a model declares."""
        path = _path(model, version)
        metadata = self._transport.send("GET", path).json()
        config = self._transport.send("GET", f"{path}/config").json()
        return ModelInfo.from_json(metadata, config)

    def index(self) -> list[dict[str, Any]]:
        """Returns every version with its ``name``, ``version``, ``state`` and ``reason``."""
        return self._transport.send("POST", "/v2/repository/index").json()

    def is_ready(self, model: str) -> bool:
        """True if the model serves."""
        try:
            self._transport.send("GET", f"{_path(model, None)}/ready")
        except Error as error:
            if error.status in (404, 503):
                return False
            raise
        return True

    def load(self, model: str) -> None:
        """Looks at the repository now, and waits until the model serves.

        Raises:
            Error: if it cannot serve, with the reason.
        """
        path = f"/v2/repository/models/{quote(model, safe='')}/load"
        self._transport.send("POST", path, timeout=600)

    def upload(
        self,
        model: str,
        version: int | str,
        content: bytes,
        content_type: str = "application/octet-stream",
        timeout: float = 600.0,
    ) -> dict[str, Any]:
        """Uploads a version: a component, a model file, or a tar of a version's folder.

        The server answers once it has loaded and checked the version.

        Returns:
            The ``name``, ``version``, ``digest``, ``state`` and ``reason`` of the version.

        Raises:
            Error: if the server refuses the version, with the reason.
        """
        path = f"/v2/repository/models/{quote(model, safe='')}/versions/{version}"
        headers = {"Content-Type": content_type}
        return self._transport.send("PUT", path, content, headers, timeout).json()

    # === Parts ===

    def _ask(
        self, model: str, rows: Table, version: int | str | None, wanted: Any
    ) -> tuple[ModelInfo, dict[str, Tensor]]:
        """Asks with rows, in as many requests as it takes, all to the same version."""
        failure: Error | ValueError | None = None
        for attempt in range(_ATTEMPTS):
            info = self._info(model, version, is_fresh=attempt > 0)
            try:
                return info, self._ask_as(info, model, rows, version, wanted(info))
            except _OtherVersion:
                continue
            except ValueError as error:
                # What is known of the model may be of an earlier version.
                failure = error
                if attempt > 0:
                    raise
            except Error as error:
                failure = error
                if attempt > 0 or error.status not in (400, 404):
                    raise
        raise failure or Error(0, f"the versions of '{model}' change faster than it answers")

    def _ask_as(
        self,
        info: ModelInfo,
        model: str,
        rows: Table,
        version: int | str | None,
        output: str | None,
    ) -> dict[str, Tensor]:
        outputs = [] if output is None else [output]
        count = len(rows)
        tensors = input_tensors(rows.slice(0, min(count, 100)), info.inputs, info.properties)
        mean = row_bytes([len(tensor.raw) for tensor in tensors], min(count, 100))
        step = info.rows_in_one_request(mean)

        answering, parts = None, []
        for start in range(0, max(count, 1), step):
            part = rows.slice(start, start + step)
            tensors = input_tensors(part, info.inputs, info.properties)
            pinned = version if answering is None else answering
            try:
                answered, found = self._infer(model, pinned, tensors, outputs, None)
            except Error as error:
                if answering is not None and error.status in (404, 503):
                    raise _OtherVersion from error
                raise
            if answered not in info.versions:
                raise _OtherVersion
            answering = answered
            parts.append(found)
        return wire.joined(parts)

    def _infer(
        self,
        model: str,
        version: int | str | None,
        inputs: Sequence[Tensor],
        outputs: Sequence[str],
        parameters: Mapping[str, Any] | None,
    ) -> tuple[str, dict[str, Tensor]]:
        """Sends one request; returns the version that answered, and the outputs."""
        body, headers = wire.request(inputs, outputs, parameters)
        path = f"{_path(model, version)}/infer"
        answer = self._transport.send("POST", path, body, headers)
        return wire.response(answer)

    def _info(self, model: str, version: int | str | None, is_fresh: bool) -> ModelInfo:
        name = _path(model, version)
        if is_fresh or name not in self._known:
            self._known[name] = self.metadata(model, version)
        return self._known[name]

    def _typed(
        self, model: str, version: int | str | None, arrays: Mapping[str, Any]
    ) -> list[Tensor]:
        """Gives arrays the datatypes that the model declares."""
        import numpy as np

        info = self._info(model, version, is_fresh=False)
        datatypes = {spec.name: spec.datatype for spec in info.inputs}
        tensors = []
        for name, values in arrays.items():
            if name not in datatypes:
                raise ValueError(f"'{model}' has the inputs {list(datatypes)}, not {name!r}")
            array = np.asarray(values)
            tensors.append(Tensor.of(name, datatypes[name], array.shape, array))
        return tensors


class _OtherVersion(Exception):
    """Another version answers than the one whose inputs are known."""


def _probabilities(info: ModelInfo) -> str:
    output = info.probabilities()
    if output is None:
        names = [spec.name for spec in info.outputs]
        raise ValueError(f"'{info.name}' has no probabilities; its outputs are {names}")
    return output


def _path(model: str, version: int | str | None) -> str:
    path = f"/v2/models/{quote(model, safe='')}"
    return path if version is None else f"{path}/versions/{version}"
