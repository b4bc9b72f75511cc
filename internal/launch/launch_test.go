package launch_test

import (
	"maps"
	"strings"
	"testing"

	"qlora/internal/launch"
)

// environment is a process's variables.
type environment map[string]string

func (e environment) get(name string) string { return e[name] }

// with returns the variables with others, which take precedence.
func (e environment) with(more environment) environment {
	all := environment{}
	for _, part := range []environment{e, more} {
		maps.Copy(all, part)
	}
	return all
}

var (
	// The variables as the launchers set them for rank 3 of 4, the second rank of the
	// second host.
	openMPI   = environment{"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_LOCAL_RANK": "1", "OMPI_COMM_WORLD_LOCAL_SIZE": "2", "PMIX_RANK": "3", "PMIX_NAMESPACE": "prterun-a-7@1"}
	hydra     = environment{"PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "9", "MPI_LOCALRANKID": "1", "MPI_LOCALNRANKS": "2"}
	step      = environment{"SLURM_JOB_ID": "4711", "SLURM_STEP_ID": "0", "SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_NNODES": "2", "SLURM_STEP_NODELIST": "gpu[07-08]", "SLURM_JOB_NODELIST": "gpu[07-08]"}
	batch     = environment{"SLURM_JOB_ID": "4711", "SLURM_PROCID": "0", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0", "SLURM_NODEID": "0", "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "gpu[07-08]"}
	torchrun  = environment{"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "1", "MASTER_ADDR": "gpu07", "MASTER_PORT": "29500", "TORCHELASTIC_RESTART_COUNT": "2", "TORCHELASTIC_MAX_RESTARTS": "3", "TORCHELASTIC_RUN_ID": "a1", "TORCHELASTIC_USE_AGENT_STORE": "True", "OMP_NUM_THREADS": "1"}
	torchName = environment{"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.7", "MASTER_PORT": "29500"}
	pod       = environment{"RANK": "3", "WORLD_SIZE": "4", "MASTER_ADDR": "job-master-0", "MASTER_PORT": "23456"}
)

func TestRead(t *testing.T) {
	type want struct {
		by         string
		rank, size int
		localRank  int
		localSize  int
		engine     launch.Engine
		openMPI    bool
		store      launch.Store
		restarts   int
	}
	srunStore := launch.Store{Address: "gpu07:19711", Key: "qlora/4711.0/0"}
	for _, c := range []struct {
		name string
		env  environment
		want want
	}{
		{"alone", environment{"PATH": "/bin"}, want{localRank: -1, engine: launch.None}},
		{"Open MPI", openMPI, want{"mpirun of Open MPI", 3, 4, 1, 2, launch.MPI, true, launch.Store{}, 0}},
		{"MPICH", hydra, want{"mpirun of MPICH", 3, 4, 1, 2, launch.MPI, false, launch.Store{}, 0}},
		{"Intel MPI", hydra.with(environment{"I_MPI_ROOT": "/opt/intel"}), want{"mpirun of Intel MPI", 3, 4, 1, 2, launch.MPI, false, launch.Store{}, 0}},
		{"MVAPICH", environment{"MV2_COMM_WORLD_RANK": "3", "MV2_COMM_WORLD_SIZE": "4", "MV2_COMM_WORLD_LOCAL_RANK": "1", "MV2_COMM_WORLD_LOCAL_SIZE": "2"}, want{"mpirun of MVAPICH", 3, 4, 1, 2, launch.MPI, false, launch.Store{}, 0}},
		{"mpirun of Open MPI in a job of Slurm", batch.with(openMPI), want{"mpirun of Open MPI", 3, 4, 1, 2, launch.MPI, true, launch.Store{}, 0}},
		{"mpirun of MPICH in a job of Slurm", step.with(hydra), want{"mpirun of MPICH", 3, 4, 1, 2, launch.MPI, false, launch.Store{}, 0}},
		{"mpirun in a pod of a PyTorchJob", pod.with(environment{"RANK": "0", "WORLD_SIZE": "1"}).with(openMPI), want{"mpirun of Open MPI", 3, 4, 1, 2, launch.MPI, true, launch.Store{}, 0}},
		{"srun --mpi=pmi2", step.with(environment{"PMI_RANK": "3", "PMI_SIZE": "4", "PMI_FD": "9", "SLURM_MPI_TYPE": "pmi2", "SLURM_RESTART_COUNT": "1"}), want{"srun --mpi=pmi2", 3, 4, 1, 0, launch.MPI, false, launch.Store{}, 1}},
		{"srun --mpi=pmix", step.with(environment{"PMIX_RANK": "3", "PMIX_NAMESPACE": "slurm.pmix.4711.0"}), want{"srun --mpi=pmix", 3, 4, 1, 0, launch.MPI, true, launch.Store{}, 0}},
		{"a launcher with PMIx only", environment{"PMIX_RANK": "3"}, want{"a launcher with PMIx", 3, 0, -1, 0, launch.MPI, true, launch.Store{}, 0}},
		{"srun --mpi=none", step, want{"srun", 3, 4, 1, 0, launch.NCCL, false, srunStore, 0}},
		{"srun of fewer tasks than the job", step.with(environment{"SLURM_STEP_NUM_TASKS": "8", "SLURM_NTASKS": "16"}), want{"srun", 3, 8, 1, 0, launch.NCCL, false, srunStore, 0}},
		{"srun with a port", step.with(environment{"MASTER_ADDR": "ib07", "MASTER_PORT": "30000"}), want{"srun", 3, 4, 1, 0, launch.NCCL, false, launch.Store{Address: "ib07:30000", Key: "qlora/4711.0/0"}, 0}},
		{"srun of one task", step.with(environment{"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_LOCALID": "0"}), want{"srun", 0, 1, 0, 0, launch.NCCL, false, launch.Store{}, 0}},
		{"a batch script", batch, want{localRank: -1, engine: launch.None}},
		{"torchrun", torchrun, want{"torchrun", 3, 4, 1, 2, launch.NCCL, false, launch.Store{Address: "gpu07:29500", Key: "qlora/a1/2", Held: true}, 2}},
		{"torchrun that keeps no store", torchrun.with(environment{"TORCHELASTIC_USE_AGENT_STORE": "False"}), want{"torchrun", 3, 4, 1, 2, launch.NCCL, false, launch.Store{Address: "gpu07:29500", Key: "qlora/a1/2"}, 2}},
		{"torchrun under srun --mpi=pmi2", step.with(environment{"PMI_RANK": "1", "PMI_SIZE": "2"}).with(torchrun), want{"torchrun", 3, 4, 1, 2, launch.NCCL, false, launch.Store{Address: "gpu07:29500", Key: "qlora/a1/2", Held: true}, 2}},
		{"Ray", torchName, want{"the launcher that set RANK, WORLD_SIZE and LOCAL_RANK", 3, 4, 1, 2, launch.NCCL, false, launch.Store{Address: "10.0.0.7:29500", Key: "qlora/torch/0"}, 0}},
		{"an address of IPv6", torchName.with(environment{"MASTER_ADDR": "fd00::7"}), want{"the launcher that set RANK, WORLD_SIZE and LOCAL_RANK", 3, 4, 1, 2, launch.NCCL, false, launch.Store{Address: "[fd00::7]:29500", Key: "qlora/torch/0"}, 0}},
		{"PyTorchJob", pod, want{"the job that set RANK and WORLD_SIZE", 3, 4, 0, 1, launch.NCCL, false, launch.Store{Address: "job-master-0:23456", Key: "qlora/torch/0"}, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := launch.Read(c.env.get)
			if err != nil {
				t.Fatal(err)
			}
			got := want{l.By, l.Rank, l.Size, l.LocalRank, l.LocalSize, l.Engine, l.OpenMPI, l.Store, l.Restarts}
			if got != c.want {
				t.Errorf("want %+v\ngot  %+v", c.want, got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		name string
		env  environment
		want string
	}{
		{"no rank", environment{"OMPI_COMM_WORLD_SIZE": "4"}, "mpirun of Open MPI has not set OMPI_COMM_WORLD_RANK"},
		{"not a number", openMPI.with(environment{"OMPI_COMM_WORLD_SIZE": "four"}), `OMPI_COMM_WORLD_SIZE="four", which is not a number`},
		{"negative", hydra.with(environment{"PMI_RANK": "-1"}), "not a number"},
		{"a long text", hydra.with(environment{"PMI_RANK": strings.Repeat("9", 1000)}), `9…"`},
		{"rank beyond the size", hydra.with(environment{"PMI_RANK": "4"}), "rank 4 of 4"},
		{"local rank beyond the local size", hydra.with(environment{"MPI_LOCALRANKID": "2"}), "rank 2 of 2 on its host"},
		{"too many", hydra.with(environment{"PMI_SIZE": "1000000"}), "promises 1000000 ranks"},
		{"no store", torchName.with(environment{"MASTER_ADDR": ""}), "has not set MASTER_ADDR and MASTER_PORT"},
		{"no port", torchName.with(environment{"MASTER_PORT": "many"}), `MASTER_PORT="many", which is not a port`},
		{"a pod of several ranks", pod.with(environment{"PET_NPROC_PER_NODE": "8"}), "torchrun --no-python"},
		{"a list of hosts", step.with(environment{"SLURM_STEP_NODELIST": "gpu[07"}), "set MASTER_ADDR to the host of rank 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := launch.Read(c.env.get)
			if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 300 {
				t.Errorf("%+v, error %v; want one with %q", l, err, c.want)
			}
		})
	}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name  string
		env   environment
		asked launch.Engine
		want  launch.Engine
		err   string
	}{
		{"alone", environment{}, launch.Auto, launch.None, ""},
		{"mpirun", openMPI, launch.Auto, launch.MPI, ""},
		{"torchrun", torchrun, launch.Auto, launch.NCCL, ""},
		{"srun", step, launch.Auto, launch.NCCL, ""},
		{"mpirun of one", openMPI.with(environment{"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_LOCAL_RANK": "0"}), launch.Auto, launch.None, ""},
		{"NCCL under mpirun", hydra, launch.NCCL, launch.NCCL, ""},
		{"MPI without a launcher", environment{}, launch.MPI, launch.MPI, ""},
		{"MPI under torchrun", torchrun, launch.MPI, "", "torchrun starts no MPI"},
		{"NCCL alone", environment{}, launch.NCCL, "", "nothing says how many ranks"},
		{"none under mpirun", openMPI, launch.None, launch.None, ""},
		{"another", environment{}, "gloo", "", "it is auto, mpi, nccl or none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := launch.Read(c.env.get)
			if err != nil {
				t.Fatal(err)
			}
			got, err := l.Choose(c.asked)
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || got != c.want {
				t.Errorf("%q, error %v; want %q, error with %q", got, err, c.want, c.err)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name string
		env  environment
		size int
		want string
	}{
		{"as promised", openMPI, 4, ""},
		{"nothing promised", environment{}, 4, ""},
		{"mpirun of Open MPI with MPICH", openMPI, 1, "mpirun of Open MPI started 4 ranks, but MPICH sees 1: mpirun and the library are of different MPIs; set QLORA_MPI_LIBRARY"},
		{"srun --mpi=pmi2 with Open MPI", step.with(environment{"PMI_RANK": "3", "PMI_SIZE": "4"}), 1, "srun --mpi=pmi2 started 4 ranks, but MPICH sees 1: this MPI does not read PMI2"},
		{"srun --mpi=pmix with MPICH", step.with(environment{"PMIX_RANK": "3"}), 1, "use `srun --mpi=pmi2`"},
		{"srun --mpi=none", step, 1, "srun started 4 ranks, but MPICH sees 1: use `srun --mpi=pmi2`"},
		{"fewer", hydra, 2, "started 4 ranks, but MPICH sees 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := launch.Read(c.env.get)
			if err != nil {
				t.Fatal(err)
			}
			err = l.Verify(c.size, "MPICH")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v; want one with %q", err, c.want)
			}
		})
	}
}

func TestFirstHost(t *testing.T) {
	for _, c := range []struct{ list, want, err string }{
		{"login1", "login1", ""},
		{"gpu[07-12,15],login1", "gpu07", ""},
		{"gpu[7,9]", "gpu7", ""},
		{"rack[2-3]node[04-05]-ib", "rack2node04-ib", ""},
		{"a,b[1-2]", "a", ""},
		{"a.example.org,b", "a.example.org", ""},
		{"", "", "names no host"},
		{",a", "", "names no host"},
		{"gpu[07", "", "brackets"},
		{"gpu]07[", "", "brackets"},
		{"gpu[[1]]", "", "brackets"},
		{"gpu[]", "", "empty bracket"},
		{"a b", "", "character"},
		{"a:22", "", "character"},
	} {
		got, err := launch.FirstHost(c.list)
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || got != c.want {
			t.Errorf("FirstHost(%q) = %q, %v; want %q, error with %q", c.list, got, err, c.want, c.err)
		}
	}
}

func FuzzFirstHost(f *testing.F) {
	for _, list := range []string{"login1", "gpu[07-12,15],login1", "rack[2-3]node[04-05]-ib", "gpu[[1]]", "a,"} {
		f.Add(list)
	}
	f.Fuzz(func(t *testing.T, list string) {
		host, err := launch.FirstHost(list)
		if err != nil {
			return
		}
		if host == "" || strings.ContainsAny(host, "[], /:\n") {
			t.Errorf("FirstHost(%q) = %q", list, host)
		}
		if again, err := launch.FirstHost(host); err != nil || again != host {
			t.Errorf("FirstHost(%q) = %q, whose first host is %q, %v", list, host, again, err)
		}
	})
}
