#!/bin/bash
# Slurm: sbatch configs/launchers/slurm.sh
#
# One task a GPU. The GPUs are connected by NCCL, and the ranks meet on the first host; no MPI is needed. For other devices than
# GPUs add --mpi=pmi2 (MPICH, Intel MPI) or --mpi=pmix (Open MPI) to srun.
#SBATCH --job-name=qlora
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=8
#SBATCH --time=08:00:00
#SBATCH --signal=USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append

# Three minutes before the limit every rank gets SIGUSR1; rank 0 saves a checkpoint, and all end with 138. The job then goes on
# where it stopped, on as many nodes as it gets. A rank that dies ends the others (--kill-on-bad-exit).
srun --kill-on-bad-exit=1 --cpu-bind=none \
  qlora train --config configs/chat.yaml --model meta-llama/Llama-3.1-8B --dataset /data/chats.jsonl --output_dir /shared/out \
    --world_size 16 --resume_from_checkpoint --ddp_timeout 600
code=$?
if [ $code -eq 138 ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
