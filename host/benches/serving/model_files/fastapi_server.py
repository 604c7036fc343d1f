"""The usual service: FastAPI on uvicorn with the model in a global, one worker.

`fastapi_server.py MODEL FILE` serves the model of a joblib file. It takes the requests of the Open
Inference Protocol, so that every server gets the same bytes.
"""

import socket
import sys

import joblib
import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

NAME, FILE = sys.argv[1:]

app = FastAPI()
model = joblib.load(FILE)


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class Request(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


@app.get("/v2/health/ready")
def ready() -> dict:
    return {"ready": True}


@app.post("/v2/models/{name}/infer")
def infer(name: str, request: Request) -> dict:
    [given] = request.inputs
    answers = model.predict(np.array(given.data).reshape(given.shape))
    output = {"name": "prediction", "shape": [len(answers)], "datatype": "FP64", "data": answers.tolist()}
    return {"model_name": NAME, "id": request.id, "outputs": [output]}


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(1024)
print("listening on http://127.0.0.1:%d" % listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listener])
