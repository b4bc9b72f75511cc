package launch

import (
	"cmp"
	"fmt"
	"net"
	"strconv"
)

// A launcher is one way to start ranks. The first of the table whose variables are there
// is the one that started this process.
type launcher struct {
	present func(getenv func(string) string) bool
	read    func(getenv func(string) string) (Launch, error)
}

// launchers in the order in which they are looked for, the innermost first: torchrun may
// run under srun or mpirun, one on each host, and mpirun in a job of Slurm or a pod of a
// PyTorchJob, whose variables are then still there.
var launchers = []launcher{
	{all("TORCHELASTIC_RUN_ID", "LOCAL_RANK"), torchrun},
	{all("OMPI_COMM_WORLD_SIZE"), openMPI},
	{all("MV2_COMM_WORLD_SIZE"), mvapich},
	{all("PMI_SIZE", "PMI_RANK"), pmi},
	{all("PMIX_RANK", "SLURM_STEP_ID"), srunPMIx},
	{all("PMIX_RANK"), pmix},
	{all("RANK", "WORLD_SIZE", "LOCAL_RANK"), torchNames},
	{all("RANK", "WORLD_SIZE"), pods},
	{all("SLURM_STEP_ID", "SLURM_PROCID"), srun},
}

// all returns whether all variables are set.
func all(names ...string) func(getenv func(string) string) bool {
	return func(getenv func(string) string) bool {
		for _, name := range names {
			if getenv(name) == "" {
				return false
			}
		}
		return true
	}
}

const (
	openMPIName = "mpirun of Open MPI"
	hydraName   = "mpirun of MPICH"
)

// names reads a launcher that says everything by four variables.
func names(getenv func(string) string, l Launch, rank, size, localRank, localSize string) (Launch, error) {
	var err error
	if l.Rank, err = number(getenv, rank, l.By); err != nil {
		return l, err
	}
	if l.Size, err = number(getenv, size, l.By); err != nil {
		return l, err
	}
	l.LocalRank, l.LocalSize = optional(getenv, localRank, -1), optional(getenv, localSize, 0)
	return l, nil
}

func openMPI(getenv func(string) string) (Launch, error) {
	l := Launch{
		By: openMPIName, Engine: MPI, OpenMPI: true,
		Remedy: "mpirun and the library are of different MPIs; set QLORA_MPI_LIBRARY to the libmpi.so.40 of mpirun's installation, or use the library's own mpirun",
	}
	return names(getenv, l, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE")
}

func mvapich(getenv func(string) string) (Launch, error) {
	l := Launch{By: "mpirun of MVAPICH", Engine: MPI, Remedy: "mpirun and the library are of different MPIs; set QLORA_MPI_LIBRARY to the libmpi.so.12 of mpirun's installation"}
	return names(getenv, l, "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK", "MV2_COMM_WORLD_LOCAL_SIZE")
}

// pmi reads the variables of hydra, the launcher of MPICH and Intel MPI, and of
// srun --mpi=pmi2, which has no MPI_LOCALRANKID.
func pmi(getenv func(string) string) (Launch, error) {
	if getenv("MPI_LOCALRANKID") == "" && getenv("SLURM_STEP_ID") != "" {
		l := Launch{By: "srun --mpi=pmi2", Engine: MPI, Remedy: "this MPI does not read PMI2; use `srun --mpi=pmix` for Open MPI"}
		l, err := names(getenv, l, "PMI_RANK", "PMI_SIZE", "SLURM_LOCALID", "")
		l.Restarts = optional(getenv, "SLURM_RESTART_COUNT", 0)
		return l, err
	}
	l := Launch{
		By: hydraName, Engine: MPI,
		Remedy: "mpirun and the library are of different MPIs; set QLORA_MPI_LIBRARY to the libmpi.so.12 of mpirun's installation, or use the library's own mpirun",
	}
	if getenv("I_MPI_ROOT") != "" || getenv("I_MPI_HYDRA_UUID") != "" {
		l.By = "mpirun of Intel MPI"
	}
	return names(getenv, l, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS")
}

func srunPMIx(getenv func(string) string) (Launch, error) {
	l := Launch{
		By: "srun --mpi=pmix", Engine: MPI, OpenMPI: true,
		Remedy: "this MPI does not read PMIx; use `srun --mpi=pmi2` for MPICH and Intel MPI, or set QLORA_MPI_LIBRARY to Open MPI's libmpi.so.40",
	}
	return slurm(getenv, l)
}

// pmix is a launcher that says this process's rank only.
func pmix(getenv func(string) string) (Launch, error) {
	l := Launch{By: "a launcher with PMIx", Engine: MPI, OpenMPI: true, LocalRank: -1}
	var err error
	l.Rank, err = number(getenv, "PMIX_RANK", l.By)
	return l, err
}

// slurm reads the variables that srun gives to a step; those of a batch script have other
// meanings, so it counts only where there is a step.
func slurm(getenv func(string) string, l Launch) (Launch, error) {
	size := "SLURM_STEP_NUM_TASKS"
	if getenv(size) == "" {
		size = "SLURM_NTASKS"
	}
	l, err := names(getenv, l, "SLURM_PROCID", size, "SLURM_LOCALID", "")
	l.Restarts = optional(getenv, "SLURM_RESTART_COUNT", 0)
	return l, err
}

// srun is Slurm's launcher without an interface for MPI (--mpi=none, the usual default):
// rank 0 listens on the step's first host, on a port that follows from the job's number.
func srun(getenv func(string) string) (Launch, error) {
	l, err := slurm(getenv, Launch{By: "srun", Engine: NCCL, Remedy: "use `srun --mpi=pmi2` for MPICH and Intel MPI, `srun --mpi=pmix` for Open MPI"})
	if err != nil || l.Size == 1 {
		return l, err
	}
	job, step := optional(getenv, "SLURM_JOB_ID", 0), getenv("SLURM_STEP_ID")
	host := getenv("MASTER_ADDR")
	if host == "" {
		nodes := cmp.Or(getenv("SLURM_STEP_NODELIST"), getenv("SLURM_JOB_NODELIST"))
		if host, err = FirstHost(nodes); err != nil {
			return l, fmt.Errorf("srun's list of hosts %s: %w; set MASTER_ADDR to the host of rank 0", short(nodes), err)
		}
	}
	port := cmp.Or(getenv("MASTER_PORT"), strconv.Itoa(firstPort+job%ports))
	l.Store = Store{Address: net.JoinHostPort(host, port), Key: fmt.Sprintf("qlora/%d.%s/%d", job, step, l.Restarts)}
	return l, nil
}

// The ports of rank 0 under srun: above those of services, below those that Linux gives to
// connections.
const (
	firstPort = 15000
	ports     = 16000
)

// torchrun, also under `accelerate launch` and Kubeflow: the agent listens on MASTER_PORT
// itself, which stays the same when it restarts the ranks.
func torchrun(getenv func(string) string) (Launch, error) {
	l, err := torch(getenv, "torchrun")
	l.Restarts = optional(getenv, "TORCHELASTIC_RESTART_COUNT", 0)
	l.Store.Held = getenv("TORCHELASTIC_USE_AGENT_STORE") == "True"
	l.Store.Key = fmt.Sprintf("qlora/%s/%d", getenv("TORCHELASTIC_RUN_ID"), l.Restarts)
	return l, err
}

// torchNames are the variables that PyTorch's init_process_group reads, as Ray Train,
// DeepSpeed and scripts set them.
func torchNames(getenv func(string) string) (Launch, error) {
	return torch(getenv, "the launcher that set RANK, WORLD_SIZE and LOCAL_RANK")
}

func torch(getenv func(string) string, by string) (Launch, error) {
	l, err := names(getenv, Launch{By: by, Engine: NCCL}, "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
	if err != nil || l.Size == 1 {
		return l, err
	}
	host, port := getenv("MASTER_ADDR"), getenv("MASTER_PORT")
	if host == "" || port == "" {
		return l, fmt.Errorf("%s has not set MASTER_ADDR and MASTER_PORT, where the %d ranks meet; set them to rank 0's host and a free port", by, l.Size)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return l, fmt.Errorf("%s has set MASTER_PORT=%s, which is not a port", by, short(port))
	}
	l.Store = Store{Address: net.JoinHostPort(host, port), Key: "qlora/torch/0"}
	return l, nil
}

// pods is a job of pods (PyTorchJob, PAI-DLC): RANK and WORLD_SIZE count pods, and each
// runs one process, unless torchrun is meant to start several in each.
func pods(getenv func(string) string) (Launch, error) {
	const by = "the job that set RANK and WORLD_SIZE"
	if n := optional(getenv, "PET_NPROC_PER_NODE", 1); n > 1 {
		return Launch{}, fmt.Errorf("this pod is to run %d ranks (PET_NPROC_PER_NODE), which torchrun starts; make the command `torchrun --no-python qlora train …`", n)
	}
	l, err := torch(getenv, by)
	l.LocalRank, l.LocalSize = 0, 1
	return l, err
}
