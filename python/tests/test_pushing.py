import io
import tarfile

import pytest
from fake_server import FakeServer

from wardian import Error, push
from wardian.version_folder import VersionFolder


@pytest.fixture
def server():
    with FakeServer(lambda inputs: [], [], []) as started:
        yield started


def uploads(server):
    return [request for request in server.requests if request[0] == "PUT"]


def test_a_folder_is_sent_as_a_tar_with_the_next_number(server, tmp_path):
    VersionFolder({"model.txt": b"tree"}).write(tmp_path / "1")
    version = push(tmp_path / "1", "m", url=server.url, key="secret")
    assert (version.name, version.version, version.state) == ("m", "10", "READY")
    [(_, path, headers, body)] = uploads(server)
    assert path == "/v2/repository/models/m/versions/10"
    assert headers["Content-Type"] == "application/x-tar"
    assert headers["Authorization"] == "Bearer secret"
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["model.txt"]


def test_the_first_version_of_a_model_is_1(server, tmp_path):
    (tmp_path / "model.wasm").write_bytes(b"\0asm")
    assert push(tmp_path / "model.wasm", "new", url=server.url).version == "1"
    assert uploads(server)[0][3] == b"\0asm"


def test_a_refusal_has_the_servers_text(server, tmp_path):
    VersionFolder({"model.txt": b"tree"}).write(tmp_path / "1")
    text = "model 'm' version 3: golden: request 1: output 'y' has 2 at 0, expected 1"
    server.refusal = (422, {"error": text, "code": "load_failed"}, {})
    with pytest.raises(Error, match="expected 1") as caught:
        push(tmp_path / "1", "m", version=3, url=server.url)
    assert (caught.value.status, caught.value.code) == (422, "load_failed")


def test_a_folder_without_a_model_file_is_refused_with_the_right_one(server, tmp_path):
    for number in ("2", "10"):
        VersionFolder({"model.txt": b"tree"}).write(tmp_path / number)
    (tmp_path / "model.toml").write_text("")
    with pytest.raises(ValueError, match=r"has no model file, .*; push .*/10, a version's folder"):
        push(tmp_path, "m", url=server.url)
    assert uploads(server) == []


def test_a_model_needs_a_sample(server):
    with pytest.raises(TypeError, match="push needs a sample"):
        push(object(), "m", url=server.url)


def test_a_trained_model_is_saved_and_sent(server):
    lightgbm = pytest.importorskip("lightgbm")
    np = pytest.importorskip("numpy")
    rows = np.arange(200.0).reshape(100, 2)
    model = lightgbm.LGBMRegressor(n_estimators=2, verbose=-1).fit(rows, rows[:, 0])
    push(model, "m", sample=rows, url=server.url)
    with tarfile.open(fileobj=io.BytesIO(uploads(server)[0][3])) as archive:
        assert archive.getnames() == ["model.txt", "golden.json"]
