#!/bin/bash
# Hosts that ssh reaches, with an mpirun on each: mpirun.sh HOST:GPUS[,HOST:GPUS…]
#
# Every host needs qlora, the same MPI, the model and the records at the same paths; only the first one needs the output folder.
# SIGUSR1 to mpirun saves a checkpoint and ends the run, also where SIGTERM leaves no time to save.
set -eu
hosts=$1
ranks=$(tr , '\n' <<<"$hosts" | awk -F: '{ n += $2 } END { print n }')
train=(qlora train --config configs/chat.yaml --model ./Llama-3.1-8B --dataset chats.jsonl --output_dir out --resume_from_checkpoint)

if mpirun --version | grep -q 'Open MPI'; then
  # Open MPI binds a rank to one core unless it is told not to.
  exec mpirun -n "$ranks" --host "$hosts" --bind-to none "${train[@]}"
fi
exec mpirun -n "$ranks" -hosts "$hosts" "${train[@]}"
