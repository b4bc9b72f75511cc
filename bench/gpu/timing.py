"""Times a device's work, separately from the host's.

A call is timed in blocks of many, between two events; the result is the median block. The device sleeps while the host
enqueues a block, so that short calls follow each other without the host's gaps. Operands rotate through copies that
together exceed the L2 cache, because a training step finds none of them cached.
"""
import statistics
import time

import torch

WARM, BLOCKS = 3, 15  # warm-up blocks, and measured blocks
BLOCK_SECONDS = 0.004  # target duration of a block
MOST_CALLS, MOST_COPIES = 100, 256  # maximum calls in a block (the launch queue is bounded), and sets of operands
MOST_SLEEP, CYCLES = 0.03, 2e9  # seconds of sleep before a block, and a GPU's cycles in one


def copies(nbytes, device):
    """Returns how many sets of operands of so many bytes exceed four L2 caches."""
    if device.type != "cuda":
        return 2
    l2 = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 64 << 20)
    return min(MOST_COPIES, 1 + (4 * l2) // max(1, nbytes))


class Clock:
    """Measures milliseconds of device time per call between start(calls) and stop(calls)."""

    def __init__(self, device):
        self.cuda = device.type == "cuda"
        self.host = None  # the least seconds in which the host enqueued a call
        if self.cuda:
            self.begin, self.end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def start(self, calls):
        if self.cuda:
            torch.cuda.synchronize()
            if self.host is not None:
                torch.cuda._sleep(int(min(MOST_SLEEP, 1.3 * self.host * calls) * CYCLES))
            self.begin.record()
        self.began = time.perf_counter()

    def stop(self, calls):
        took = time.perf_counter() - self.began
        if not self.cuda:
            return took * 1e3 / calls
        self.host = min(took / calls, self.host or took)
        self.end.record()
        self.end.synchronize()
        return self.begin.elapsed_time(self.end) / calls


def median_ms(call, sets, device, quick=False):
    """Returns (median, spread) in milliseconds of call(*operands), over the sets of operands in turn.

    The spread is the interquartile range over the median. quick runs one block, as a smoke test.
    """
    clock, turn = Clock(device), 0

    def block(n):
        nonlocal turn
        clock.start(n)
        for _ in range(n):
            call(*sets[turn % len(sets)])
            turn += 1
        return clock.stop(n)

    block(len(sets))  # compiles, allocates, chooses an algorithm
    if quick:
        return block(1), 0.0
    n = max(1, min(MOST_CALLS, int(BLOCK_SECONDS * 1e3 / max(1e-4, block(max(3, len(sets)))))))
    for _ in range(WARM):
        block(n)
    times = sorted(block(n) for _ in range(BLOCKS))
    low, middle, high = statistics.quantiles(times, n=4)
    return middle, (high - low) / middle
