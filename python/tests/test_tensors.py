import math

import pytest

from wardian import Tensor
from wardian.tensors import pack, unpack


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("FP64", [1.5, -0.1, 1e300]),
        ("FP32", [1.5, -0.25]),
        ("FP16", [1.5, -0.25]),
        ("INT64", [1 << 62, -3]),
        ("INT32", [7, -3]),
        ("UINT8", [0, 255]),
        ("BOOL", [True, False]),
        ("BYTES", ["größe", "", "日本"]),
    ],
)
def test_values_come_back_as_they_were_packed(datatype, values):
    assert unpack(pack(values, datatype), datatype) == values


def test_arrays_and_lists_are_packed_alike():
    np = pytest.importorskip("numpy")
    for datatype in ("FP64", "FP32", "FP16", "INT64", "UINT8", "BOOL"):
        values = [0, 1, 3] if datatype != "BOOL" else [0, 1, 1]
        assert pack(np.array(values), datatype) == pack(values, datatype)


def test_fractions_are_no_whole_numbers():
    with pytest.raises(ValueError, match=r"1.5 is not a whole number"):
        pack([1.5], "INT64")


def test_bytes_that_are_no_text_stay_bytes():
    assert unpack(pack([b"\xff", "a"], "BYTES"), "BYTES") == [b"\xff", "a"]


def test_json_has_words_for_numbers_that_are_not_finite():
    tensor = Tensor.of("x", "FP64", [4], [math.nan, math.inf, -math.inf, 0.5])
    assert tensor.to_json()["data"] == ["NaN", "Infinity", "-Infinity", 0.5]


def test_32_bit_numbers_are_written_so_that_they_read_back_exactly():
    [value] = Tensor.of("x", "FP32", [1], [0.1]).to_json()["data"]
    assert value == 0.10000000149011612
