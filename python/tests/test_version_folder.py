import io
import tarfile

import pytest

from wardian.version_folder import VersionFolder

FOLDER = VersionFolder({"model.txt": b"tree", "golden.json": b"{}"}, '[limits]\nmemory = "1GiB"\n')


def names(path):
    return sorted(entry.name for entry in path.iterdir())


def test_files_appear_together_and_leave_nothing_else(tmp_path):
    folder = FOLDER.write(tmp_path / "rent" / "1")
    assert names(folder) == ["golden.json", "model.txt"]
    assert names(tmp_path / "rent") == ["1", "model.toml"]


def test_an_earlier_save_is_replaced(tmp_path):
    VersionFolder({"model.onnx": b"1", "metadata.json": b"{}"}).write(tmp_path / "1")
    VersionFolder({"model.txt": b"2"}).write(tmp_path / "1")
    assert names(tmp_path / "1") == ["model.txt"]
    assert names(tmp_path) == ["1"]


def test_files_of_others_are_not_replaced(tmp_path):
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"1")
    with pytest.raises(FileExistsError, match="weights.bin"):
        FOLDER.write(folder)
    assert names(folder) == ["weights.bin"]


def test_settings_of_the_owner_stay(tmp_path):
    (tmp_path / "model.toml").write_text("isolation = 'pooled'\n")
    FOLDER.write(tmp_path / "2")
    assert (tmp_path / "model.toml").read_text() == "isolation = 'pooled'\n"


def test_the_tar_has_plain_names():
    with tarfile.open(fileobj=io.BytesIO(FOLDER.tar())) as archive:
        assert archive.getnames() == ["model.txt", "golden.json", "model.toml"]
        assert archive.extractfile("model.txt").read() == b"tree"
