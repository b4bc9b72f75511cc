package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var record = flag.String("record", "", "the library whose kernels to write to testdata/loops.sass, with cuobjdump in build/toolchain/bin")

// excerpts are kernels of ours of whose main loops testdata/loops.sass has the operations,
// and what a person counts on the common path: a product's fast loop, with a rare block for
// the adapter's end, and a loop of attention, which may skip a tile, mask it or gather it.
var excerpts = []struct {
	target, kernel     string
	executed, products int
}{
	{"sm_90a", "gemm_nt_64x16", 83, 8},
	{"sm_90a", "attend_backward_queries_32", 193, 24},
}

func TestMainLoopsOfOurKernels(t *testing.T) {
	const path = "testdata/loops.sass"
	if *record != "" {
		writeExcerpts(t, path)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	code := make(machineCode)
	if err := code.read(file); err != nil {
		t.Fatal(err)
	}
	for _, e := range excerpts {
		loop := code.kernel(e.target, e.kernel).mainLoop(movesOf(e.kernel))
		if len(loop.executed) != e.executed || loop.products != e.products {
			t.Errorf("%s on %s executes %d instructions for %d products, want %d for %d", e.kernel, e.target, len(loop.executed), loop.products, e.executed, e.products)
		}
	}
}

// writeExcerpts writes the operations of main loops, without operands.
func writeExcerpts(t *testing.T, path string) {
	t.Helper()
	kernels, err := registered(*record)
	if err != nil {
		t.Fatal(err)
	}
	code, err := disassemble("../../build/toolchain/bin/cuobjdump", *record)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range excerpts {
		at := slices.IndexFunc(kernels, func(k kernel) bool { return k.name == e.kernel })
		fmt.Fprintf(&b, "arch = %s\nFunction : %s\n", e.target, e.kernel)
		whole := code.kernel(e.target, kernels[at].symbol)
		path := whole.mainLoop(movesOf(e.kernel)).executed
		for _, i := range whole.instructions {
			if i.address < path[0].address || i.address > path[len(path)-1].address {
				continue
			}
			guard, target := "", ""
			if i.conditional {
				guard = "@P0 "
			}
			if i.isBranch() {
				target = fmt.Sprintf(" %#x", i.target)
			}
			fmt.Fprintf(&b, "/*%04x*/ %s%s%s;\n", i.address, guard, i.operation, target)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// body numbers lines of SASS from address 0, 16 bytes apart.
func body(lines string) string {
	var b strings.Builder
	b.WriteString("arch = sm_80\nFunction : k\n")
	for i, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		fmt.Fprintf(&b, "/*%04x*/ %s ;\n", 16*i, strings.TrimSpace(line))
	}
	return b.String()
}

func TestMainLoop(t *testing.T) {
	tests := []struct {
		name, code string
		want       []int // the addresses executed, in units of 16
		products   int
	}{
		{name: "straight", want: []int{1, 2, 3}, products: 1, code: `
			MOV R1, R2
			LDSM.16.M88.4 R4, [R8]
			HMMA.16816.F32.BF16 R4, R132, R136, R4
			@P0 BRA 0x10
			EXIT`},
		{name: "no products", code: `
			LDS R1, [R2]
			@P0 BRA 0x0`},
		{name: "innermost of two", want: []int{2, 3, 4, 5}, products: 2, code: `
			HMMA R4, R8, R12, R4
			STL [R1], R2
			HMMA R4, R8, R12, R4
			HMMA R4, R8, R12, R4
			LDL R2, [R1]
			@P0 BRA 0x20
			@!P0 BRA 0x10
			HMMA R4, R8, R12, R4
			BRA.U !UP0, 0x70
			EXIT`},
		{name: "a rare block that a branch skips", want: []int{0, 3, 4}, products: 1, code: `
			@P0 BRA 0x30
			FMUL R1, R1, R2
			FMUL R1, R1, R2
			HMMA R4, R8, R12, R4
			@P1 BRA 0x0`},
		{name: "a common block that a branch may skip", want: []int{0, 1, 2, 3}, products: 1, code: `
			@P0 BRA 0x20
			LDGSTS.E.BYPASS.128 [R1], [R2]
			HMMA R4, R8, R12, R4
			@P1 BRA 0x0`},
		{name: "copies before stores of elements", want: []int{0, 5, 6, 7}, products: 1, code: `
			@P0 BRA 0x50
			LDG.E.U16 R1, [R2]
			LDG.E.U16 R3, [R2]
			STS.128 [R4], R1
			BRA 0x60
			LDGSTS.E.BYPASS.128 [R1], [R2]
			HMMA R4, R8, R12, R4
			@P1 BRA 0x0`},
		{name: "stores of decoded tiles, k_coded_64x64", want: []int{0, 1, 2, 4, 5}, products: 1, code: `
			@!P0 BRA 0x20
			STS.128 [R4], R1
			@P0 BRA 0x40
			LDGSTS.E.BYPASS.128 [R1], [R2]
			HMMA R4, R8, R12, R4
			@P1 BRA 0x0`},
		{name: "stores of an inner loop, k_coded_64x64", want: []int{0, 4, 5}, products: 1, code: `
			@!P0 BRA 0x40
			STS.128 [R4], R1
			@P1 BRA 0x10
			FMUL R1, R1, R2
			HMMA R4, R8, R12, R4
			@P1 BRA 0x0`},
		{name: "a tile that is skipped", want: []int{0, 1, 2, 3, 4, 5}, products: 2, code: `
			BAR.SYNC 0x0
			@P0 BRA 0x50
			HMMA R4, R8, R12, R4
			@P2 BRA P3, 0x50
			HMMA R4, R8, R12, R4
			BRA 0x0`},
		{name: "two ends of one loop", want: []int{0, 2, 3, 4}, products: 1, code: `
			@P0 BRA 0x20
			BRA 0x0
			LDSM.16.M88.4 R4, [R8]
			HMMA R4, R8, R12, R4
			BRA 0x0`},
		{name: "the smaller of two loops with as many products", want: []int{3, 4}, products: 1, code: `
			HMMA R4, R8, R12, R4
			FMUL R1, R1, R2
			@P0 BRA 0x0
			HMMA R4, R8, R12, R4
			@P0 BRA 0x30`},
		{name: "a branch back from behind the end", want: []int{4, 5}, products: 1, code: `
			HMMA R4, R8, R12, R4
			HMMA R4, R8, R12, R4
			BRA 0x60
			EXIT
			HMMA R4, R8, R12, R4
			@P0 BRA 0x40
			EXIT
			BRA 0x0`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			code := make(machineCode)
			if err := code.read(strings.NewReader(body(test.code))); err != nil {
				t.Fatal(err)
			}
			loop := code.kernel("sm_80", "k").mainLoop(movesOf(test.name))
			var got []int
			for _, i := range loop.executed {
				got = append(got, i.address/16)
			}
			if !slices.Equal(got, test.want) || loop.products != test.products {
				t.Errorf("executes %v with %d products, want %v with %d", got, loop.products, test.want, test.products)
			}
		})
	}
}

func TestCheckLoop(t *testing.T) {
	limits := []ceiling{{[]string{"gemm_nt_*"}, 3}, {[]string{"gemm_*"}, 4}}
	body := func(executed, products int) loop {
		return loop{executed: make([]instruction, executed), products: products}
	}
	tests := []struct {
		kernel string
		loop   loop
		want   string // a part of the finding
	}{
		{"gemm_nt_64x64", body(96, 32), ""},
		{"gemm_nt_64x64", body(97, 32), "executes 3.03 instructions for each product (97 for 32), more than 3.00"},
		{"gemm_tn_64x64", body(128, 32), ""},
		{"attend_forward_128", body(128, 32), "no ceiling"},
		{"norm_128", loop{}, ""},
	}
	for _, test := range tests {
		got := checkLoop(test.kernel, test.loop, limits)
		if (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s with %d instructions for %d products: %q, want %q", test.kernel, len(test.loop.executed), test.loop.products, got, test.want)
		}
	}
}
