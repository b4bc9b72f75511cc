"""Times the peers of each operation of a QLoRA step: cuBLAS, flash attention, bitsandbytes, through PyTorch.

usage: peers.py [--device cuda|cpu] [--small] [--dry-run] [--only WORD[,WORD]] [--seconds N] [--out FILE]

--small runs each operation once at shapes small enough for a CPU, as a smoke test. --dry-run prints the planned
measurements without PyTorch. --only selects operations whose name contains a word. After --seconds (180) the remaining
operations are reported as skipped.

Prints JSON lines, or writes them to FILE:

    {"header": {"device": ..., "driver": ..., "torch": ..., "cuda": ..., "small": false}}
    {"what": "gemm-forward", "shape": {"in": 4096, "out": 6144, "tokens": 512}, "peer": "cuBLAS (torch.matmul)",
     "ms": 0.05, "spread": 0.01, "rate": 500.1, "unit": "TFLOP/s"}
    {"what": "decode", "shape": {...}, "peer": "bitsandbytes", "skipped": "No module named 'bitsandbytes'"}

rate is the plan's operations or bytes over the time: TFLOP/s, or GB/s of 1e9 bytes where the operation only moves data.
ms is the median of blocks of calls, spread their interquartile range over it. Data is random, never zeros. One operation
may have several peers; compare with the fastest.
"""
import argparse
import json
import subprocess
import sys
import time

import plan


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--dry-run", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
    return parser.parse_args()


def chosen(only):
    words = [w for w in only.split(",") if w]
    return [(what, shape) for what, shape in plan.measurements() if not words or any(w in what for w in words)]


def run(args):
    def emit(line):
        print(json.dumps(line), file=args.out, flush=True)

    todo = chosen(args.only)
    if not todo:
        sys.exit(f"peers.py: --only {args.only} names no operation")
    if args.small:
        todo = plan.small(todo)
    if args.dry_run:
        for what, shape in todo:
            operations, moved = plan.cost(what, shape)
            emit({"what": what, "shape": shape, "operations": operations, "bytes": moved})
        return
    try:
        import peer_operations as operations
    except ImportError as error:
        sys.exit(f"peers.py: {error}; the peers run on PyTorch (--dry-run needs none)")
    try:
        device = operations.open_device(args.device)
    except RuntimeError as error:
        sys.exit(f"peers.py: {error}")
    emit({"header": {**operations.describe(device), "driver": driver() if args.device == "cuda" else "", "small": args.small}})
    began, measured = time.monotonic(), 0
    for what, shape in todo:
        for peer, measure in operations.peers(what):
            line = {"what": what, "shape": shape, "peer": peer}
            if time.monotonic() - began > args.seconds:
                emit({**line, "skipped": f"the {args.seconds:g} seconds were over"})
                continue
            try:
                ms, spread = measure(shape, device, args.small)
            except Exception as error:  # one peer's failure must not stop the others
                emit({**line, "skipped": (str(error).splitlines() or [type(error).__name__])[0][:200]})
                continue
            finally:
                operations.forget(device)
            emit({**line, "ms": ms, "spread": round(spread, 4), **rate(what, shape, ms)})
            measured += 1
    if measured == 0:
        sys.exit("peers.py: nothing could be measured; each line says why")


def rate(what, shape, ms):
    operations, moved = plan.cost(what, shape)
    if operations:
        return {"rate": operations / ms / 1e9, "unit": "TFLOP/s"}
    return {"rate": moved / ms / 1e6, "unit": "GB/s"}


def driver():
    """Returns the NVIDIA driver's version from nvidia-smi."""
    try:
        out = subprocess.run(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True, timeout=30)
        return out.stdout.splitlines()[0].strip()
    except (OSError, subprocess.SubprocessError, IndexError):
        return "unknown"


if __name__ == "__main__":
    run(arguments())
