"""MLServer with its runtime for scikit-learn, which takes every model with its interface.

`mlserver_server.py MODEL FILE` serves the model of a joblib file in one process.
"""

import asyncio
import os
import socket
import sys
import threading
import time

from mlserver import MLServer, ModelSettings, Settings
from mlserver.settings import ModelParameters
from mlserver_sklearn import SKLearnModel

NAME, FILE = sys.argv[1:]

# The log goes to standard error, so that the address is all of standard output.
output = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def announce(port):
    """Says where the server listens, once it does."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    print(f"listening on http://127.0.0.1:{port}", file=output, flush=True)


async def main():
    port = free_port()
    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=free_port(),
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
    )
    model = ModelSettings(
        name=NAME, implementation=SKLearnModel, parameters=ModelParameters(uri=FILE)
    )
    threading.Thread(target=announce, args=(port,), daemon=True).start()
    await MLServer(settings).start([model])


asyncio.run(main())
