package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// A kernelCode is what a compiler made of a kernel for one target.
type kernelCode struct {
	registers, stack, local, shared int            // shared: static
	instructions                    map[string]int // how many there are of each, with their modifiers: LDG.E.128
}

// count is how many instructions a pattern matches: the same operation with at least the pattern's modifiers, so that LDG.128 is LDG.E.128.CONSTANT, too.
func (k *kernelCode) count(pattern string) int {
	want := strings.Split(pattern, ".")
	n := 0
	for instruction, times := range k.instructions {
		if matches(strings.Split(instruction, "."), want) {
			n += times
		}
	}
	return n
}

func matches(parts, want []string) bool {
	if parts[0] != want[0] {
		return false
	}
	for _, modifier := range want[1:] {
		found := false
		for _, part := range parts[1:] {
			found = found || part == modifier
		}
		if !found {
			return false
		}
	}
	return true
}

// machineCode holds every kernel of a library: by target, then by symbol.
type machineCode map[string]map[string]*kernelCode

func (m machineCode) kernel(target, symbol string) *kernelCode {
	if m[target] == nil {
		m[target] = make(map[string]*kernelCode)
	}
	k := m[target][symbol]
	if k == nil {
		k = &kernelCode{instructions: make(map[string]int)}
		m[target][symbol] = k
	}
	return k
}

// disassemble reads a library by cuobjdump.
func disassemble(cuobjdump, library string) (machineCode, error) {
	code := make(machineCode)
	for _, option := range []string{"-res-usage", "-sass"} {
		command := exec.Command(cuobjdump, option, library)
		var complaint bytes.Buffer
		command.Stderr = &complaint
		out, err := command.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := command.Start(); err != nil {
			return nil, err
		}
		err = code.read(out)
		if waited := command.Wait(); waited != nil {
			return nil, fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), waited, strings.TrimSpace(complaint.String()))
		}
		if err != nil {
			return nil, err
		}
	}
	return code, nil
}

// read adds what `cuobjdump -res-usage` or `cuobjdump -sass` printed.
func (m machineCode) read(r io.Reader) error {
	var target string
	var kernel *kernelCode
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "arch = "):
			target, kernel = strings.TrimPrefix(line, "arch = "), nil
		case strings.HasPrefix(line, "Function"):
			kernel = m.kernel(target, canonical(strings.Trim(strings.TrimPrefix(line, "Function"), ": ")))
		case kernel == nil:
		case strings.HasPrefix(line, "REG:"):
			if err := kernel.readUsage(line); err != nil {
				return err
			}
		case strings.HasPrefix(line, "/*"):
			if instruction := operation(line); instruction != "" {
				kernel.instructions[instruction]++
			}
		}
	}
	return lines.Err()
}

// readUsage takes a line like REG:8 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:364.
func (k *kernelCode) readUsage(line string) error {
	places := map[string]*int{"REG": &k.registers, "STACK": &k.stack, "SHARED": &k.shared, "LOCAL": &k.local}
	for field := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(field, ":")
		place := places[name]
		if place == nil {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("cuobjdump's resource usage %q: %w", line, err)
		}
		*place = n
		delete(places, name)
	}
	if len(places) > 0 {
		return fmt.Errorf("cuobjdump's resource usage %q lacks some of REG, STACK, SHARED, LOCAL", line)
	}
	return nil
}

// operation is the instruction of a line like /*0110*/ @!P0 LDG.E.128 R4, [R4.64] ; and "" where there is none (the line is the rest of an encoding).
func operation(line string) string {
	_, text, found := strings.Cut(line, "*/")
	if !found {
		return ""
	}
	for field := range strings.FieldsSeq(text) {
		if strings.HasPrefix(field, "@") || field == "{" {
			continue
		}
		if field[0] < 'A' || field[0] > 'Z' {
			return ""
		}
		return strings.TrimRight(field, ";,")
	}
	return ""
}
