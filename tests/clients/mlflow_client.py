"""MLflow's client of a scoring server, and the requests of TensorFlow Serving's documentation.

usage: mlflow_client.py HOST:PORT

Expects the example models house-price (the default model), iris and upper, all serving.
"""

import json
import math
import sys

import numpy as np
import pandas as pd
import requests
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

import checks

HOST, PORT = sys.argv[1].split(":")
CLIENT = ScoringServerClient(HOST, PORT)
URL = f"http://{HOST}:{PORT}"

HOUSES = pd.DataFrame(
    {
        "lotsize": [5850, 4000],
        "bedrooms": [3, 2],
        "bathrms": [1, 1],
        "stories": [2, 1],
        "driveway": [1, 1],
        "recroom": [0, 0],
        "fullbase": [1, 0],
        "gashw": [0, 0],
        "airco": [0, 0],
        "garagepl": [1, 0],
        "prefarea": [0, 0],
    }
)


def prices(model="house-price"):
    """The answers of the Open Inference Protocol."""
    rows = HOUSES.to_numpy(dtype=float).tolist()
    tensor = {"name": "features", "datatype": "FP64", "shape": [2, 11], "data": rows}
    answer = requests.post(f"{URL}/v2/models/{model}/infer", json={"inputs": [tensor]})
    return answer.json()["outputs"][0]["data"]


def readiness():
    CLIENT.ping()
    CLIENT.wait_server_ready(timeout=5)
    assert CLIENT.get_version().count(".") == 2, CLIENT.get_version()
    assert requests.get(f"{URL}/health").status_code == 200


def frames():
    for frame in (
        HOUSES,
        HOUSES[HOUSES.columns[::-1]],
        HOUSES.astype(float),
        HOUSES.set_index(pd.Index(["a", "b"])),
        HOUSES.assign(owner=["x", None]),
    ):
        answer = CLIENT.invoke(frame)
        assert answer.get_predictions("ndarray").flatten().tolist() == prices(), answer
        assert answer.get_predictions("dataframe").shape == (2, 1), answer


def arrays():
    for array in (HOUSES.to_numpy(), HOUSES.to_numpy(dtype=float)):
        answer = CLIENT.invoke(array)
        assert answer.get_predictions("ndarray").flatten().tolist() == prices(), answer


def one_row_is_a_list():
    answer = CLIENT.invoke(HOUSES.head(1))
    assert json.loads(answer.to_json())["predictions"] == prices()[:1], answer


def parameters():
    answer = CLIENT.invoke(HOUSES, params={"timeout": 60_000_000})
    assert answer.get_predictions("ndarray").flatten().tolist() == prices(), answer


def csv():
    for index in (False, True):
        body = HOUSES.to_csv(index=index)
        answer = requests.post(f"{URL}/invocations", data=body, headers={"Content-Type": "text/csv"})
        assert answer.json() == {"predictions": prices()}, answer.text


def refusals():
    for frame, words in (
        (HOUSES.drop(columns=["stories"]), "column 'stories' is missing"),
        (HOUSES.rename(columns={"stories": "storeys"}), "there is 'storeys'"),
        (HOUSES.assign(stories=["two", "one"]), "row 1: field 'stories'"),
    ):
        try:
            CLIENT.invoke(frame)
        except Exception as error:
            assert "error code 400" in str(error) and words in str(error), error
        else:
            raise AssertionError(f"{words}: it should have been refused")


def tensorflow_serving():
    status = requests.get(f"{URL}/v1/models/house-price").json()["model_version_status"]
    assert status[0]["state"] == "AVAILABLE" and status[0]["status"]["error_code"] == "OK", status

    rows = HOUSES.to_numpy(dtype=float).tolist()
    body = json.dumps({"signature_name": "serving_default", "instances": rows})
    answer = requests.post(f"{URL}/v1/models/house-price:predict", data=body)
    assert np.array(answer.json()["predictions"]).flatten().tolist() == prices(), answer.text

    body = json.dumps({"inputs": {"features": rows}})
    answer = requests.post(f"{URL}/v1/models/house-price/versions/1:predict", data=body)
    assert np.array(answer.json()["outputs"]).shape == (2, 1), answer.text

    rows[0][0] = math.nan
    answer = requests.post(f"{URL}/v1/models/house-price:predict", data=json.dumps({"instances": rows}))
    assert answer.status_code == 422 and "finite" in answer.json()["error"], answer.text

    examples = {"examples": [{"measurements": [5.1, 3.5, 1.4, 0.2]}]}
    answer = requests.post(f"{URL}/v1/models/iris:classify", json=examples)
    label, score = max(answer.json()["results"][0], key=lambda pair: pair[1])
    assert label == "setosa" and score > 0.9, answer.text


checks.run(
    readiness, frames, arrays, one_row_is_a_list, parameters, csv, refusals, tensorflow_serving
)
