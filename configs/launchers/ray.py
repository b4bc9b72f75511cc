#!/usr/bin/env python3
"""Ray: ray job submit --working-dir configs/launchers -- python ray.py GPUS qlora train …

Each rank is an actor with a GPU that starts the program; Ray places them on the hosts of the cluster. Ray itself is all that is needed of Python.
"""

import os
import socket
import subprocess
import sys

import ray


@ray.remote(num_gpus=1)
class Rank:
    def __init__(self, rank, size):
        self.environment = {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": "0"}  # it sees one GPU

    def address(self):
        """Returns this host's address and a free port."""
        with socket.socket() as s:
            s.bind(("", 0))
            return ray.util.get_node_ip_address(), s.getsockname()[1]

    def run(self, address, port, command):
        where = {"MASTER_ADDR": address, "MASTER_PORT": str(port)}
        return subprocess.run(command, env=os.environ | self.environment | where, check=False).returncode


def main():
    size, command = int(sys.argv[1]), sys.argv[2:]
    ranks = [Rank.remote(rank, size) for rank in range(size)]
    address, port = ray.get(ranks[0].address.remote())
    running = [rank.run.remote(address, port, command) for rank in ranks]
    while running:  # the first error ends all: the others would wait for the deadline
        done, running = ray.wait(running)
        if code := ray.get(done[0]):
            sys.exit(code)


if __name__ == "__main__":
    main()
