package cuda

import (
	"fmt"
	"reflect"
	"unsafe"

	"qlora/bindings"
)

// An extent is memory that kernels may touch.
type extent struct {
	name  string
	data  unsafe.Pointer
	bytes int64
}

// extents lists every tensor of an operation, named after its field: "X",
// "Parts[0].Linear.Weight.Dense". On the emulator a kernel that touches anything
// else is at fault.
func extents(op any) []extent {
	var list []extent
	walk("", reflect.ValueOf(op), func(name string, t bindings.Tensor) {
		if !t.Absent() && !t.Planned() && t.Bytes() > 0 {
			list = append(list, extent{name, t.Address(), t.Bytes()})
		}
	})
	return list
}

var tensorType = reflect.TypeFor[bindings.Tensor]()

// walk calls found for each tensor below v.
func walk(name string, v reflect.Value, found func(string, bindings.Tensor)) {
	switch {
	case v.Type() == tensorType:
		found(name, v.Interface().(bindings.Tensor))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walk(name, v.Elem(), found)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			path := field.Name
			if name != "" {
				path = name + "." + path
			}
			walk(path, v.Field(i), found)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			walk(fmt.Sprintf("%s[%d]", name, i), v.Index(i), found)
		}
	}
}
