"""The speed of a program that writes text token by token to standard output.

usage: streamed.py NAME TOKENS COMMAND...

TOKENS is how many it writes. Prints the name, the tokens/s between its first and its last
output, so that loading and the prompt do not count, and its peak resident memory in GiB.
"""
import os
import resource
import subprocess
import sys
import tempfile
import time

name, tokens, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
log = tempfile.TemporaryFile()
program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
first = last = None
while text := os.read(program.stdout.fileno(), 1 << 16):
    last = time.perf_counter()
    first = first or last
if program.wait() != 0 or last == first:
    log.seek(0)
    sys.exit(f"{' '.join(command)} failed:\n{log.read().decode(errors='replace')}")
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
print(f"{name:28} {(tokens - 1) / (last - first):8.1f} {peak:7.2f}", flush=True)
