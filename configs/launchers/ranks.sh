#!/bin/bash
# Starts the ranks of one host, a GPU each, without any launcher. Run it on every host:
#
#   ranks.sh HOSTS HOST GPUS ADDRESS qlora train …
#
# HOSTS is the number of hosts, HOST this one's number from 0, GPUS the number of its GPUs (the same on all hosts), and ADDRESS
# the name of host 0, where the ranks meet on port 29500 (MASTER_PORT). If a rank ends by an error, the others of the host are
# ended; those of other hosts find out. SIGTERM and SIGUSR1 are passed on: each rank saves and ends.
set -u
hosts=$1 host=$2 gpus=$3
export MASTER_ADDR=$4 MASTER_PORT=${MASTER_PORT:-29500}
shift 4

ranks=()
pass() { for pid in "${ranks[@]}"; do kill -s "$1" "$pid" 2>/dev/null; done; }
trap 'pass TERM' TERM
trap 'pass INT' INT
trap 'pass USR1' USR1
for ((i = 0; i < gpus; i++)); do
  RANK=$((host * gpus + i)) WORLD_SIZE=$((hosts * gpus)) LOCAL_RANK=$i LOCAL_WORLD_SIZE=$gpus "$@" &
  ranks+=($!)
done

code=0
for pid in "${ranks[@]}"; do
  while kill -0 "$pid" 2>/dev/null; do # a signal ends a wait
    wait "$pid"
  done
  wait "$pid"
  one=$?
  if ((one != 0 && code == 0)); then
    code=$one
    pass TERM
  fi
done
exit $code
