"""HTTP with connections that stay open, for several threads at once."""

from __future__ import annotations

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from .errors import Error, Unreachable

# Open connections that are kept for later; more threads than this open more for a while.
_KEPT = 8
# The server closed a kept connection before it read the request, so the request can be sent again.
_STALE = (
    http.client.RemoteDisconnected,
    http.client.BadStatusLine,
    BrokenPipeError,
    ConnectionResetError,
    ConnectionAbortedError,
)


@dataclass(frozen=True)
class Answer:
    """A successful response."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """Returns the body, which is JSON.

        Raises:
            Error: if it is not: the server is not Wardian, perhaps.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            start = self.body[:200].decode(errors="replace")
            raise Error(self.status, f"the answer is not JSON: {start}") from None


class Transport:
    """Sends requests to one server."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL like http://127.0.0.1:8080")
        self._is_https = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._key = key
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Sends a request and reads its answer.

        Args:
            method: The method.
            path: The path, which begins with a slash and is encoded already.
            body: The body.
            headers: More headers than the key's.
            timeout: Seconds that the server may be silent, in place of the client's.

        Raises:
            Unreachable: if there is no answer.
            Error: if the status is not 2xx, with the server's text.
        """
        all_headers = {"Accept-Encoding": "identity", **(headers or {})}
        if self._key is not None:
            all_headers["Authorization"] = f"Bearer {self._key}"
        status, answer_headers, content = self._exchange(
            method, self._prefix + path, body, all_headers, timeout or self._timeout
        )
        if not 200 <= status < 300:
            raise _error(status, answer_headers, content)
        return Answer(status, answer_headers, content)

    def close(self) -> None:
        """Closes the connections that no thread uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection, is_kept = self._take(timeout)
        try:
            return self._exchange_over(connection, method, path, body, headers)
        except _STALE as error:
            connection.close()
            if not is_kept:
                raise self._unreachable(error) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error

        self.close()
        return self._exchange(method, path, body, headers, timeout)

    def _exchange_over(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        content = response.read()
        self._keep(connection, response)
        return response.status, response.headers, content

    def _take(self, timeout: float) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is not None:
            if connection.sock is not None:
                connection.sock.settimeout(timeout)
            return connection, True
        kind = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=timeout), False

    def _keep(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        with self._lock:
            if not response.will_close and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def _unreachable(self, error: Exception) -> Unreachable:
        server = f"{self._host}:{self._port}" if self._port else self._host
        # Older and newer versions of OpenSSL name it differently.
        plain = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
        if any(reason in str(error) for reason in plain):
            return Unreachable(f"{server} speaks HTTP without TLS: write http://{server}")
        return Unreachable(f"{server} does not answer: {error or type(error).__name__}")


def _error(status: int, headers: http.client.HTTPMessage, body: bytes) -> Error:
    """Returns the error with the server's text as it is."""
    retry_after = headers.get("Retry-After", "")
    seconds = float(retry_after) if retry_after.isdigit() else None
    try:
        document = json.loads(body)
        text, code = str(document["error"]), str(document.get("code", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        text, code = body[:1000].decode(errors="replace").strip(), ""
    return Error(status, text, code, seconds)
