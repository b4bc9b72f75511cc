package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

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
			loop := code.kernel("sm_80", "k").mainLoop()
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
