"""``wardian.push``: saves a model and uploads it, and waits for the verdict."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import Client
from .saving import prepare
from .version_folder import VersionFolder

_TAR = "application/x-tar"


@dataclass(frozen=True)
class Version:
    """A version as the server took it.

    Attributes:
        name: The model.
        version: The version.
        state: ``READY`` if it serves, as in the index.
        reason: Why it does not, if it does not.
        digest: What identifies its content.
    """

    name: str
    version: str
    state: str
    reason: str
    digest: str


def push(
    model: Any,
    name: str,
    sample: Any = None,
    *,
    url: str | None = None,
    key: str | None = None,
    version: int | None = None,
    timeout: float = 600.0,
    **options: Any,
) -> Version:
    """Saves a model as :func:`wardian.save` does, uploads it, and waits until it serves.

    Args:
        model: The model; or the path of a folder that :func:`wardian.save` has written, or of a
            model file.
        name: The name under which it is to be served.
        sample: Rows as the model was trained on.
        url: The server; ``$WARDIAN_URL`` or else ``http://127.0.0.1:8080``.
        key: An API key of scope ``manage``, if the server asks for one.
        version: The number of the version; by default one more than the greatest there is.
        timeout: Seconds for loading and checking it.
        **options: Those of :func:`wardian.save`.

    Returns:
        What the server says of the version.

    Raises:
        NotSaved: if the model cannot be saved so that it answers as the original does.
        Error: if the server refuses the version; its text has the stage and the reason.
    """
    content, content_type = _content(model, sample, options)
    with Client(url, key) as client:
        number = version if version is not None else _next_version(client, name)
        verdict = client.upload(name, number, content, content_type, timeout)
    return Version(
        name=verdict.get("name", name),
        version=str(verdict.get("version", number)),
        state=verdict.get("state", ""),
        reason=verdict.get("reason", ""),
        digest=verdict.get("digest", ""),
    )


def _content(model: Any, sample: Any, options: dict[str, Any]) -> tuple[bytes, str]:
    if isinstance(model, (str, os.PathLike)):
        path = Path(model)
        if path.is_dir():
            return _folder(path).tar(), _TAR
        return path.read_bytes(), "application/octet-stream"
    if sample is None:
        raise TypeError("push needs a sample: rows as the model was trained on")
    return prepare(model, sample, **options).tar(), _TAR


def _folder(path: Path) -> VersionFolder:
    files = {entry.name: entry.read_bytes() for entry in sorted(path.iterdir()) if entry.is_file()}
    if not any(name.startswith("model.") and name != "model.toml" for name in files):
        folders = [entry.name for entry in path.iterdir() if entry.is_dir()]
        versions = [name for name in folders if name.isdigit()]
        remedy = f"; push {path / max(versions, key=int)}, a version's folder" if versions else ""
        raise ValueError(f"{path} has no model file, such as model.onnx or model.json{remedy}")
    return VersionFolder(files)


def _next_version(client: Client, name: str) -> int:
    versions = [entry["version"] for entry in client.index() if entry.get("name") == name]
    numbers = [int(version) for version in versions if str(version).isdigit()]
    return max(numbers, default=0) + 1
