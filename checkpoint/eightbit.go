package checkpoint

// EightBit is a weight [out, in] as signed bytes in blocks with one scale each: GGML's Q8_0. An
// element is its code times the scale.
type EightBit struct {
	BlockSize int
	Codes     []byte // out*in, signed
	Scales    []byte // float16 in little-endian order, one per block
}

// A Keeper8 is an encoding that can be held as 8-bit codes without a rounding.
type Keeper8 interface {
	Encoding
	// Keeps8 returns the block size; ok is false if this tensor's elements are no such codes.
	Keeps8() (blockSize int, ok bool)
	// Kept8 returns the codes and scales. It must be called only if Keeps8 says ok.
	Kept8() *EightBit
}

// Keeps8 returns the block size in which t can be held in 8 bits without a rounding, if it can.
func (t Tensor) Keeps8() (blockSize int, ok bool) {
	if k, is := t.Encoding.(Keeper8); is && len(t.Shape) == 2 {
		return k.Keeps8()
	}
	return 0, false
}

// Kept8 returns the codes and scales of a tensor that Keeps8 holds for, or nil.
func (t Tensor) Kept8() *EightBit {
	if _, ok := t.Keeps8(); !ok {
		return nil
	}
	return t.Encoding.(Keeper8).Kept8()
}
