"""One-operator ONNX graphs, run by onnx's reference evaluator and by onnxruntime."""

import numpy as np


def graph(operator, inputs, output_type, domain="", opset=21, **attributes):
    """A model of one operator; inputs are arrays, the first an input of the graph, the others constants."""
    import onnx
    from onnx import helper, numpy_helper

    names = [f"x{k}" for k in range(len(inputs))]
    node = helper.make_node(operator, names, ["y"], domain=domain, **attributes)
    first = helper.make_tensor_value_info("x0", helper.np_dtype_to_tensor_dtype(inputs[0].dtype), inputs[0].shape)
    result = helper.make_tensor_value_info("y", getattr(onnx.TensorProto, output_type), None)
    constants = [numpy_helper.from_array(np.asarray(x), name) for x, name in zip(inputs[1:], names[1:], strict=True)]
    made = helper.make_graph([node], "g", [first], [result], constants)
    opsets = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def reference(model, x):
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(model).run(None, {"x0": x})[0].astype(np.int64)


def runtime(model, x):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x0": x})[0].astype(np.int64)


def matmul_inputs(case, a_type, w_type, y_type):
    """Inputs of QLinearMatMul for a case of `oracle_cases.products`."""
    return [
        case["a"].astype(a_type),
        case["a_scale"],
        np.array(case["a_zero_point"], a_type),
        case["w"].astype(w_type),
        case["w_scale"],
        np.broadcast_to(np.array(case["w_zero_point"], w_type), case["w_scale"].shape),
        case["y_scale"],
        np.array(case["y_zero_point"], y_type),
    ]


def convolution_inputs(case, a_type, w_type, y_type):
    """Inputs of QLinearConv, 1x1 on an image of one row, for the same product with its bias."""
    x = case["a"].T[None, :, None, :].astype(a_type)
    w = case["w"].T[:, :, None, None].astype(w_type)
    inputs = matmul_inputs(case, a_type, w_type, y_type)
    return [x, *inputs[1:3], w, *inputs[4:], case["bias"].astype(np.int32)]
