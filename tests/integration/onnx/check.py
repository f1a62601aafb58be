"""Checks exported ONNX files against onnx's checker and OpenCV's dnn: check.py FOLDER < list of export_cases."""
import sys
from pathlib import Path

import cv2
import numpy
import onnx
import onnx.helper
import onnx.numpy_helper

TOLERANCE = 1e-4  # of the largest output


def for_opencv(model):
    """OpenCV 4.6 knows Clip as it was before opset 11 only: its ends, which are weights now, as attributes."""
    weights = {i.name: onnx.numpy_helper.to_array(i) for i in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Clip":
            for end, name in zip(("min", "max"), node.input[1:]):
                node.attribute.append(onnx.helper.make_attribute(end, float(weights[name])))
            del node.input[1:]
    return model.SerializeToString()


def problem_of(folder, name, shape, outputs):
    """What is wrong with one case, or None."""
    path = str(folder / (name + ".onnx"))
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    graph = inferred.graph
    if [i.name for i in graph.input] != ["image"] or [o.name for o in graph.output] != ["logits"]:
        return "inputs or outputs have other names"
    names = [n.name for n in graph.node] + [i.name for i in graph.initializer]
    if len(set(names)) != len(names):
        return "names are not unique"
    images = numpy.fromfile(folder / (name + ".input"), numpy.float32).reshape(shape)
    want = numpy.fromfile(folder / (name + ".output"), numpy.float32).reshape(shape[0], outputs)
    net = cv2.dnn.readNetFromONNX(for_opencv(model))
    for image, expected in zip(images, want):
        net.setInput(image[None], "image")
        got = net.forward().reshape(-1)
        if got.shape != expected.shape:
            return f"{got.size} outputs, not {expected.size}"
        error = numpy.abs(got - expected).max() / numpy.abs(expected).max()
        if not error <= TOLERANCE:
            return f"outputs differ by {error:.2g} of the largest"
    return None


def main():
    folder = Path(sys.argv[1])
    cases = [line.split() for line in sys.stdin]
    print(f"1..{len(cases)}")
    failed = 0
    for number, (name, *numbers) in enumerate(cases, 1):
        *shape, outputs = map(int, numbers)
        try:
            problem = problem_of(folder, name, shape, outputs)
        except Exception as error:  # of any of the three libraries: this case failed
            problem = f"{type(error).__name__}: {error}".replace("\n", " ")
        failed += problem is not None
        print(f"{'ok' if problem is None else 'not ok'} {number} - {name}" + (f" # {problem}" if problem else ""))
    print(f"# {len(cases) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not cases else 0)


main()
