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

// A kernelCode is what a compiler made of a kernel for one target.
type kernelCode struct {
	registers, stack, local, shared int // shared: static
	instructions                    []instruction
}

// count is how many instructions a pattern matches; see instruction.matches.
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

// mainLoop is the loop that most of a kernel's products on tensor cores are in: of the loops with such products that have no other inside, the one with the
// most. A loop is what lies between a branch and its target before it; where a kernel's end lies in between, it is a branch back from code that is seldom
// run and stands behind it all.
func (k *kernelCode) mainLoop() []instruction {
	var loops [][]instruction // by their ends: one inside another comes before it
	for end, branch := range k.instructions {
		if branch.operation != "BRA" && !strings.HasPrefix(branch.operation, "BRA.U") || branch.target > branch.address {
			continue
		}
		start, _ := slices.BinarySearchFunc(k.instructions, branch.target, func(i instruction, address int) int { return i.address - address })
		body := k.instructions[start : end+1]
		if count(body, "EXIT") == 0 && count(body, product) > 0 {
			loops = append(loops, body)
		}
	}
	var main []instruction
	for i, loop := range loops {
		inner := slices.ContainsFunc(loops[:i], func(other []instruction) bool { return other[0].address >= loop[0].address && len(other) < len(loop) })
		if !inner && count(loop, product) > count(main, product) {
			main = loop
		}
	}
	return main
}

// product is a product of matrices on tensor cores.
const product = "HMMA"

// An instruction of the machine code.
type instruction struct {
	address   int
	operation string // with its modifiers: LDG.E.128
	target    int    // of a branch
}

// matches says whether it is the operation wanted[0] with at least the modifiers that follow: LDG.E.128.CONSTANT is LDG.128, too.
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

// machineCode holds every kernel of a library: by target, then by symbol.
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

// disassemble reads a library by cuobjdump, the targets' instructions as many at a time as there are processors.
func disassemble(cuobjdump, library string) (machineCode, error) {
	code := make(machineCode)
	for _, t := range targets {
		code[t.name] = make(map[string]*kernelCode) // so that no two of those below write to one map
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

// run adds what a command prints.
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
		_, _ = io.Copy(io.Discard, out) // so that the command ends
	}
	if waited := command.Wait(); waited != nil {
		return fmt.Errorf("%s: %w: %s", command, waited, strings.TrimSpace(complaint.String()))
	}
	return err
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
			if i, ok := readInstruction(line); ok {
				kernel.instructions = append(kernel.instructions, i)
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

// readInstruction takes a line like /*0110*/ @!P0 BRA 0xc90 ; and says no to others (the rest of an encoding).
func readInstruction(line string) (instruction, bool) {
	place, text, found := strings.Cut(strings.TrimPrefix(line, "/*"), "*/")
	address, err := strconv.ParseInt(place, 16, 64)
	if !found || err != nil {
		return instruction{}, false
	}
	text, _, _ = strings.Cut(text, ";")
	fields := strings.Fields(text)
	if len(fields) > 0 && strings.HasPrefix(fields[0], "@") {
		fields = fields[1:]
	}
	if len(fields) == 0 {
		return instruction{}, false
	}
	i := instruction{address: int(address), operation: fields[0]}
	if strings.HasPrefix(i.operation, "BRA") {
		target, err := strconv.ParseInt(fields[len(fields)-1], 0, 64)
		if err != nil {
			return instruction{}, false
		}
		i.target = int(target)
	}
	return i, true
}
