// Sharded measures the memory of a run whose ranks share the base: it writes a model with
// random weights, trains it on the CPU as two processes under mpirun, and prints what is
// resident in each beside what `qlora plan` says, as a row of bench/distributed.md.
//
//	make mpi && go build -o build/qlora ./cmd/qlora && go run ./bench/sharded
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"qlora/bindings"
	"qlora/internal/halffloat"
	"qlora/internal/philox"
	"qlora/internal/safetensors"
	"qlora/nn"
	"qlora/nn/family"
)

var (
	program = flag.String("qlora", "build/qlora", "the program")
	mpi     = flag.String("mpi", "build/toolchain/mpich", "folder of MPICH, with bin/mpirun and lib/libmpi.so.12")
	ranks   = flag.Int("ranks", 2, "processes")
	layers  = flag.Int("layers", 28, "of the model, which are 0.1 billion parameters each")
	steps   = flag.Int("steps", 3, "of training")
)

// config is the shape of a model whose layers dominate its embeddings.
const config = `{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": %d,
 "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 4096, "tie_word_embeddings": true, "rms_norm_eps": 1e-5, "dtype": "bfloat16"}`

func main() {
	log.SetFlags(0)
	flag.Parse()
	if err := measure(); err != nil {
		log.Fatal(err)
	}
}

func measure() error {
	dir, err := os.MkdirTemp("", "sharded")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	model := filepath.Join(dir, "model")
	if err := writeModel(model); err != nil {
		return err
	}
	records := filepath.Join(dir, "records.jsonl")
	if err := os.WriteFile(records, []byte(strings.Repeat(`{"input_ids": [5,6,7,8,9,10,11,12], "labels": [-100,6,7,8,9,10,11,12]}`+"\n", 64)), 0o644); err != nil {
		return err
	}
	options := []string{
		"--model", model, "--dataset", records, "--fsdp", "full_shard", "--world_size", strconv.Itoa(*ranks), "--device", "cpu",
		"--per_device_train_batch_size", "1", "--lora_r", "4", "--max_steps", strconv.Itoa(*steps), "--dataset_cache", "false",
	}
	planned, err := plan(append(options, "--ranks", strconv.Itoa(*ranks)))
	if err != nil {
		return err
	}
	out := filepath.Join(dir, "out")
	all, err := train(append(options, "--output_dir", out, "--logging_steps", "1", "--report_to", "none"))
	if err != nil {
		return err
	}
	for rank, m := range all {
		fmt.Printf("| %d of %d | %.1f | %.1f | %+.1f %% | %.1f |\n", rank, *ranks, mib(planned), mib(m.steps), 100*(float64(m.steps)/float64(planned)-1), mib(m.peak))
	}
	return nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// writeModel writes config.json and random weights, tensor by tensor.
func writeModel(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	text := fmt.Appendf(nil, config, *layers)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), text, 0o644); err != nil {
		return err
	}
	c, err := family.ParseConfig(text)
	if err != nil {
		return err
	}
	m, err := nn.New(c, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{})
	if err != nil {
		return err
	}
	numbers := make([]float32, 1<<20)
	philox.Normal(numbers, 1, 0, 0.02)
	random := make([]uint16, len(numbers))
	halffloat.Float32ToBF16(random, numbers)
	bytes := make([]byte, 0, 2*len(random))
	for _, x := range random {
		bytes = append(bytes, byte(x), byte(x>>8))
	}
	var all []safetensors.Entry
	for _, t := range m.Tensors() {
		n := 2
		for _, size := range t.Shape {
			n *= size
		}
		all = append(all, safetensors.Entry{Name: t.Name, DType: "BF16", Shape: t.Shape, Write: func(w io.Writer) error {
			for left := n; left > 0; left -= len(bytes) {
				if _, err := w.Write(bytes[:min(left, len(bytes))]); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return safetensors.Write(filepath.Join(dir, "model.safetensors"), all, nil)
}

// plan returns the bytes that each rank needs.
func plan(options []string) (int64, error) {
	text, err := exec.Command(*program, append([]string{"plan", "--json"}, options...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("qlora plan: %w", err)
	}
	var p struct {
		Peak int64 `json:"peak_bytes"`
	}
	return p.Peak, json.Unmarshal(text, &p)
}

// A memory is what is resident of a rank.
type memory struct {
	steps int64 // the most, between steps
	peak  int64 // the most at any time, with what is read of the model's file
}

// train trains and looks at the ranks after each step.
func train(options []string) ([]memory, error) {
	absolute, err := filepath.Abs(*program)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(filepath.Join(*mpi, "bin", "mpirun"), append([]string{"-n", strconv.Itoa(*ranks), absolute, "train"}, options...)...)
	library, err := filepath.Abs(filepath.Join(*mpi, "lib", "libmpi.so.12"))
	if err != nil {
		return nil, err
	}
	cmd.Env = append(os.Environ(), "QLORA_MPI_LIBRARY="+library)
	output, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	all := make([]memory, *ranks)
	var looked sync.Once
	for lines := bufio.NewScanner(output); lines.Scan(); {
		fmt.Fprintln(os.Stderr, lines.Text())
		if !strings.HasPrefix(lines.Text(), "step ") {
			continue
		}
		if err := look(absolute, all); err != nil {
			looked.Do(func() { log.Print(err) })
		}
	}
	return all, cmd.Wait()
}

// look adds what is resident now.
func look(program string, all []memory) error {
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	for _, dir := range folders {
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err != nil || exe != program {
			continue
		}
		environment, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			return err
		}
		for v := range strings.SplitSeq(string(environment), "\x00") {
			text, ok := strings.CutPrefix(v, "PMI_RANK=")
			if !ok {
				continue
			}
			rank, err := strconv.Atoi(text)
			if err != nil || rank < 0 || rank >= len(all) {
				return fmt.Errorf("PMI_RANK is %q", text)
			}
			resident, peak, err := resident(filepath.Join(dir, "status"))
			if err != nil {
				return err
			}
			all[rank] = memory{max(all[rank].steps, resident), max(all[rank].peak, peak)}
		}
	}
	return nil
}

// resident reads VmRSS and VmHWM.
func resident(path string) (now, peak int64, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &kib); err == nil {
			now = kib << 10
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			peak = kib << 10
		}
	}
	return now, peak, nil
}
