"""The GPU measurements of plan/plan.json, the same as those of package plan (plan/plan.go).

A measurement is (what, shape), the shape a dict of numbers in a fixed order. Needs nothing but Python.
"""
import json
import pathlib


def read():
    return json.loads((pathlib.Path(__file__).parent / "plan" / "plan.json").read_text())


def measurements():
    p = read()
    everything = [("copy", {"bytes": p["copy_bytes"]})]
    weights = [w for m in p["models"] for w in m["weights"]]
    for what in ["gemm-forward", "gemm-input-gradient", "nf4-forward", "nf4-input-gradient"]:
        everything += [(what, {"in": i, "out": o, "tokens": t}) for i, o in weights for t in p["tokens"]]
    everything += [("decode", {"in": i, "out": o}) for i, o in weights]
    for what in ["attention-forward", "attention-backward"]:
        everything += [(what, {"heads": m["heads"], "kv_heads": m["kv_heads"], "head_dim": m["head_dim"], "tokens": t})
                       for m in p["models"] for t in p["tokens"]]
    everything += [("cross-entropy", {"tokens": t, "vocabulary": p["vocabulary"]}) for t in p["tokens"]]
    a = p["adapter"]
    shape = {"parameters": a["layers"] * a["rank"] * sum(i + o for i, o in a["weights"]), "tensors": 2 * a["layers"] * len(a["weights"])}
    return everything + [("adamw", shape), ("adamw-8bit", shape)]


def adapter(tensors):
    """Returns the shapes of that many of an adapter's tensors, as for adamw."""
    a = read()["adapter"]
    return [shape for _ in range(a["layers"]) for i, o in a["weights"] for shape in [(a["rank"], i), (o, a["rank"])]][:tensors]


def small(everything):
    """Returns the measurements at shapes that a CPU completes at once: a smoke test, not a benchmark."""
    least = {"bytes": 1 << 16, "in": 128, "out": 192, "tokens": 48, "heads": 4, "kv_heads": 2, "vocabulary": 1000, "tensors": 4}
    few = []
    for what, shape in everything:
        shape = {name: min(value, least.get(name, value)) for name, value in shape.items()}
        if "tensors" in shape:
            shape["parameters"] = sum(rows * columns for rows, columns in adapter(shape["tensors"]))
        if (what, shape) not in few:
            few.append((what, shape))
    return few


def cost(what, shape):
    """Returns (operations, bytes) as counted by plan.go's Cost."""
    s = shape
    if what == "copy":
        return 0, 2 * s["bytes"]
    if what in ("gemm-forward", "gemm-input-gradient", "nf4-forward", "nf4-input-gradient"):
        weight = s["in"] * s["out"]
        return 2 * weight * s["tokens"], weight * (2 if what[0] == "g" else NF4_BYTES) + 2 * s["tokens"] * (s["in"] + s["out"])
    if what == "decode":
        return 0, s["in"] * s["out"] * (NF4_BYTES + 2)
    if what in ("attention-forward", "attention-backward"):
        forward = what == "attention-forward"
        pairs, row = s["tokens"] * (s["tokens"] + 1) // 2, 2 * s["tokens"] * s["head_dim"]
        rows = (2 if forward else 4) * (s["heads"] + s["kv_heads"])
        return (2 if forward else 5) * 2 * s["heads"] * s["head_dim"] * pairs, row * rows + 4 * s["heads"] * s["tokens"]
    if what == "cross-entropy":
        return 0, 2 * 2 * s["tokens"] * s["vocabulary"]
    if what == "adamw":
        return 0, 28 * s["parameters"]
    if what == "adamw-8bit":
        return 0, (12 + 4 * (1 + 4 / 256)) * s["parameters"]
    raise ValueError(what)


NF4_BYTES = 0.5 + 4 / 64  # a 4-bit weight, with a 32-bit scale per 64
