// Command check checks the machine code of libqlora_cuda.so without a GPU: `make
// cuda-check`.
//
// For every kernel and target it reads registers, stack, shared memory and
// instructions from cuobjdump, and the block size of its launches from the library's
// own list. It fails where a kernel spills or has a stack, does not fit a
// multiprocessor, lacks the instructions that its speed depends on (rules.go), executes
// more in its main loop than it may (ceilings.go) or is missing for a target; where the
// library exports or needs more than it should; and where anything differs from the
// committed table, which -update writes.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	library := flag.String("library", "build/lib/libqlora_cuda.so", "the library to check")
	tools := flag.String("tools", "build/toolchain/bin", "the folder of nvcc and cuobjdump")
	table := flag.String("table", "cuda/resources.tsv", "the table to compare with")
	update := flag.Bool("update", false, "write the table instead")
	flag.Parse()
	findings, err := run(*library, *tools, *table, *update)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cuda-check:", err)
		os.Exit(1)
	}
	for _, finding := range findings {
		fmt.Println(finding)
	}
	if len(findings) > 0 {
		fmt.Printf("cuda-check: FAILED (%d findings)\n", len(findings))
		os.Exit(1)
	}
}

// run checks the library and returns the findings, one line each.
func run(library, tools, table string, update bool) ([]string, error) {
	kernels, err := registered(library)
	if err != nil {
		return nil, err
	}
	code, err := disassemble(tools+"/cuobjdump", library)
	if err != nil {
		return nil, err
	}
	findings, err := checkLibrary(tools+"/cuobjdump", library)
	if err != nil {
		return nil, err
	}
	findings = append(findings, checkKernels(kernels, code, rules)...)

	compiler, err := compilerVersion(tools + "/nvcc")
	if err != nil {
		return nil, err
	}
	made := format(compiler, kernels, code)
	if update {
		fmt.Printf("cuda-check: %d kernels on %d targets written to %s\n", len(kernels), len(targets), table)
		return findings, os.WriteFile(table, []byte(made), 0o644)
	}
	committed, err := os.ReadFile(table)
	if err != nil {
		return nil, err
	}
	differences, compared := compare(string(committed), made)
	fmt.Printf("cuda-check: %d kernels on %d targets; %s\n", len(kernels), len(targets), compared)
	for _, d := range differences {
		findings = append(findings, table+": "+d)
	}
	if len(differences) > 0 {
		findings = append(findings, table+": if this is intended, rewrite it with make cuda-check UPDATE=1")
	}
	return findings, nil
}
