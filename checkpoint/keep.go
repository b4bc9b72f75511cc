package checkpoint

import "qlora/nf4"

// A Keeper is an encoding that can be held as 4-bit codes without a rounding.
type Keeper interface {
	Encoding
	// Keeps returns the code and the block size; ok is false if this tensor's elements are no
	// such codes.
	Keeps() (kind nf4.Kind, blockSize int, ok bool)
	// Kept returns the codes and scales. It must be called only if Keeps says ok.
	Kept() *FourBit
}

// Keeps returns the code and the block size in which t can be held without a rounding, if it can.
func (t Tensor) Keeps() (kind nf4.Kind, blockSize int, ok bool) {
	if k, is := t.Encoding.(Keeper); is && len(t.Shape) == 2 {
		return k.Keeps()
	}
	return 0, 0, false
}

// Kept returns the codes and scales of a tensor that Keeps holds for, or nil.
func (t Tensor) Kept() *FourBit {
	if _, _, ok := t.Keeps(); !ok {
		return nil
	}
	return t.Encoding.(Keeper).Kept()
}
