import json
import subprocess
import sys

import pytest
from fake_server import FakeServer

from wardian import Client, Error, Tensor, Unreachable

INPUTS = [{"name": "features", "datatype": "FP64", "shape": [-1, 2]}]
OUTPUTS = [
    {"name": "label", "datatype": "BYTES", "shape": [-1]},
    {"name": "probabilities", "datatype": "FP64", "shape": [-1, 2]},
]


def classifier(inputs):
    """Answers `big` where the first column is above 1."""
    firsts = inputs["features"].values()[::2]
    second = [float(value > 1) for value in firsts]
    both = [share for value in second for share in (1 - value, value)]
    labels = ["big" if value else "small" for value in second]
    return [
        Tensor.of("label", "BYTES", [len(labels)], labels),
        Tensor.of("probabilities", "FP64", [len(labels), 2], both),
    ]


@pytest.fixture
def server():
    properties = {"classes": '["small", "big"]', "feature_names": '["a", "b"]'}
    with FakeServer(classifier, INPUTS, OUTPUTS, **properties) as started:
        yield started


def test_a_server_without_tls_is_named(server):
    with pytest.raises(Unreachable, match="speaks HTTP without TLS: write http://127.0.0.1:"):
        Client(server.url.replace("http://", "https://")).models()


def test_lists_are_answered_by_lists(server):
    with Client(server.url) as client:
        assert client.predict("m", [[2, 0], [0, 0]]) == ["big", "small"]
        assert client.predict_proba("m", [{"b": 0, "a": 2}]) == [[0.0, 1.0]]


def test_arrays_are_answered_by_arrays(server):
    np = pytest.importorskip("numpy")
    client = Client(server.url)
    labels = client.predict("m", np.array([[2.0, 0.0]]))
    assert isinstance(labels, np.ndarray) and labels.tolist() == ["big"]
    assert client.predict_proba("m", np.array([[2.0, 0.0]])).tolist() == [[0.0, 1.0]]
    assert client.infer("m", {"features": [[2, 0]]})["label"].tolist() == ["big"]


def test_frames_are_answered_by_frames(server):
    pd = pytest.importorskip("pandas")
    client = Client(server.url)
    frame = pd.DataFrame({"b": [0.0, 0.0], "a": [2.0, 0.0]}, index=["x", "y"])
    assert client.predict("m", frame).to_dict() == {"x": "big", "y": "small"}
    probabilities = client.predict_proba("m", frame)
    assert probabilities.columns.tolist() == ["small", "big"]
    assert probabilities.loc["x", "big"] == 1.0


def test_many_rows_go_in_several_requests_to_one_version(server):
    client = Client(server.url)
    assert client.predict("m", [[2, 0]] * 9) == ["big"] * 9
    assert server.paths("POST") == ["/v2/models/m/infer"] + 2 * ["/v2/models/m/versions/1/infer"]


def test_large_rows_go_in_requests_that_the_server_takes(server):
    server.config = {"wardian": {"limits": {"request_bytes": 100}}}
    assert Client(server.url).predict("m", [[2, 0]] * 9) == ["big"] * 9
    assert len(server.paths("POST")) == 2


def test_another_version_is_asked_with_its_own_inputs(server):
    client = Client(server.url)
    client.predict("m", [{"a": 2, "b": 0}])
    server.version = "2"
    properties = {"feature_names": '["c", "d"]'}
    server.metadata = {**server.metadata, "versions": ["2"], "properties": properties}
    assert client.predict("m", [{"c": 2, "d": 0}]) == ["big"]
    with pytest.raises(ValueError, match="lack the columns"):
        client.predict("m", [{"a": 2, "b": 0}])


def test_the_key_is_sent(server):
    Client(server.url, key="secret").models()
    [(_, _, headers, _)] = server.requests
    assert headers["Authorization"] == "Bearer secret"


def test_errors_have_the_servers_text(server):
    client = Client(server.url)
    client.predict("m", [[2, 0]])
    refusal = {"error": "the queue is full", "code": "quota_exceeded"}
    server.refusal = (429, refusal, {"Retry-After": "3"})
    with pytest.raises(Error) as caught:
        client.predict("m", [[2, 0]])
    error = caught.value
    assert (error.status, error.code, error.text) == (429, "quota_exceeded", "the queue is full")
    assert error.retry_after == 3
    assert "the queue is full" in str(error)


def test_answers_of_other_servers_are_errors(server):
    client = Client(server.url)
    client.predict("m", [[2, 0]])
    server.refusal = (502, b"<html>bad gateway</html>", {})
    with pytest.raises(Error, match="bad gateway"):
        client.predict("m", [[2, 0]])
    server.refusal = (200, b"<html>welcome</html>", {})
    with pytest.raises(Error, match="not one of the protocol"):
        client.predict("m", [[2, 0]])


def test_a_connection_that_the_server_closed_is_opened_again(server):
    server.close_after_answer = True
    client = Client(server.url)
    for _ in range(3):
        assert client.predict("m", [[2, 0]]) == ["big"]


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(Unreachable, match="127.0.0.1:1 does not answer"):
        Client("127.0.0.1:1").models()
    with pytest.raises(ValueError, match="is not a URL"):
        Client("ftp://x")


def test_a_model_without_probabilities_says_so(server):
    server.metadata["outputs"] = OUTPUTS[:1]
    with pytest.raises(ValueError, match="has no probabilities"):
        Client(server.url).predict_proba("m", [[2, 0]])


def test_the_client_needs_the_standard_library_only(server):
    program = f"""
import sys
for name in ("numpy", "pandas", "sklearn", "xgboost", "lightgbm", "onnx", "torch"):
    sys.modules[name] = None
import wardian
client = wardian.Client({server.url!r})
print(client.predict("m", [[2, 0]]), client.predict_proba("m", [[2, 0]]))
"""
    source = next(path for path in sys.path if path.endswith("src"))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={"PYTHONPATH": source}
    )
    assert done.stdout.strip() == "['big'] [[0.0, 1.0]]", done.stderr


def test_unnamed_outputs_come_as_a_dictionary(server):
    server.metadata["outputs"] = [dict(output, name=f"o{n}") for n, output in enumerate(OUTPUTS)]
    server.model = lambda inputs: [
        Tensor(f"o{n}", tensor.datatype, tensor.shape, tensor.raw)
        for n, tensor in enumerate(classifier(inputs))
    ]
    answer = Client(server.url).predict("m", [[2, 0]])
    assert json.dumps(answer) == '{"o0": ["big"], "o1": [[0.0, 1.0]]}'
