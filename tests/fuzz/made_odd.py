"""Graphs of what no export of mixkd holds: functions, sparse numbers, foreign operators, other files."""

from onnx import ModelProto, TensorProto, helper

from tests.fuzz.made_common import answer_through, floats, ints


def functions_that_double(model: ModelProto) -> None:
    """Each of 40 functions calls the one before it twice."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    for level in range(40):
        called, domain = (f"F{level - 1}", "local") if level else ("Neg", "")
        calls = [helper.make_node(called, [x], [y], domain=domain) for x, y in (("x", "a"), ("a", "y"))]
        model.functions.append(helper.make_function("local", f"F{level}", ["x"], ["y"], calls, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    answer_through(model, helper.make_node("F39", [ints(model, "x", 1)], ["made"], domain="local"))


def chain_of_functions(model: ModelProto) -> None:
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    for level in range(20_000):
        call = helper.make_node(f"F{level + 1}", ["x"], ["y"], domain="local")
        model.functions.append(helper.make_function("local", f"F{level}", ["x"], ["y"], [call], opsets))
    last = [helper.make_node("Neg", ["x"], ["y"])]
    model.functions.append(helper.make_function("local", "F20000", ["x"], ["y"], last, opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    answer_through(model, helper.make_node("F0", [ints(model, "x", 1)], ["made"], domain="local"))


def function_that_calls_itself(model: ModelProto) -> None:
    opsets = [helper.make_opsetid("local", 1)]
    call = helper.make_node("F", ["x"], ["y"], domain="local")
    model.functions.append(helper.make_function("local", "F", ["x"], ["y"], [call], opsets))
    model.opset_import.append(helper.make_opsetid("local", 1))
    answer_through(model, helper.make_node("F", [ints(model, "x", 1)], ["made"], domain="local"))


def function_of_a_known_name(model: ModelProto) -> None:
    body = [helper.make_node("Loop", ["x", ""], ["y"])]
    model.functions.append(helper.make_function("", "Erf", ["x"], ["y"], body, [helper.make_opsetid("", 18)]))


def sparse(model: ModelProto, place: int) -> None:
    values = helper.make_tensor("made", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [place])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [10]))
    answer_through(model)


def sparse_constant(model: ModelProto) -> None:
    values = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("places", TensorProto.INT64, [1], [2**40])
    made = helper.make_sparse_tensor(values, places, [10])
    answer_through(model, helper.make_node("Constant", [], ["made"], sparse_value=made))


def trees(model: ModelProto) -> None:
    """Trees whose nodes lie far outside of them."""
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    node = helper.make_node(
        "TreeEnsembleRegressor", [floats(model, "x", (1, 1))], ["made"], domain="ai.onnx.ml"
    )
    for name in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids"):
        node.attribute.append(helper.make_attribute(f"nodes_{name}", [2**62]))
    for name in ("target_ids", "target_nodeids", "target_treeids"):
        node.attribute.append(helper.make_attribute(name, [0]))
    node.attribute.append(helper.make_attribute("nodes_values", [1.0]))
    node.attribute.append(helper.make_attribute("nodes_modes", ["BRANCH_LEQ"]))
    node.attribute.append(helper.make_attribute("target_weights", [1.0]))
    node.attribute.append(helper.make_attribute("n_targets", 1))
    answer_through(model, node)


def foreign(model: ModelProto, domain: str, op: str) -> None:
    model.opset_import.append(helper.make_opsetid(domain, 1))
    answer_through(model, helper.make_node(op, ["input_ids"], ["made"], domain=domain))


def outside(model: ModelProto, location: str, *, constant: bool = False) -> None:
    """A tensor whose numbers lie in another file, or in the memory of the process."""
    tensor = TensorProto(name="outside", data_type=TensorProto.FLOAT, dims=[16])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "64")):
        tensor.external_data.add(key=key, value=value)
    if constant:
        node = helper.make_node("Constant", [], ["made"])
        node.attribute.append(helper.make_attribute("value", tensor))
        answer_through(model, node)
    else:
        model.graph.initializer.append(tensor)
        answer_through(model, helper.make_node("Identity", ["outside"], ["made"]))


def shape_of_more(model: ModelProto, dims: list[int]) -> None:
    """An initializer that says it is larger than it is."""
    tensor = TensorProto(name="more", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"\0" * 16)
    model.graph.initializer.append(tensor)
    answer_through(model, helper.make_node("Identity", ["more"], ["made"]))


def number_format(model: ModelProto, kind: int) -> None:
    tensor = TensorProto(name="odd", dims=[4], raw_data=b"\0" * 16)
    tensor.data_type = kind
    model.graph.initializer.append(tensor)
    answer_through(model, helper.make_node("Cast", ["odd"], ["made"], to=TensorProto.FLOAT))


def cycle(model: ModelProto) -> None:
    answer_through(
        model,
        helper.make_node("Add", ["b", ints(model, "one", [1])], ["a"]),
        helper.make_node("Neg", ["a"], ["b"]),
        helper.make_node("Identity", ["b"], ["made"]),
    )


def branches_within_branches(model: ModelProto) -> None:
    inner = helper.make_node("Identity", ["input_ids"], ["deep0"])
    truth = ints(model, "truth", True, TensorProto.BOOL)
    for level in range(20):
        name = inner.output[0]
        output = helper.make_tensor_value_info(name, TensorProto.INT64, None)
        other = helper.make_node("Identity", ["input_ids"], [f"other{level}"])
        outputs = [helper.make_tensor_value_info(other.output[0], TensorProto.INT64, None)]
        inner = helper.make_node(
            "If",
            [truth],
            [f"deep{level + 1}"],
            then_branch=helper.make_graph([inner], "then", [], [output]),
            else_branch=helper.make_graph([other], "else", [], outputs),
        )
    answer_through(model, inner, helper.make_node("Identity", ["deep20"], ["made"]))


def text(model: ModelProto) -> None:
    tensor = TensorProto(name="words", data_type=TensorProto.STRING, dims=[1], string_data=[b"a" * 100])
    model.graph.initializer.append(tensor)
    answer_through(model, helper.make_node("StringNormalizer", ["words"], ["made"]))


def version(model: ModelProto, opset: int, ir: int) -> None:
    model.opset_import[0].version, model.ir_version = opset, ir
