package main

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// planted reads cuobjdump's recorded output for testdata/planted.cu; record.sh made
// it.
func planted(t *testing.T) machineCode {
	t.Helper()
	code := make(machineCode)
	for _, name := range []string{"testdata/planted.res-usage", "testdata/planted.sass"} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if err := code.read(file); err != nil {
			t.Fatal(err)
		}
	}
	return code
}

func TestCheckKernels(t *testing.T) {
	code := planted(t)
	plain := []rule{{kernels: []string{"*"}, needs: wide}}
	everywhere := func(trouble string) []string {
		var findings []string
		for _, target := range targets {
			findings = append(findings, "k on "+target.name+": "+trouble)
		}
		return findings
	}
	tests := []struct {
		name   string
		kernel kernel
		rules  []rule
		want   []string // prefixes of the findings, in order
	}{
		{name: "good", kernel: kernel{symbol: "good", threads: 256}},
		{name: "missing instructions", kernel: kernel{symbol: "narrow", threads: 256}, want: []string{
			"k on sm_80: no LDG.128", "k on sm_80: no STG.128", "k on sm_86: no LDG.128", "k on sm_86: no STG.128", "k on sm_89: no LDG.128",
			"k on sm_89: no STG.128", "k on sm_90a: no LDG.128", "k on sm_90a: no STG.128", "k on sm_120: no LDG.128", "k on sm_120: no STG.128",
		}},
		{name: "unwanted instructions", kernel: kernel{symbol: "good", threads: 256}, rules: []rule{{kernels: []string{"k"}, never: []string{"STG"}}}, want: everywhere("1 STG")},
		{name: "spill", kernel: kernel{symbol: "spill", threads: 1024}, want: []string{
			"k on sm_80: 576 bytes of stack, ", "k on sm_86: 296 bytes of stack, ", "k on sm_89: 296 bytes of stack, ", "k on sm_90a: 632 bytes of stack, ", "k on sm_120: 344 bytes of stack, ",
		}},
		{name: "stack", kernel: kernel{symbol: "indexed", threads: 256}, want: everywhere("256 bytes of stack, ")},
		{name: "stack with a reason", kernel: kernel{symbol: "indexed", threads: 256}, rules: []rule{{kernels: []string{"*"}, stack: "it is indexed"}}},
		{name: "shared memory that fits", kernel: kernel{symbol: "shared", threads: 256, shared: 51 << 10}},
		{name: "shared memory of small targets", kernel: kernel{symbol: "shared", threads: 256, shared: 52 << 10}, want: []string{
			"k on sm_86: 102400 bytes of shared memory, more than the 101376", "k on sm_89: 102400 bytes", "k on sm_120: 102400 bytes",
		}},
		{name: "shared memory of sm_80", kernel: kernel{symbol: "shared", threads: 256, shared: 116 << 10}, want: []string{
			"k on sm_80: 167936 bytes of shared memory, more than the 166912", "k on sm_86: ", "k on sm_89: ", "k on sm_120: ",
		}},
		{name: "registers that fit", kernel: kernel{symbol: "heavy", threads: 256}},
		{name: "registers", kernel: kernel{symbol: "heavy", threads: 512}, want: []string{
			"k on sm_80: 512 threads of 174 registers do not fit", "k on sm_86: 512", "k on sm_89: 512", "k on sm_90a: 512", "k on sm_120: 512",
		}},
		{name: "missing target", kernel: kernel{symbol: "partial", threads: 256}, want: []string{"k has no machine code for sm_89"}},
		{name: "missing kernel", kernel: kernel{symbol: "gone", threads: 256}, want: []string{
			"k has no machine code for sm_80", "k has no machine code for sm_86", "k has no machine code for sm_89", "k has no machine code for sm_90a", "k has no machine code for sm_120",
		}},
		{name: "stack that none has", kernel: kernel{symbol: "good", threads: 256}, rules: []rule{{kernels: []string{"k"}, stack: "it was indexed"}}, want: []string{
			"the rule of k allows a stack, but none has one",
		}},
		{name: "no rule", kernel: kernel{symbol: "good", threads: 256}, rules: []rule{{kernels: []string{"other"}}}, want: []string{
			"k has no rule for its instructions", "the rule of other matches no kernel",
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.rules == nil {
				test.rules = plain
			}
			test.kernel.name = "k"
			findings := slices.DeleteFunc(checkKernels([]kernel{test.kernel}, code, test.rules), func(f string) bool {
				return strings.Contains(f, "is not registered") // the other planted kernels
			})
			ok := len(findings) == len(test.want)
			for i := 0; ok && i < len(findings); i++ {
				ok = strings.HasPrefix(findings[i], test.want[i])
			}
			if !ok {
				t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(findings, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}

func TestCheckKernelsList(t *testing.T) {
	code := planted(t)
	all := []kernel{
		{name: "good", symbol: "good", threads: 256},
		{name: "heavy", symbol: "heavy", threads: 256},
		{name: "indexed", symbol: "indexed", threads: 256},
		{name: "narrow", symbol: "narrow", threads: 256},
		{name: "partial", symbol: "partial", threads: 256},
		{name: "spill", symbol: "spill", threads: 1024},
	}
	anything := []rule{{kernels: []string{"*"}, stack: "it is planted"}}
	tests := []struct {
		name    string
		kernels []kernel
		want    string
	}{
		{name: "unregistered", kernels: all, want: "shared on sm_120 is not registered"},
		{name: "none", want: "the library lists no kernels"},
		{name: "one name of two kernels", kernels: append(slices.Clone(all), kernel{name: "good", symbol: "shared", threads: 256}), want: "good is registered twice"},
		{name: "two names of one kernel", kernels: append(slices.Clone(all), kernel{name: "best", symbol: "good", threads: 256}), want: "good and best are registered as the same kernel, good"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			findings := checkKernels(test.kernels, code, anything)
			if !slices.ContainsFunc(findings, func(f string) bool { return strings.HasPrefix(f, test.want) }) {
				t.Errorf("found\n\t%s\nwant %q", strings.Join(findings, "\n\t"), test.want)
			}
		})
	}
}

// TestBlocksResident compares with cudaOccMaxActiveBlocksPerMultiprocessor of
// cuda_occupancy.h, CUDA 13.0.
func TestBlocksResident(t *testing.T) {
	tests := []struct {
		target                     string
		threads, registers, shared int
		want                       int
	}{
		{"sm_80", 832, 142, 6902, 0},
		{"sm_80", 192, 201, 0, 1},
		{"sm_80", 1024, 20, 0, 2},
		{"sm_80", 21, 181, 33050, 4},
		{"sm_80", 32, 147, 0, 12},
		{"sm_86", 548, 173, 81892, 0},
		{"sm_86", 125, 122, 98086, 1},
		{"sm_86", 544, 30, 0, 2},
		{"sm_86", 105, 124, 0, 4},
		{"sm_86", 102, 78, 0, 6},
		{"sm_89", 847, 190, 0, 0},
		{"sm_89", 864, 35, 14830, 1},
		{"sm_89", 572, 6, 10100, 2},
		{"sm_89", 96, 145, 0, 4},
		{"sm_89", 166, 12, 0, 8},
		{"sm_90a", 597, 179, 212711, 0},
		{"sm_90a", 384, 136, 0, 1},
		{"sm_90a", 448, 43, 90203, 2},
		{"sm_90a", 53, 184, 0, 4},
		{"sm_90a", 96, 23, 0, 21},
		{"sm_120", 296, 182, 0, 0},
		{"sm_120", 736, 65, 0, 1},
		{"sm_120", 704, 31, 0, 2},
		{"sm_120", 331, 36, 0, 4},
		{"sm_120", 26, 96, 0, 20},
	}
	for _, test := range tests {
		i := slices.IndexFunc(targets, func(t target) bool { return t.name == test.target })
		if got := targets[i].blocksResident(test.threads, test.registers, test.shared); got != test.want {
			t.Errorf("%s: %d threads of %d registers and %d bytes: %d blocks, want %d", test.target, test.threads, test.registers, test.shared, got, test.want)
		}
	}
}

func TestCount(t *testing.T) {
	var k kernelCode
	for operation, times := range map[string]int{"LDG.E.128.CONSTANT": 2, "LDG.E.LTC128B.128": 1, "LDG.E.U16": 4, "LDGSTS.E.BYPASS.128": 8, "HMMA.16816.F32.BF16": 16} {
		k.instructions = append(k.instructions, slices.Repeat([]instruction{{operation: operation}}, times)...)
	}
	tests := []struct {
		pattern string
		want    int
	}{
		{"LDG.128", 3}, {"LDG", 7}, {"LDG.E.U16", 4}, {"LDGSTS.128", 8}, {"HMMA.16816.F32.BF16", 16}, {"HMMA.16816.F32.F16", 0}, {"LDG.64", 0},
	}
	for _, test := range tests {
		if got := k.count(test.pattern); got != test.want {
			t.Errorf("count(%q) = %d, want %d", test.pattern, got, test.want)
		}
	}
}

// TestCanonical compares the names that nvcc gives an instance of a template on the
// host and on the device.
func TestCanonical(t *testing.T) {
	const host, device = "_ZN9attention41_GLOBAL__N__1eb5858e_9_attend_cu_3b48cdedL14attend_forwardILi64EEEvPf", "_ZN9attention41_GLOBAL__N__1eb5858e_9_attend_cu_3b48cded14attend_forwardILi64EEEvPf"
	if canonical(host) != device || canonical(device) != device {
		t.Errorf("%s and %s: not %s", canonical(host), canonical(device), device)
	}
}

func TestReadUsage(t *testing.T) {
	const head = "arch = sm_80\n Function k:\n  "
	tests := []struct{ name, line, want string }{
		{"whole", "REG:8 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:364 TEXTURE:0", ""},
		{"a field gone", "REG:8 STACK:0 LOCAL:0", "lacks some of"},
		{"not a number", "REG:many STACK:0 SHARED:0 LOCAL:0", "invalid syntax"},
	}
	for _, test := range tests {
		err := make(machineCode).read(strings.NewReader(head + test.line))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
}

func TestTable(t *testing.T) {
	code := planted(t)
	kernels := []kernel{{name: "good", symbol: "good", threads: 256}, {name: "shared", symbol: "shared", threads: 256, shared: 4096}}
	made := format("V13.0.88", kernels, code)
	const row = "shared\tsm_90a\t256\t26\t0\t53248\t4\t50%\t0\t0\t0\t2\t2\t0\t0\t0.00\t0\t0\n"
	if !strings.Contains(made, row) {
		t.Fatalf("no row %q in\n%s", row, made)
	}
	if d, _ := compare(made, made); d != nil {
		t.Errorf("a table differs from itself: %q", d)
	}
	heavier := strings.Replace(made, row, strings.Replace(row, "26", "27", 1), 1)
	want := []string{"- " + strings.TrimSpace(strings.Replace(row, "26", "27", 1)), "+ " + strings.TrimSpace(row)}
	if d, _ := compare(heavier, made); !slices.Equal(d, want) {
		t.Errorf("one register more: %q, want %q", d, want)
	}
	if d, _ := compare(strings.Replace(made, row, "", 1), made); len(d) != 1 || d[0] != want[1] {
		t.Errorf("a row that is not committed: %q", d)
	}
	other := strings.Replace(heavier, "13.0.88", "13.1.20", 1)
	if d, compared := compare(other, made); d != nil || !strings.Contains(compared, "not compared") {
		t.Errorf("another compiler's table: %q, %q", d, compared)
	}
}
