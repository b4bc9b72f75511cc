package cuda

import (
	"qlora/bindings"
	"qlora/internal/dynamic8"
)

// stagingBytes is the size of the pieces in which Quantize copies a matrix to the device.
const stagingBytes = 16 << 20

// Quantize copies the matrix to the device piece by piece. The staging buffer is the only
// memory outside the plan; the first operation after loading frees it.
func (d *Device) Quantize(dst *bindings.Weight, src []byte, dtype bindings.DType) error {
	if err := bindings.CheckQuantize(dst, len(src), dtype); err != nil {
		return err
	}
	q, n := dst.Quantized, dst.Out*dst.In
	step := max(1, stagingBytes/int(dtype.Size())/q.BlockSize) * q.BlockSize // even, as blocks are
	scales := ceil(n, q.BlockSize)
	layOut := func(s *scratch) (piece, absmax tensor) {
		return s.take(dtype, 1, min(n, step)), s.take(bindings.F32, 1, scales)
	}
	var plan scratch
	layOut(&plan)
	if err := d.staging.grow(d.context, plan.peak); err != nil {
		return err
	}
	piece, absmax := layOut(&scratch{base: d.staging.base})
	if !q.Double() {
		absmax = vector(q.Absmax)
	}
	if d.emulated {
		if err := d.context.allow(append(weightExtents(q), extent{name: "staging", data: d.staging.base, bytes: plan.peak})); err != nil {
			return err
		}
	}
	for from := 0; from < n; from += step {
		to := min(n, from+step)
		x := columns(piece, 0, to-from)
		if err := d.context.write(x.data, src[int64(from)*dtype.Size():int64(to)*dtype.Size()]); err != nil {
			return err
		}
		if err := d.context.launch("quantize", &quantize{
			x: x, kind: i32(q.Kind), block: i32(q.BlockSize),
			codes: offset(pointer[u8](q.Codes), from/2), absmax: offset((*float)(absmax.data), from/q.BlockSize),
		}); err != nil {
			return err
		}
	}
	if !q.Double() {
		return nil
	}
	if err := d.Write(q.Map, floats(dynamic8.Signed().Values()[:])); err != nil {
		return err
	}
	return d.context.launch("quantize", &nest{
		absmax: (*float)(absmax.data), blocks: i64(scales), _map: pointer[float](q.Map),
		codes: pointer[u8](q.AbsmaxCodes), nested: pointer[float](q.NestedAbsmax), offset: pointer[float](q.Offset),
	})
}
