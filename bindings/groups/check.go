package groups

import (
	"fmt"

	"qlora/bindings"
)

// CheckSum returns an error if t cannot be summed. Engines call it first: ranks that give
// the same wrong operand then all return, and none waits.
func CheckSum(t bindings.Tensor) error { return check("sum", "t", t, bindings.I64) }

// CheckGather returns an error if part of size ranks cannot be gathered into all.
func CheckGather(all, part bindings.Tensor, size int) error {
	return checkParts("gather", part, all, size, bindings.U8)
}

// CheckSumParts returns an error if parts of size ranks cannot be summed.
func CheckSumParts(part, all bindings.Tensor, size int) error {
	return checkParts("sum of parts", part, all, size, bindings.I64)
}

func checkParts(call string, part, all bindings.Tensor, size int, dtype bindings.DType) error {
	if err := check(call, "all", all, dtype); err != nil {
		return err
	}
	if err := check(call, "part", part, dtype); err != nil {
		return err
	}
	if all.Len() != size*part.Len() {
		return fmt.Errorf("%s: all is %v; it must have %d times the elements of part, %v", call, all, size, part)
	}
	return nil
}

// CheckGatherAhead returns an error if CheckGather does, or if part lies in all.
func CheckGatherAhead(all, part bindings.Tensor, size int) error {
	if err := CheckGather(all, part, size); err != nil {
		return err
	}
	if all.Overlaps(part) {
		return fmt.Errorf("gather: %v lies in %v, which is written while others may still read it", part, all)
	}
	return nil
}

// CheckBroadcast returns an error if t cannot be broadcast from a rank of size.
func CheckBroadcast(t bindings.Tensor, from, size int) error {
	if from < 0 || from >= size {
		return fmt.Errorf("broadcast: from rank %d of %d", from, size)
	}
	return check("broadcast", "t", t, t.DType)
}

func check(call, field string, t bindings.Tensor, dtype bindings.DType) error {
	switch {
	case t.Absent():
		return fmt.Errorf("%s: %s is absent", call, field)
	case t.DType != dtype:
		return fmt.Errorf("%s: %s is %v; its type must be %v", call, field, t, dtype)
	case !t.Contiguous():
		return fmt.Errorf("%s: %s is a view of columns; it must be contiguous", call, field)
	}
	return nil
}
