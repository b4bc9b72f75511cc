package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A kernelCode is the compiled code of a kernel for one target.
type kernelCode struct {
	registers, stack, local, shared int // shared: static
	instructions                    []instruction
}

// count returns how many instructions a pattern matches; see instruction.matches.
func (k *kernelCode) count(pattern string) int { return count(k.instructions, pattern) }

func count(instructions []instruction, pattern string) int {
	want := strings.Split(pattern, ".")
	n := 0
	for _, i := range instructions {
		if i.matches(want) {
			n++
		}
	}
	return n
}

// An instruction is one machine instruction.
type instruction struct {
	address     int
	operation   string // with its modifiers: LDG.E.128
	target      int    // of a branch
	conditional bool   // it may do nothing
}

// matches reports whether i is the operation wanted[0] with at least the modifiers
// that follow: LDG.128 matches LDG.E.128.CONSTANT too.
func (i instruction) matches(wanted []string) bool {
	if !strings.HasPrefix(i.operation, wanted[0]) {
		return false
	}
	parts := strings.Split(i.operation, ".")
	if parts[0] != wanted[0] {
		return false
	}
	for _, modifier := range wanted[1:] {
		if !slices.Contains(parts[1:], modifier) {
			return false
		}
	}
	return true
}

// machineCode has every kernel of a library, by target, then by symbol.
type machineCode map[string]map[string]*kernelCode

func (m machineCode) kernel(target, symbol string) *kernelCode {
	if m[target] == nil {
		m[target] = make(map[string]*kernelCode)
	}
	k := m[target][symbol]
	if k == nil {
		k = new(kernelCode)
		m[target][symbol] = k
	}
	return k
}

// disassemble reads a library with cuobjdump, as many targets at a time as there are
// processors.
func disassemble(cuobjdump, library string) (machineCode, error) {
	code := make(machineCode)
	for _, t := range targets {
		code[t.name] = make(map[string]*kernelCode) // so that the goroutines below do not write to this map
	}
	if err := code.run(cuobjdump, "-res-usage", library); err != nil {
		return nil, err
	}
	errs := make([]error, len(targets))
	slots := make(chan struct{}, runtime.NumCPU())
	var group sync.WaitGroup
	for i, t := range targets {
		group.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			errs[i] = code.run(cuobjdump, "-sass", "-arch", t.name, library)
		})
	}
	group.Wait()
	return code, errors.Join(errs...)
}

// run adds the code that a command prints.
func (m machineCode) run(name string, arguments ...string) error {
	command := exec.Command(name, arguments...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	err = m.read(out)
	if err != nil {
		_, _ = io.Copy(io.Discard, out) // lets the command end
	}
	if waited := command.Wait(); waited != nil {
		return fmt.Errorf("%s: %w: %s", command, waited, strings.TrimSpace(complaint.String()))
	}
	return err
}

// read adds the output of `cuobjdump -res-usage` or `cuobjdump -sass`.
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
			if i, ok := readInstruction(line); ok {
				kernel.instructions = append(kernel.instructions, i)
			}
		}
	}
	return lines.Err()
}

// readUsage parses a line like REG:8 STACK:0 SHARED:0 LOCAL:0 CONSTANT[0]:364.
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

// readInstruction parses a line like /*0110*/ @!P0 BRA 0xc90 ; and returns false for
// others (the rest of an encoding).
func readInstruction(line string) (instruction, bool) {
	place, text, found := strings.Cut(strings.TrimPrefix(line, "/*"), "*/")
	address, err := strconv.ParseInt(place, 16, 64)
	if !found || err != nil {
		return instruction{}, false
	}
	text, _, _ = strings.Cut(text, ";")
	fields := strings.Fields(text)
	guarded := len(fields) > 0 && strings.HasPrefix(fields[0], "@")
	if guarded {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return instruction{}, false
	}
	i := instruction{address: int(address), operation: fields[0], conditional: guarded}
	if strings.HasPrefix(i.operation, "BRA") {
		target, err := strconv.ParseInt(fields[len(fields)-1], 0, 64)
		if err != nil {
			return instruction{}, false
		}
		i.target = int(target)
		i.conditional = guarded || len(fields) > 2 // a predicate before the target
	}
	return i, true
}
