// Package torchrand reproduces torch's CPU generator: Matsumoto and Nishimura's MT19937
// with torch's permutations, so that data comes in the order of Hugging Face's Trainer.
package torchrand

import (
	"encoding/binary"
	"errors"
)

const (
	stateSize = 624
	shift     = 397
)

// A Generator is torch.Generator("cpu") (ATen/core/MT19937RNGEngine.h).
type Generator struct {
	state [stateSize]uint32
	next  int // index of the next number in state
}

// New returns a generator after manual_seed(seed); torch uses the seed's low 32 bits.
func New(seed uint64) *Generator {
	g := &Generator{next: stateSize}
	g.state[0] = uint32(seed)
	for i := 1; i < stateSize; i++ {
		prev := g.state[i-1]
		g.state[i] = 1812433253*(prev^prev>>30) + uint32(i)
	}
	return g
}

// NewByArray returns the generator of MT19937's authors after init_by_array(key), as
// programs other than torch seed it. The key must not be empty.
func NewByArray(key []uint32) *Generator {
	g := New(19650218)
	s := &g.state
	i := 1
	advance := func() {
		if i++; i == stateSize {
			s[0] = s[stateSize-1]
			i = 1
		}
	}
	for j := range max(stateSize, len(key)) {
		j %= len(key)
		s[i] = s[i] ^ (s[i-1]^s[i-1]>>30)*1664525 + key[j] + uint32(j)
		advance()
	}
	for range stateSize - 1 {
		s[i] = s[i] ^ (s[i-1]^s[i-1]>>30)*1566083941 - uint32(i)
		advance()
	}
	s[0] = 0x80000000
	return g
}

// Uint32 returns the next 32 bits.
func (g *Generator) Uint32() uint32 {
	if g.next == stateSize {
		g.refill()
	}
	y := g.state[g.next]
	g.next++
	y ^= y >> 11
	y ^= y << 7 & 0x9d2c5680
	y ^= y << 15 & 0xefc60000
	return y ^ y>>18
}

// Uint64 returns two draws, the first in the upper half, as torch's random64.
func (g *Generator) Uint64() uint64 {
	high := uint64(g.Uint32())
	return high<<32 | uint64(g.Uint32())
}

func (g *Generator) refill() {
	s := &g.state
	for i := range stateSize {
		y := s[i]&0x80000000 | s[(i+1)%stateSize]&0x7fffffff
		v := s[(i+shift)%stateSize] ^ y>>1
		if y&1 == 1 {
			v ^= 0x9908b0df
		}
		s[i] = v
	}
	g.next = 0
}

// RandPerm returns torch.randperm(n, generator=g): a Fisher-Yates shuffle from the
// front, one draw per position (ATen/native/TensorFactories.cpp, randperm_cpu).
func (g *Generator) RandPerm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := 0; i < n-1; i++ {
		// Torch draws 64 bits where 32 would be visibly uneven.
		var z int
		if n < (1<<32-1)/20 {
			z = int(g.Uint32() % uint32(n-i))
		} else {
			z = int(g.Uint64() % uint64(n-i))
		}
		p[i], p[i+z] = p[i+z], p[i]
	}
	return p
}

// MarshalBinary returns the generator's state, for a checkpoint.
func (g *Generator) MarshalBinary() ([]byte, error) {
	out := make([]byte, 0, 4*(stateSize+1))
	out = binary.LittleEndian.AppendUint32(out, uint32(g.next))
	for _, s := range g.state {
		out = binary.LittleEndian.AppendUint32(out, s)
	}
	return out, nil
}

// UnmarshalBinary restores the state of MarshalBinary.
func (g *Generator) UnmarshalBinary(data []byte) error {
	if len(data) != 4*(stateSize+1) || binary.LittleEndian.Uint32(data) > stateSize {
		return errors.New("not the state of a random generator")
	}
	g.next = int(binary.LittleEndian.Uint32(data))
	for i := range g.state {
		g.state[i] = binary.LittleEndian.Uint32(data[4*(i+1):])
	}
	return nil
}
