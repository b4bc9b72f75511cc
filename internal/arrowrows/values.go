package arrowrows

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"

	"qlora/internal/rowjson"
)

// appendValue appends value i as JSON. A value of a type that has no notation becomes an
// object that names the type, which no format of records reads.
func appendValue(to []byte, values arrow.Array, i int) ([]byte, error) {
	if len(to) > rowjson.MaxRow {
		return to, rowjson.ErrLong
	}
	if values.IsNull(i) {
		return append(to, rowjson.Null...), nil
	}
	switch v := values.(type) {
	case *array.Null:
		return append(to, rowjson.Null...), nil
	case *array.Boolean:
		return strconv.AppendBool(to, v.Value(i)), nil
	case *array.String:
		return rowjson.AppendText(to, v.Value(i))
	case *array.LargeString:
		return rowjson.AppendText(to, v.Value(i))
	case *array.StringView:
		return rowjson.AppendText(to, v.Value(i))
	case *array.Binary:
		return rowjson.AppendBinary(to, v.Value(i))
	case *array.LargeBinary:
		return rowjson.AppendBinary(to, v.Value(i))
	case *array.BinaryView:
		return rowjson.AppendBinary(to, v.Value(i))
	case *array.FixedSizeBinary:
		return rowjson.AppendBinary(to, v.Value(i))
	case *array.Map:
		return appendMap(to, v, i)
	case array.ListLike:
		return appendList(to, v, i)
	case *array.Struct:
		return appendStruct(to, v, i)
	case *array.Dictionary:
		return appendValue(to, v.Dictionary(), v.GetValueIndex(i))
	case *array.RunEndEncoded:
		return appendValue(to, v.Values(), v.GetPhysicalIndex(i))
	case array.ExtensionArray:
		return appendValue(to, v.Storage(), i)
	}
	if to, ok := appendNumber(to, values, i); ok {
		return to, nil
	}
	return fmt.Appendf(to, `{"unsupported type": %q}`, values.DataType().Name()), nil
}

func appendNumber(to []byte, values arrow.Array, i int) (_ []byte, ok bool) {
	switch v := values.(type) {
	case *array.Int8:
		return strconv.AppendInt(to, int64(v.Value(i)), 10), true
	case *array.Int16:
		return strconv.AppendInt(to, int64(v.Value(i)), 10), true
	case *array.Int32:
		return strconv.AppendInt(to, int64(v.Value(i)), 10), true
	case *array.Int64:
		return strconv.AppendInt(to, v.Value(i), 10), true
	case *array.Uint8:
		return strconv.AppendUint(to, uint64(v.Value(i)), 10), true
	case *array.Uint16:
		return strconv.AppendUint(to, uint64(v.Value(i)), 10), true
	case *array.Uint32:
		return strconv.AppendUint(to, uint64(v.Value(i)), 10), true
	case *array.Uint64:
		return strconv.AppendUint(to, v.Value(i), 10), true
	case *array.Float16:
		return rowjson.AppendFloat(to, float64(v.Value(i).Float32()), 16), true
	case *array.Float32:
		return rowjson.AppendFloat(to, float64(v.Value(i)), 32), true
	case *array.Float64:
		return rowjson.AppendFloat(to, v.Value(i), 64), true
	case *array.Decimal32:
		return rowjson.AppendDecimal(to, big.NewInt(int64(v.Value(i))), scale(v)), true
	case *array.Decimal64:
		return rowjson.AppendDecimal(to, big.NewInt(int64(v.Value(i))), scale(v)), true
	case *array.Decimal128:
		return rowjson.AppendDecimal(to, v.Value(i).BigInt(), scale(v)), true
	case *array.Decimal256:
		return rowjson.AppendDecimal(to, v.Value(i).BigInt(), scale(v)), true
	}
	return appendTime(to, values, i)
}

func appendTime(to []byte, values arrow.Array, i int) (_ []byte, ok bool) {
	switch v := values.(type) {
	case *array.Date32:
		return rowjson.AppendDate(to, int64(v.Value(i))), true
	case *array.Date64:
		return rowjson.AppendTimestamp(to, int64(v.Value(i)), 1e3, false), true
	case *array.Time32:
		return rowjson.AppendTimeOfDay(to, int64(v.Value(i)), perSecond(v.DataType().(*arrow.Time32Type).Unit)), true
	case *array.Time64:
		return rowjson.AppendTimeOfDay(to, int64(v.Value(i)), perSecond(v.DataType().(*arrow.Time64Type).Unit)), true
	case *array.Timestamp:
		kind := v.DataType().(*arrow.TimestampType)
		return rowjson.AppendTimestamp(to, int64(v.Value(i)), perSecond(kind.Unit), kind.TimeZone != ""), true
	case *array.Duration:
		return strconv.AppendInt(to, int64(v.Value(i)), 10), true
	}
	return to, false
}

func perSecond(unit arrow.TimeUnit) int64 {
	switch unit {
	case arrow.Second:
		return 1
	case arrow.Millisecond:
		return 1e3
	case arrow.Microsecond:
		return 1e6
	}
	return 1e9
}

func scale(values arrow.Array) int { return int(values.DataType().(arrow.DecimalType).GetScale()) }

func appendList(to []byte, v array.ListLike, i int) ([]byte, error) {
	from, end := v.ValueOffsets(i)
	elements := v.ListValues()
	to = append(to, '[')
	for k := from; k < end; k++ {
		if k > from {
			to = append(to, ',')
		}
		var err error
		if to, err = appendValue(to, elements, int(k)); err != nil {
			return to, err
		}
	}
	return append(to, ']'), nil
}

// appendMap appends an object. A key that is no text becomes the text of its value.
func appendMap(to []byte, v *array.Map, i int) ([]byte, error) {
	from, end := v.ValueOffsets(i)
	to = append(to, '{')
	for k := int(from); k < int(end); k++ {
		if k > int(from) {
			to = append(to, ',')
		}
		key, err := appendValue(nil, v.Keys(), k)
		if err == nil && key[0] != '"' {
			key, err = rowjson.AppendText(nil, slices.Clone(key))
		}
		if err != nil {
			return to, err
		}
		if to, err = appendValue(append(append(to, key...), ':'), v.Items(), k); err != nil {
			return to, err
		}
	}
	return append(to, '}'), nil
}

func appendStruct(to []byte, v *array.Struct, i int) ([]byte, error) {
	kind := v.DataType().(*arrow.StructType)
	to = append(to, '{')
	for k := range v.NumField() {
		if k > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = appendMember(to, kind.Field(k).Name, v.Field(k), i); err != nil {
			return to, err
		}
	}
	return append(to, '}'), nil
}
