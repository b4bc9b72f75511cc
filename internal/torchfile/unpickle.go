package torchfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// The values of a pickle are string, int64, bool, float (not read: nil), nil, tuple, *dict,
// *list, class, storage and view.
type (
	tuple []any
	list  struct{ items []any }
	dict  struct{ entries []entry }
	entry struct{ key, value any }
	mark  struct{}

	// class is a global by its full name, one of classes.
	class string
	// storage is an entry of the archive.
	storage struct {
		key      string
		kind     kind
		elements int64
	}
	// view is a tensor: a part of a storage.
	view struct {
		of     storage
		offset int64
		shape  []int
		stride []int64
	}
)

// The classes that a dictionary of tensors names, beside the storages.
const (
	orderedDict  class = "collections.OrderedDict"
	rebuild      class = "torch._utils._rebuild_tensor_v2"
	parameter    class = "torch._utils._rebuild_parameter"
	storagesFrom       = "torch"
)

// The instructions of pickle that torch.save uses:
// https://github.com/python/cpython/blob/main/Lib/pickletools.py.
const (
	opMark            = '('
	opStop            = '.'
	opNone            = 'N'
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opBinInt2         = 'M'
	opLong1           = 0x8a
	opTrue            = 0x88
	opFalse           = 0x89
	opBinFloat        = 'G'
	opBinUnicode      = 'X'
	opShortBinUnicode = 0x8c
	opEmptyTuple      = ')'
	opTuple           = 't'
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opEmptyList       = ']'
	opAppend          = 'a'
	opAppends         = 'e'
	opEmptyDict       = '}'
	opSetItem         = 's'
	opSetItems        = 'u'
	opGlobal          = 'c'
	opStackGlobal     = 0x93
	opReduce          = 'R'
	opBuild           = 'b'
	opBinPersID       = 'Q'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opMemoize         = 0x94
	opBinGet          = 'h'
	opLongBinGet      = 'j'
	opProto           = 0x80
	opFrame           = 0x95
)

// A machine runs a pickle. Every instruction takes at least a byte of it and leaves at
// most one value, so its length bounds the memory.
type machine struct {
	rest  []byte
	stack []any
	memo  map[uint32]any
}

var (
	errEnds  = errors.New("it ends in the middle; download the file again")
	errStack = errors.New("an instruction lacks its operands")
)

// unpickle returns the value of a pickle.
func unpickle(text []byte) (any, error) {
	m := machine{rest: text, memo: map[uint32]any{}}
	for {
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == opStop {
			return m.pop()
		}
		if err := m.step(op[0]); err != nil {
			return nil, err
		}
	}
}

// step runs one instruction.
func (m *machine) step(op byte) error {
	switch op {
	case opMark:
		return m.push(mark{}, nil)
	case opNone, opTrue, opFalse:
		return m.push(map[byte]any{opNone: nil, opTrue: true, opFalse: false}[op], nil)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat:
		return m.push(m.number(op))
	case opBinUnicode, opShortBinUnicode:
		return m.push(m.text(op))
	case opEmptyTuple:
		return m.push(tuple(nil), nil)
	case opTuple:
		return m.push(m.marked())
	case opTuple1, opTuple2, opTuple3:
		return m.push(m.last(int(op) - opTuple1 + 1))
	case opEmptyList:
		return m.push(&list{}, nil)
	case opEmptyDict:
		return m.push(&dict{}, nil)
	case opAppend, opAppends, opSetItem, opSetItems:
		return m.fill(op)
	case opGlobal, opStackGlobal:
		return m.push(m.global(op))
	case opReduce:
		return m.push(m.reduce())
	case opBuild:
		_, err := m.last(1) // attributes: of a state dict, the versions of its modules
		if err != nil || len(m.stack) == 0 {
			return errStack
		}
		if _, ok := m.stack[len(m.stack)-1].(*dict); !ok {
			return fmt.Errorf("it sets attributes of %s", describe(m.stack[len(m.stack)-1]))
		}
		return nil
	case opBinPersID:
		return m.push(m.persistent())
	case opBinPut, opLongBinPut, opMemoize, opBinGet, opLongBinGet:
		return m.remember(op)
	case opProto:
		_, err := m.take(1)
		return err
	case opFrame:
		_, err := m.take(8)
		return err
	}
	return fmt.Errorf("it has the instruction %q, which a dictionary of tensors does not need: it may run a program and is not read", op)
}

// take returns the next n bytes.
func (m *machine) take(n uint32) ([]byte, error) {
	if uint64(n) > uint64(len(m.rest)) {
		return nil, errEnds
	}
	b := m.rest[:n]
	m.rest = m.rest[n:]
	return b, nil
}

func (m *machine) push(v any, err error) error {
	if err == nil {
		m.stack = append(m.stack, v)
	}
	return err
}

func (m *machine) pop() (any, error) {
	if len(m.stack) == 0 {
		return nil, errStack
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	if _, ok := v.(mark); ok {
		return nil, errStack
	}
	return v, nil
}

// last takes the last n values.
func (m *machine) last(n int) (tuple, error) {
	values := make(tuple, n)
	for i := n - 1; i >= 0; i-- {
		var err error
		if values[i], err = m.pop(); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// marked takes the values after the last mark, and the mark.
func (m *machine) marked() (tuple, error) {
	for i, v := range slices.Backward(m.stack) {
		if _, ok := v.(mark); ok {
			values := append(tuple(nil), m.stack[i+1:]...)
			m.stack = m.stack[:i]
			return values, nil
		}
	}
	return nil, errStack
}

// number reads the operand of an instruction that pushes a number.
func (m *machine) number(op byte) (any, error) {
	size := map[byte]uint32{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8}[op]
	b, err := m.take(size)
	if err != nil {
		return nil, err
	}
	switch op {
	case opBinInt:
		return int64(int32(binary.LittleEndian.Uint32(b))), nil
	case opBinInt2:
		return int64(binary.LittleEndian.Uint16(b)), nil
	case opBinInt1:
		return int64(b[0]), nil
	case opBinFloat:
		return nil, nil // no tensor is made of one
	}
	if b[0] > 8 {
		return nil, fmt.Errorf("it has a number of %d bytes", b[0])
	}
	digits, err := m.take(uint32(b[0]))
	return littleEndian(digits), err
}

func (m *machine) text(op byte) (any, error) {
	size := uint32(4)
	if op == opShortBinUnicode {
		size = 1
	}
	b, err := m.take(size)
	if err != nil {
		return nil, err
	}
	length := uint32(b[0])
	if size == 4 {
		length = binary.LittleEndian.Uint32(b)
	}
	text, err := m.take(length)
	if err == nil && !utf8.Valid(text) {
		err = errors.New("it has a text that is not UTF-8")
	}
	return string(text), err
}

// fill puts values into the list or the dictionary below them.
func (m *machine) fill(op byte) error {
	var values tuple
	var err error
	switch op {
	case opAppend:
		values, err = m.last(1)
	case opSetItem:
		values, err = m.last(2)
	default:
		values, err = m.marked()
	}
	if err != nil || len(m.stack) == 0 {
		return errStack
	}
	switch into := m.stack[len(m.stack)-1].(type) {
	case *list:
		if op == opAppend || op == opAppends {
			into.items = append(into.items, values...)
			return nil
		}
	case *dict:
		if (op == opSetItem || op == opSetItems) && len(values)%2 == 0 {
			for i := 0; i < len(values); i += 2 {
				into.entries = append(into.entries, entry{values[i], values[i+1]})
			}
			return nil
		}
	}
	return fmt.Errorf("it puts values into %s", describe(m.stack[len(m.stack)-1]))
}

// global reads the name of a class or a function, and allows those of a dictionary of
// tensors.
func (m *machine) global(op byte) (any, error) {
	var module, name string
	if op == opStackGlobal {
		both, err := m.last(2)
		if err != nil {
			return nil, err
		}
		module, _ = both[0].(string)
		name, _ = both[1].(string)
	} else {
		for _, part := range []*string{&module, &name} {
			end := bytes.IndexByte(m.rest, '\n')
			if end < 0 {
				return nil, errEnds
			}
			*part, m.rest = string(m.rest[:end]), m.rest[end+1:]
		}
	}
	c := class(module + "." + name)
	_, isStorage := storages[name]
	switch {
	case c == orderedDict, c == rebuild, c == parameter, module == storagesFrom && isStorage:
		return c, nil
	}
	return nil, fmt.Errorf("it names %.100q, which a dictionary of tensors does not need: it may run a program and is not read", string(c))
}

// reduce calls one of classes.
func (m *machine) reduce() (any, error) {
	both, err := m.last(2)
	if err != nil {
		return nil, err
	}
	args, ok := both[1].(tuple)
	switch c, _ := both[0].(class); {
	case !ok:
	case c == orderedDict && len(args) == 0:
		return &dict{}, nil
	case c == rebuild && len(args) >= 6:
		return newView(args)
	case c == parameter && len(args) >= 1:
		if v, ok := args[0].(view); ok {
			return v, nil
		}
	}
	return nil, fmt.Errorf("it calls %s with other arguments than torch.save writes", describe(both[0]))
}

// newView returns the tensor of (storage, offset, shape, strides, requires_grad, hooks).
func newView(args tuple) (any, error) {
	of, isStorage := args[0].(storage)
	offset, isNumber := args[1].(int64)
	shape, isShape := integers(args[2])
	stride, isStride := integers(args[3])
	if !isStorage || !isNumber || !isShape || !isStride {
		return nil, fmt.Errorf("it makes a tensor of %s, %s, %s and %s", describe(args[0]), describe(args[1]), describe(args[2]), describe(args[3]))
	}
	v := view{of: of, offset: offset, stride: stride}
	for _, n := range shape {
		if n < 0 || n > maxElements {
			return nil, fmt.Errorf("a tensor has the shape %v", shape)
		}
		v.shape = append(v.shape, int(n))
	}
	return v, nil
}

func integers(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	numbers := make([]int64, len(t))
	for i := range t {
		if numbers[i], _ = t[i].(int64); t[i] != any(numbers[i]) {
			return nil, false
		}
	}
	const most = 64 // dimensions
	return numbers, ok && len(t) <= most
}

// persistent returns the storage of ("storage", class, key, device, elements).
func (m *machine) persistent() (any, error) {
	v, err := m.pop()
	if err != nil {
		return nil, err
	}
	id, _ := v.(tuple)
	if len(id) == 5 {
		c, _ := id[1].(class)
		key, isKey := id[2].(string)
		elements, isNumber := id[4].(int64)
		of, isStorage := storages[string(bytes.TrimPrefix([]byte(c), []byte(storagesFrom+".")))]
		if id[0] == any("storage") && isKey && isNumber && isStorage && elements >= 0 && elements <= maxElements {
			return storage{key: key, kind: of, elements: elements}, nil
		}
	}
	return nil, fmt.Errorf("it refers to %s outside of it, which is no storage", describe(v))
}

// remember runs an instruction of the memo.
func (m *machine) remember(op byte) error {
	index := uint32(len(m.memo))
	if op != opMemoize {
		size := uint32(1)
		if op == opLongBinPut || op == opLongBinGet {
			size = 4
		}
		b, err := m.take(size)
		if err != nil {
			return err
		}
		var whole [4]byte
		copy(whole[:], b)
		index = binary.LittleEndian.Uint32(whole[:])
	}
	if op == opBinGet || op == opLongBinGet {
		v, ok := m.memo[index]
		if !ok {
			return fmt.Errorf("it recalls value %d, which it did not store", index)
		}
		return m.push(v, nil)
	}
	if len(m.stack) == 0 {
		return errStack
	}
	m.memo[index] = m.stack[len(m.stack)-1]
	return nil
}

// describe names a value in messages.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a truth value"
	case int64:
		return fmt.Sprintf("the number %d", v)
	case string:
		return fmt.Sprintf("the text %.60q", v)
	case tuple:
		return fmt.Sprintf("a tuple of %d values", len(v))
	case *list:
		return "a list"
	case *dict:
		return "a dictionary"
	case class:
		return string(v)
	case storage:
		return "a storage"
	case view:
		return "a tensor"
	}
	return "nothing"
}
