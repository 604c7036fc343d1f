"""The package `websockets`: connections to routes of models.

usage: websockets_client.py HOST:PORT KEY EXAMPLE

Expects the example model upper with the routes /shout and /bytes, serving. EXAMPLE is a client of
/shout for a server without keys.
"""

import asyncio
import json
import runpy
import sys

import websockets
import websockets.sync.client

import checks

ADDRESS, KEY, EXAMPLE = sys.argv[1:]
SHOUT = f"ws://{ADDRESS}/shout"
BYTES = f"ws://{ADDRESS}/bytes"
HEADERS = {"Authorization": f"Bearer {KEY}"}


def connect(url=SHOUT, **options):
    return websockets.sync.client.connect(url, additional_headers=HEADERS, **options)


def each_message_is_answered():
    with connect() as socket:
        for word in ["cat", "", "caf\u00e9"]:
            socket.send(json.dumps({"x": word}))
            assert json.loads(socket.recv()) == {"answer": word.upper()}
    assert socket.close_code == 1000


def an_error_is_a_message():
    with connect() as socket:
        socket.send("{}")
        assert json.loads(socket.recv())["code"] == "invalid_input"
        socket.send(json.dumps({"x": "cat"}))
        assert json.loads(socket.recv()) == {"answer": "CAT"}


def bytes_are_bytes():
    with connect(BYTES, max_size=None) as socket:
        for text in [b"", b"abc", b"x" * 200_000]:
            socket.send(text)
            assert socket.recv() == text.upper()
        # In several frames.
        socket.send([b"a", b"", b"bc"])
        assert socket.recv() == b"ABC"


def pings_are_answered():
    with connect() as socket:
        assert socket.ping().wait(10)


def a_key_is_a_subprotocol():
    protocols = ["wardian", f"wardian.key.{KEY}"]
    with websockets.sync.client.connect(SHOUT, subprotocols=protocols) as socket:
        assert socket.subprotocol == "wardian"
    try:
        websockets.sync.client.connect(SHOUT)
        raise AssertionError("it needs no key")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 401


def many_at_once():
    async def shout(number):
        async with websockets.connect(SHOUT, additional_headers=HEADERS) as socket:
            for _ in range(10):
                await socket.send(json.dumps({"x": f"a{number}"}))
            for _ in range(10):
                assert json.loads(await socket.recv()) == {"answer": f"A{number}"}

    async def all_of_them():
        await asyncio.gather(*(shout(number) for number in range(20)))

    asyncio.run(all_of_them())


def the_example_runs():
    # It knows of no key.
    sys.argv = [EXAMPLE, SHOUT]
    plain = websockets.sync.client.connect
    websockets.sync.client.connect = lambda url: plain(url, additional_headers=HEADERS)
    runpy.run_path(EXAMPLE)


checks.run(
    each_message_is_answered,
    an_error_is_a_message,
    bytes_are_bytes,
    pings_are_answered,
    a_key_is_a_subprotocol,
    many_at_once,
    the_example_runs,
)
