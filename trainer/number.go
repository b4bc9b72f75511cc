package trainer

import "qlora/internal/pyfloat"

// A Number is a float64 that JSON spells as Python's json module does, so that
// files that transformers also writes do not differ by spelling.
type Number float64

// MarshalJSON returns n as Python writes it.
func (n Number) MarshalJSON() ([]byte, error) { return []byte(n.String()), nil }

// String returns Python's repr of n.
func (n Number) String() string { return pyfloat.Format(float64(n)) }

func number(x float64) *Number { n := Number(x); return &n }
