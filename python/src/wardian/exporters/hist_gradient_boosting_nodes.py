"""A converter of HistGradientBoosting estimators within a pipeline of scikit-learn.

skl2onnx's own does not know those of current versions. This one writes ``TreeEnsemble``, which
compares and adds doubles as scikit-learn does. A split by categories asks for the numbers that the
column holds, so that no step has to encode them.
"""

from __future__ import annotations

from typing import Any

from ..errors import NotSaved
from ..exported import class_values
from .hist_gradient_boosting import last_step, numbered_columns

# The operator of trees of doubles, and its first version. skl2onnx writes operators of version 3 at
# most, so the version of the file is raised after the conversion.
_OPERATOR, _DOMAIN, _VERSION = "TreeEnsemble", "ai.onnx.ml", 5
_VERSION_WHILE_CONVERTING = 3
# The modes of a node, and how the leaves of a row are aggregated.
_LESS_OR_EQUAL, _MEMBER = 0, 6
_SUM = 1


def converters() -> dict[type, Any]:
    """Returns the converter of each estimator, as skl2onnx takes them."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return {
        HistGradientBoostingClassifier: _convert_classifier,
        HistGradientBoostingRegressor: _convert_regressor,
    }


def check(estimator: Any) -> None:
    """Checks that an estimator can be converted.

    Raises:
        NotSaved: if it was fitted by an old scikit-learn, or has categories that are texts, which
            a step before it cannot give beside numbers.
    """
    for column in numbered_columns(estimator):
        if any(isinstance(category, str) for category in column.get("categories", ())):
            raise NotSaved(
                f"column {column['name']!r} reaches {type(estimator).__name__} as texts, which the "
                "steps of a converted pipeline cannot pass on beside numbers; encode it in the "
                "pipeline with OrdinalEncoder, or save the estimator alone, fitted on a frame with "
                'categorical_features="from_dtype"'
            )


def raise_opset(document: Any) -> None:
    """Gives a converted file that has trees of doubles the version of their operator."""
    if any(node.op_type == _OPERATOR for node in document.graph.node):
        for opset in document.opset_import:
            if opset.domain == _DOMAIN:
                opset.version = max(opset.version, _VERSION)


def _convert_regressor(scope: Any, operator: Any, container: Any) -> None:
    graph = _Graph(scope, container)
    sums = _sums(graph, operator)
    if last_step(operator.raw_operator) == "exponential":
        sums = graph.node("Exp", [sums], 13)
    graph.output(sums, operator.outputs[0])


def _convert_classifier(scope: Any, operator: Any, container: Any) -> None:
    import numpy as np

    graph = _Graph(scope, container)
    sums = _sums(graph, operator)
    if last_step(operator.raw_operator) == "logistic":
        column = graph.constant("zero", np.zeros(1))
        is_second = graph.node("Greater", [sums, column], 13)
        index = graph.node("Cast", [is_second], 13, to=7)
        flat = graph.constant("flat", np.array([-1], dtype=np.int64))
        index = graph.node("Reshape", [index, flat], 14)
        second = graph.node("Sigmoid", [sums], 13)
        first = graph.node("Sub", [graph.constant("one", np.ones(1)), second], 14)
        probabilities = graph.node("Concat", [first, second], 13, axis=1)
    else:
        index = graph.node("ArgMax", [sums], 13, axis=1, keepdims=0)
        probabilities = graph.node("Softmax", [sums], 13, axis=1)

    classes = class_values(operator.raw_operator.classes_)
    dtype = object if isinstance(classes[0], str) else np.int64
    labels = graph.constant("classes", np.array(classes, dtype=dtype))
    graph.output(graph.node("Gather", [labels, index], 13, axis=0), operator.outputs[0])
    graph.output(probabilities, operator.outputs[1])


def _sums(graph: _Graph, operator: Any) -> str:
    """Writes the trees, and the numbers that the sums begin with."""
    model = operator.raw_operator
    rows = graph.node("Cast", [operator.inputs[0].full_name], 13, to=11)
    version = _VERSION_WHILE_CONVERTING
    trees = graph.node(_OPERATOR, [rows], version, _DOMAIN, **_attributes(model))
    baseline = graph.constant("baseline", model._baseline_prediction.reshape(1, -1))
    return graph.node("Add", [trees, baseline], 14)


class _Graph:
    """Adds nodes to a graph, with names of their own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope = scope
        self._container = container

    def node(
        self, kind: str, inputs: list[str], version: int, domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node; returns the name of its output."""
        output = self._scope.get_unique_variable_name(kind.lower())
        self._add(kind, inputs, output, version, domain, attributes)
        return output

    def output(self, name: str, variable: Any) -> None:
        """Gives a tensor the type and the name of an output of the estimator."""
        from skl2onnx.common.data_types import guess_proto_type

        kind = guess_proto_type(variable.type)
        is_text = kind == 8
        self._add(
            "Identity" if is_text else "Cast",
            [name],
            variable.full_name,
            13,
            "",
            {} if is_text else {"to": kind},
        )

    def constant(self, name: str, values: Any) -> str:
        """Adds a tensor of doubles, whole numbers or texts; returns its name."""
        kinds = {"f": 11, "i": 7, "O": 8}
        name = self._scope.get_unique_variable_name(name)
        flat = values.ravel().tolist()
        flat = [value.encode() if isinstance(value, str) else value for value in flat]
        self._container.add_initializer(name, kinds[values.dtype.kind], list(values.shape), flat)
        return name

    def _add(
        self,
        kind: str,
        inputs: list[str],
        output: str,
        version: int,
        domain: str,
        attributes: dict[str, Any],
    ) -> None:
        self._container.add_node(
            kind,
            inputs,
            output,
            op_domain=domain,
            op_version=version,
            name=self._scope.get_unique_operator_name(kind),
            **attributes,
        )


def _attributes(model: Any) -> dict[str, Any]:
    """Returns the attributes of ``TreeEnsemble``."""
    from onnx import TensorProto
    from onnx.helper import make_tensor

    lists = _Lists(numbered_columns(model))
    for round_ in model._predictors:
        for output, predictor in enumerate(round_):
            lists.add(predictor, output)

    def tensor(name: str, kind: int, values: list[Any]) -> Any:
        return make_tensor(name, kind, [len(values)], values)

    attributes = {
        "aggregate_function": _SUM,
        "post_transform": 0,
        "n_targets": model.n_trees_per_iteration_,
        "tree_roots": lists.roots,
        "nodes_modes": tensor("nodes_modes", TensorProto.UINT8, lists.modes),
        "nodes_splits": tensor("nodes_splits", TensorProto.DOUBLE, lists.splits),
        "nodes_featureids": lists.features,
        "nodes_missing_value_tracks_true": lists.missing_is_true,
        "nodes_truenodeids": lists.true_nodes,
        "nodes_trueleafs": lists.true_leaves,
        "nodes_falsenodeids": lists.false_nodes,
        "nodes_falseleafs": lists.false_leaves,
        "leaf_targetids": lists.leaf_outputs,
        "leaf_weights": tensor("leaf_weights", TensorProto.DOUBLE, lists.leaf_weights),
    }
    if lists.members:
        members = tensor("membership_values", TensorProto.DOUBLE, lists.members)
        attributes["membership_values"] = members
    return attributes


class _Lists:
    """The lists of ``TreeEnsemble``: an element for each branch, and for each leaf."""

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self._columns = columns
        self.roots: list[int] = []
        self.modes: list[int] = []
        self.splits: list[float] = []
        self.features: list[int] = []
        self.missing_is_true: list[int] = []
        self.true_nodes: list[int] = []
        self.true_leaves: list[int] = []
        self.false_nodes: list[int] = []
        self.false_leaves: list[int] = []
        self.leaf_outputs: list[int] = []
        self.leaf_weights: list[float] = []
        self.members: list[float] = []

    def add(self, predictor: Any, output: int) -> None:
        """Adds a tree."""
        nodes = predictor.nodes
        is_leaf = nodes["is_leaf"].astype(bool).tolist()
        places = self._places(is_leaf)
        self.roots.append(len(self.modes))
        for index, node in enumerate(nodes):
            if is_leaf[index]:
                self.leaf_outputs.append(output)
                self.leaf_weights.append(float(node["value"]))
            else:
                self._add_split(predictor, node, is_leaf, places)
        if len(nodes) == 1:
            self._add_branch(_LESS_OR_EQUAL, 0.0, 0, False, (places[0], 1), (places[0], 1))

    def _places(self, is_leaf: list[bool]) -> list[int]:
        """Returns the place that each node will have among the branches or the leaves."""
        branches, leaves = len(self.modes), len(self.leaf_weights)
        places = []
        for ends in is_leaf:
            places.append(leaves if ends else branches)
            leaves += ends
            branches += not ends
        return places

    def _add_split(self, predictor: Any, node: Any, is_leaf: list[bool], places: list[int]) -> None:
        left, right = (
            (places[child], int(is_leaf[child]))
            for child in (int(node["left"]), int(node["right"]))
        )
        column = self._columns[int(node["feature_idx"])]
        missing_left = bool(node["missing_go_to_left"])
        if not node["is_categorical"]:
            threshold = float(node["num_threshold"])
            self._add_branch(_LESS_OR_EQUAL, threshold, column["number"], missing_left, left, right)
            return

        # What is no member, missing and unknown numbers among it, takes the other side.
        words = predictor.raw_left_cat_bitsets[int(node["bitset_idx"])].tolist()
        categories = column["categories"]
        is_left = [bool(words[code // 32] >> code % 32 & 1) for code in range(len(categories))]
        pairs = zip(categories, is_left, strict=True)
        members = [float(value) for value, goes_left in pairs if goes_left != missing_left]
        self.members += [*members, float("nan")]
        yes, no = (right, left) if missing_left else (left, right)
        self._add_branch(_MEMBER, 0.0, column["number"], False, yes, no)

    def _add_branch(
        self,
        mode: int,
        split: float,
        feature: int,
        missing_is_true: bool,
        yes: tuple[int, int],
        no: tuple[int, int],
    ) -> None:
        self.modes.append(mode)
        self.splits.append(split)
        self.features.append(feature)
        self.missing_is_true.append(int(missing_is_true))
        self.true_nodes.append(yes[0])
        self.true_leaves.append(yes[1])
        self.false_nodes.append(no[0])
        self.false_leaves.append(no[1])
