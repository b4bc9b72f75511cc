// Package groupstest is the test suite for groups: a table of what all ranks do at once,
// and what each of them must see. The ranks may be goroutines or processes.
package groupstest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"qlora/bindings"
	"qlora/bindings/groups"
)

// A Case is what every rank of a group does.
type Case struct {
	Name string
	Run  func(g groups.Group, dev bindings.Device) error
}

// Cases run one after the other on one group, of any size from 1.
func Cases() []Case {
	return []Case{
		{"ranks", ranks},
		{"exchange", exchange},
		{"exchanges do not share memory", owned},
		{"sum", each(sumLengths, sum)},
		{"sums in turn", sumsInTurn},
		{"sum of parts", each(sumLengths, sumParts)},
		{"sum of parts in place", each(sumLengths, sumPartsInPlace)},
		{"gather", each(byteLengths, gather)},
		{"gather in place", each(byteLengths, gatherInPlace)},
		{"gather ahead", each(byteLengths, gatherAhead)},
		{"gathers ahead by turns", gathersInTurn},
		{"a call after a gather ahead", nextCall},
		{"split", split},
		{"broadcast", each(byteLengths, broadcast)},
		{"broadcast of every type", broadcastTypes},
		{"after the device's work", afterWork},
		{"wrong operands", wrongOperands},
	}
}

// The lengths have remainders for any number of ranks, and the largest is in several pieces.
var (
	sumLengths  = []int{1, 2, 3, 255, 1024, 4099, 300_007}
	byteLengths = []int{1, 2, 7, 256, 65_539, 2_500_003}
)

// apart hides that the memory of a device is the host's.
type apart struct{ bindings.Device }

// each runs a case for every length and, on a device with the host's memory, as on one with
// its own.
func each(lengths []int, run func(g groups.Group, dev bindings.Device, n int) error) func(groups.Group, bindings.Device) error {
	return func(g groups.Group, dev bindings.Device) error {
		devices := []bindings.Device{dev}
		if _, host := dev.(groups.HostDevice); host {
			devices = append(devices, apart{dev})
		}
		for _, n := range lengths {
			for _, dev := range devices {
				if err := run(g, dev, n); err != nil {
					return fmt.Errorf("%d elements: %w", n, err)
				}
			}
		}
		return nil
	}
}

func ranks(g groups.Group, _ bindings.Device) error {
	all, err := g.Exchange(context.Background(), []byte{byte(g.Rank())})
	if err != nil {
		return err
	}
	for i, b := range all {
		if len(all) != g.Size() || len(b) != 1 || int(b[0]) != i {
			return fmt.Errorf("the ranks are %v of %d; want each in its place", all, g.Size())
		}
	}
	return nil
}

// exchange gives each rank's message another length, and some none.
func exchange(g groups.Group, _ bindings.Device) error {
	for _, unit := range []int{0, 1, 13, 70_001} {
		message := func(rank int) []byte { return noise(unit, rank, unit*(rank%3)) }
		all, err := g.Exchange(context.Background(), message(g.Rank()))
		if err != nil {
			return err
		}
		for rank := range g.Size() {
			if err := equal(fmt.Sprintf("message of rank %d", rank), all[rank], message(rank)); err != nil {
				return err
			}
		}
	}
	return nil
}

func owned(g groups.Group, _ bindings.Device) error {
	mine := bytes.Repeat([]byte{byte(g.Rank() + 1)}, 64)
	all, err := g.Exchange(context.Background(), mine)
	if err != nil {
		return err
	}
	clear(mine)
	for rank, b := range all {
		if err := equal("message", b, bytes.Repeat([]byte{byte(rank + 1)}, 64)); err != nil {
			return err
		}
		clear(b)
	}
	_, err = g.Exchange(context.Background(), nil) // until all have looked
	return err
}

// number is a rank's element of a sum; all bits of it count.
func number(n, rank, i int) uint64 {
	x := uint64(n)<<40 ^ uint64(rank+1)<<56 ^ uint64(i)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	return x ^ x>>27
}

func numbers(n, rank int) []byte {
	b := make([]byte, 0, 8*n)
	for i := range n {
		b = binary.LittleEndian.AppendUint64(b, number(n, rank, i))
	}
	return b
}

func sums(n, size int) []byte {
	b := make([]byte, 0, 8*n)
	for i := range n {
		sum := uint64(0)
		for rank := range size {
			sum += number(n, rank, i)
		}
		b = binary.LittleEndian.AppendUint64(b, sum)
	}
	return b
}

func sum(g groups.Group, dev bindings.Device, n int) error {
	bed, err := newBed(dev, bindings.I64, n)
	if err != nil {
		return err
	}
	defer bed.close()
	if err := bed.write(numbers(n, g.Rank())); err != nil {
		return err
	}
	if err := g.Sum(dev, bed.t); err != nil {
		return err
	}
	return bed.holds("sum", sums(n, g.Size()))
}

// sumsInTurn sums again what was summed, without looking at it in between.
func sumsInTurn(g groups.Group, dev bindings.Device) error {
	const n, turns = 1000, 5
	bed, err := newBed(dev, bindings.I64, n)
	if err != nil {
		return err
	}
	defer bed.close()
	if err := bed.write(numbers(n, g.Rank())); err != nil {
		return err
	}
	want := sums(n, g.Size())
	for turn := range turns {
		if err := g.Sum(dev, bed.t.Reshape(10, n/10)); err != nil {
			return err
		}
		if turn > 0 {
			for i := range n {
				binary.LittleEndian.PutUint64(want[8*i:], uint64(g.Size())*binary.LittleEndian.Uint64(want[8*i:]))
			}
		}
	}
	return bed.holds("sum", want)
}

// sumParts gives each rank a part of other numbers than another.
func sumParts(g groups.Group, dev bindings.Device, n int) error {
	b, err := newGathering(dev, bindings.I64, n, g.Size())
	if err != nil {
		return err
	}
	defer b.close()
	part, all := b.part, b.all
	if err := all.write(numbersOfParts(n, g.Rank(), g.Size())); err != nil {
		return err
	}
	if err := g.SumParts(dev, part.t, all.t); err != nil {
		return err
	}
	return part.holds("sum", sumsOfPart(n, g.Rank(), g.Size()))
}

func sumPartsInPlace(g groups.Group, dev bindings.Device, n int) error {
	all, err := newBed(dev, bindings.I64, n*g.Size())
	if err != nil {
		return err
	}
	defer all.close()
	if err := all.write(numbersOfParts(n, g.Rank(), g.Size())); err != nil {
		return err
	}
	part := all.t.Columns(n*g.Rank(), n*(g.Rank()+1))
	if err := g.SumParts(dev, part, all.t); err != nil {
		return err
	}
	got := make([]byte, 8*n)
	if err := dev.Read(got, part); err != nil {
		return err
	}
	return equal("sum", got, sumsOfPart(n, g.Rank(), g.Size()))
}

// numbersOfParts are what a rank gives to the parts of all.
func numbersOfParts(n, rank, size int) []byte {
	var all []byte
	for of := range size {
		all = append(all, numbers(n, rank*size+of)...)
	}
	return all
}

// sumsOfPart are the sums of one rank's parts.
func sumsOfPart(n, rank, size int) []byte {
	total := make([]uint64, n)
	for from := range size {
		for i, b := 0, numbers(n, from*size+rank); i < n; i++ {
			total[i] += binary.LittleEndian.Uint64(b[8*i:])
		}
	}
	var b []byte
	for _, x := range total {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

func gather(g groups.Group, dev bindings.Device, n int) error {
	b, err := newGathering(dev, bindings.U8, n, g.Size())
	if err != nil {
		return err
	}
	defer b.close()
	part, all := b.part, b.all
	if err := part.write(noise(n, g.Rank(), n)); err != nil {
		return err
	}
	if err := g.Gather(dev, all.t, part.t); err != nil {
		return err
	}
	if err := part.holds("part", noise(n, g.Rank(), n)); err != nil {
		return err
	}
	return all.holds("gathered", parts(n, g.Size()))
}

func gatherInPlace(g groups.Group, dev bindings.Device, n int) error {
	all, err := newBed(dev, bindings.U8, n*g.Size())
	if err != nil {
		return err
	}
	defer all.close()
	part := all.t.Columns(n*g.Rank(), n*(g.Rank()+1))
	if err := dev.Write(part, noise(n, g.Rank(), n)); err != nil {
		return err
	}
	if err := g.Gather(dev, all.t, part); err != nil {
		return err
	}
	return all.holds("gathered", parts(n, g.Size()))
}

func parts(n, size int) []byte {
	var all []byte
	for rank := range size {
		all = append(all, noise(n, rank, n)...)
	}
	return all
}

func broadcast(g groups.Group, dev bindings.Device, n int) error {
	for from := range g.Size() {
		if err := broadcastOf(g, dev, bindings.U8, n, from); err != nil {
			return err
		}
	}
	return nil
}

func broadcastTypes(g groups.Group, dev bindings.Device) error {
	for _, dtype := range []bindings.DType{bindings.F32, bindings.BF16, bindings.F16, bindings.I32, bindings.I64} {
		if err := broadcastOf(g, dev, dtype, 1001, g.Size()-1); err != nil {
			return fmt.Errorf("%v: %w", dtype, err)
		}
	}
	return nil
}

func broadcastOf(g groups.Group, dev bindings.Device, dtype bindings.DType, n, from int) error {
	bed, err := newBed(dev, dtype, n)
	if err != nil {
		return err
	}
	defer bed.close()
	length := n * int(dtype.Size())
	if err := bed.write(noise(n, g.Rank(), length)); err != nil {
		return err
	}
	if err := g.Broadcast(dev, bed.t, from); err != nil {
		return err
	}
	return bed.holds(fmt.Sprintf("broadcast from rank %d", from), noise(n, from, length))
}

// afterWork enqueues work before and after a sum, and waits only at the end.
func afterWork(g groups.Group, dev bindings.Device) error {
	const n = 100_003
	bed, err := newBed(dev, bindings.I64, n)
	if err != nil {
		return err
	}
	defer bed.close()
	if err := bed.write(numbers(n, g.Rank())); err != nil {
		return err
	}
	if err := g.Sum(dev, bed.t); err != nil {
		return err
	}
	dev.Run(&bindings.Zero{T: bed.t.Columns(0, n/2)})
	if err := g.Sum(dev, bed.t); err != nil {
		return err
	}
	want := sums(n, g.Size())
	clear(want[:8*(n/2)])
	for i := n / 2; i < n; i++ {
		binary.LittleEndian.PutUint64(want[8*i:], uint64(g.Size())*binary.LittleEndian.Uint64(want[8*i:]))
	}
	return bed.holds("sum", want)
}

// wrongOperands gives every rank the same wrong operand. Nobody may wait, and the group
// goes on.
func wrongOperands(g groups.Group, dev bindings.Device) error {
	bed, err := newBed(dev, bindings.U8, 16*(g.Size()+1))
	if err != nil {
		return err
	}
	defer bed.close()
	_, inside := g.GatherAhead(dev, bed.t.Columns(0, 16*g.Size()), bed.t.Columns(0, 16))
	for what, err := range map[string]error{
		"gather ahead in place":   inside,
		"sum of bytes":            g.Sum(dev, bed.t),
		"sum of nothing":          g.Sum(dev, bindings.Tensor{}),
		"sum of parts of bytes":   g.SumParts(dev, bed.t.Columns(0, 16), bed.t.Columns(0, 16*g.Size())),
		"gather of other lengths": g.Gather(dev, bed.t, bed.t.Columns(0, 16)),
		"gather of columns":       g.Gather(dev, bed.t.Columns(0, 16*g.Size()), bed.t.Reshape(16, g.Size()+1).Columns(0, 1)),
		"broadcast from nobody":   g.Broadcast(dev, bed.t, g.Size()),
	} {
		if err == nil {
			return fmt.Errorf("%s: no error", what)
		}
	}
	if _, err := g.Exchange(context.Background(), nil); err != nil {
		return fmt.Errorf("after refused calls: %w", err)
	}
	return nil
}

// noise is n bytes of a rank.
func noise(seed, rank, n int) []byte {
	b := make([]byte, 0, n+8)
	for i := 0; len(b) < n; i++ {
		b = binary.LittleEndian.AppendUint64(b, number(seed, rank, i))
	}
	return b[:n]
}

// equal reports the first byte that differs.
func equal(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	if len(got) != len(want) {
		return fmt.Errorf("%s has %d bytes; want %d", what, len(got), len(want))
	}
	at := 0
	for got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%s differs from byte %d of %d: %#x; want %#x", what, at, len(got), got[at], want[at])
}
