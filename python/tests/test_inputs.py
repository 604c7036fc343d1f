import json
import math

import pytest

from wardian import TensorSpec
from wardian.inputs import input_tensors
from wardian.tables import table

MATRIX = [TensorSpec("features", "FP64", (-1, 2))]
COLUMNS = [TensorSpec("size", "FP32", (-1, 1)), TensorSpec("town", "BYTES", (-1, 1))]
NAMES = {"feature_names": json.dumps(["a", "b"])}


def values(rows, specs, properties=None):
    """Returns the shape and the values of each tensor."""
    tensors = input_tensors(table(rows), specs, properties or {})
    return [(tensor.name, tensor.shape, tensor.values()) for tensor in tensors]


def test_lists_are_taken_by_position():
    assert values([[1, 2], [3, 4]], MATRIX) == [("features", (2, 2), [1, 2, 3, 4])]


def test_dictionaries_are_taken_by_name():
    rows = [{"b": 2, "a": 1, "other": "x"}, {"a": 3, "b": None, "other": "y"}]
    [(_, shape, found)] = values(rows, MATRIX, NAMES)
    assert shape == (2, 2)
    assert found[:3] == [1, 2, 3] and math.isnan(found[3])
    assert values({"b": [2], "a": [1]}, MATRIX, NAMES) == [("features", (1, 2), [1, 2])]


def test_missing_columns_are_named():
    with pytest.raises(ValueError, match=r"lack the columns \['b'\]"):
        values([{"a": 1}], MATRIX, NAMES)
    with pytest.raises(ValueError, match="have 3 columns, and the model takes 2"):
        values([[1, 2, 3]], MATRIX, NAMES)


def test_columns_are_found_under_the_names_of_the_frame():
    properties = {"columns": json.dumps({"größe (m²)": "size"})}
    rows = [{"größe (m²)": 4, "town": "Ulm"}]
    assert values(rows, COLUMNS, properties) == [
        ("size", (1, 1), [4]),
        ("town", (1, 1), ["Ulm"]),
    ]


def test_properties_for_people_are_ignored():
    properties = {"columns": "size; town", "feature_names": "a, b"}
    assert values([["4", 1]], COLUMNS[::-1], properties)[0][2] == ["4"]


def test_texts_for_numbers_and_fractions_for_whole_numbers_are_refused():
    with pytest.raises(ValueError, match="column 'size' has the value 'x'"):
        values([{"size": "x", "town": "Ulm"}], COLUMNS)
    with pytest.raises(ValueError, match="takes whole numbers"):
        values([[1.5]], [TensorSpec("n", "INT64", (-1, 1))])


def test_missing_values_are_refused_where_the_file_does_not_answer_them():
    with pytest.raises(ValueError, match="column number 1 has missing values"):
        values([[1.0, math.nan]], MATRIX, {"missing_values": "no"})


def test_missing_values_are_refused_in_the_columns_that_must_have_them():
    properties = {**NAMES, "missing_values": "[1]"}
    [(_, _, found)] = values([{"b": 2, "a": None, "c": None}], MATRIX, properties)
    assert math.isnan(found[0]) and found[1] == 2
    with pytest.raises(ValueError, match="column 'b' has missing values"):
        values([{"b": None, "a": 1}], MATRIX, properties)
    with pytest.raises(ValueError, match="column 'town' has missing values"):
        values([{"town": None, "size": 1}], COLUMNS, {"missing_values": "[1]"})


def test_infinite_values_are_refused_where_the_original_refuses_them():
    with pytest.raises(ValueError, match="column number 1 has infinite values"):
        values([[1.0, math.inf]], MATRIX, {"infinite_values": "no"})


def test_numbers_out_of_the_range_of_an_input_are_refused():
    np = pytest.importorskip("numpy")
    narrow = [TensorSpec("features", "FP32", (-1, 2))]
    for rows in ([[1, 1e39]], np.array([[1, 1e39]]), [{"a": 1, "b": -1e39}]):
        with pytest.raises(ValueError, match="out of the range of FP32"):
            values(rows, narrow, NAMES)
    assert values([[1, math.inf]], narrow)[0][2] == [1, math.inf]
    with pytest.raises(ValueError, match="column number 1 has a value that is too large"):
        values([[1, 10**400]], MATRIX)
    with pytest.raises(ValueError, match="column number 0 has the value 300"):
        values(np.array([[300]]), [TensorSpec("n", "INT8", (-1, 1))])
    with pytest.raises(ValueError, match="takes numbers there"):
        values(np.array([[1, 2j]]), MATRIX)


def test_columns_of_the_same_name_are_refused():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame([[1, 2, 3, 4]], columns=["a", "b", "a", "c"])
    with pytest.raises(ValueError, match="several columns called 'a'"):
        values(frame, MATRIX, NAMES)


def test_a_dictionary_of_single_values_is_no_table():
    for row in ({"a": 1, "b": 2}, {"town": "Ulm", "size": [3]}):
        with pytest.raises(ValueError, match="a single row is written"):
            table(row)


def test_texts_are_one_column():
    spec = [TensorSpec("text", "BYTES", (-1, 1))]
    assert values(["a", "b"], spec) == [("text", (2, 1), ["a", "b"])]
    assert values(["a"], [TensorSpec("text", "BYTES", (-1,))]) == [("text", (1,), ["a"])]


def test_rows_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="row 1 has 1 values"):
        table([[1, 2], [1]])
    with pytest.raises(ValueError, match="row 1 has the keys"):
        table([{"a": 1}, {"b": 1}])
    with pytest.raises(ValueError, match="for a single row write"):
        table([1, 2])
    with pytest.raises(TypeError, match="not int"):
        table(3)


def test_arrays_are_taken_by_position():
    np = pytest.importorskip("numpy")
    assert values(np.array([[1, 2]]), MATRIX, NAMES) == [("features", (1, 2), [1, 2])]
    assert values(np.array([[1.0, 2.0]], dtype=object), MATRIX)[0][2] == [1, 2]
    with pytest.raises(ValueError, match="two dimensions; this one has 1"):
        table(np.array([1, 2]))


def test_frames_are_taken_by_name():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"b": [2, 4], "a": [1.0, None], "c": ["x", "y"]}, index=[7, 8])
    [(_, shape, found)] = values(frame, MATRIX, NAMES)
    assert shape == (2, 2) and found[:2] == [1, 2] and math.isnan(found[2]) and found[3] == 4
    assert table(frame).index.tolist() == [7, 8]


def test_frames_without_names_are_taken_by_position():
    pd = pytest.importorskip("pandas")
    assert values(pd.DataFrame([[1, 2]]), MATRIX, NAMES)[0][2] == [1, 2]


def test_categories_are_given_by_their_text():
    pd = pytest.importorskip("pandas")
    town = pd.Categorical(["Ulm", None, "Rom"], ["Rom", "Ulm"])
    frame = pd.DataFrame({"town": town, "size": pd.array([1, None, 3], dtype="Int64")})
    (_, _, sizes), (_, _, towns) = values(frame, COLUMNS)
    assert towns == ["Ulm", "", "Rom"]
    assert sizes[0] == 1 and math.isnan(sizes[1])
