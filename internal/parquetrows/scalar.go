package parquetrows

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"qlora/internal/rowjson"
)

// appendValue appends a value as JSON, by the column's type and its annotation.
func (l *leafColumn) appendValue(to, value []byte) ([]byte, error) {
	switch l.element.Type.V {
	case format.Boolean:
		return strconv.AppendBool(to, value[0] != 0), nil
	case format.Int32:
		return l.appendInteger(to, int64(int32(binary.LittleEndian.Uint32(value))), 32), nil
	case format.Int64:
		return l.appendInteger(to, int64(binary.LittleEndian.Uint64(value)), 64), nil
	case format.Int96:
		return appendInt96(to, value), nil
	case format.Float:
		return rowjson.AppendFloat(to, float64(math.Float32frombits(binary.LittleEndian.Uint32(value))), 32), nil
	case format.Double:
		return rowjson.AppendFloat(to, math.Float64frombits(binary.LittleEndian.Uint64(value)), 64), nil
	}
	switch kind := l.element.LogicalType.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		return rowjson.AppendText(to, value)
	case *format.DecimalType:
		return rowjson.AppendDecimal(to, bigEndian(value), int(kind.Scale)), nil
	case *format.UUIDType:
		if len(value) == 16 {
			return fmt.Appendf(to, `"%x-%x-%x-%x-%x"`, value[:4], value[4:6], value[6:8], value[8:10], value[10:]), nil
		}
	case *format.Float16Type:
		if len(value) == 2 {
			return rowjson.AppendFloat(to, rowjson.Half(binary.LittleEndian.Uint16(value)), 16), nil
		}
	}
	switch {
	case converted(l.element, deprecated.UTF8), converted(l.element, deprecated.Enum), converted(l.element, deprecated.Json):
		return rowjson.AppendText(to, value)
	case converted(l.element, deprecated.Decimal):
		return rowjson.AppendDecimal(to, bigEndian(value), int(l.element.Scale.V)), nil
	}
	return rowjson.AppendBinary(to, value)
}

func (l *leafColumn) appendInteger(to []byte, x int64, bits int) []byte {
	switch kind := l.element.LogicalType.Value.(type) {
	case *format.IntType:
		if !kind.IsSigned {
			return strconv.AppendUint(to, unsigned(x, bits), 10)
		}
	case *format.DecimalType:
		return rowjson.AppendDecimal(to, big.NewInt(x), int(kind.Scale))
	case *format.DateType:
		return rowjson.AppendDate(to, x)
	case *format.TimeType:
		return rowjson.AppendTimeOfDay(to, x, perSecond(kind.Unit))
	case *format.TimestampType:
		return rowjson.AppendTimestamp(to, x, perSecond(kind.Unit), kind.IsAdjustedToUTC)
	}
	if l.element.LogicalType.Value == nil && l.element.ConvertedType.Valid {
		switch l.element.ConvertedType.V {
		case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
			return strconv.AppendUint(to, unsigned(x, bits), 10)
		case deprecated.Decimal:
			return rowjson.AppendDecimal(to, big.NewInt(x), int(l.element.Scale.V))
		case deprecated.Date:
			return rowjson.AppendDate(to, x)
		case deprecated.TimeMillis:
			return rowjson.AppendTimeOfDay(to, x, 1e3)
		case deprecated.TimeMicros:
			return rowjson.AppendTimeOfDay(to, x, 1e6)
		case deprecated.TimestampMillis:
			return rowjson.AppendTimestamp(to, x, 1e3, true)
		case deprecated.TimestampMicros:
			return rowjson.AppendTimestamp(to, x, 1e6, true)
		}
	}
	return strconv.AppendInt(to, x, 10)
}

func unsigned(x int64, bits int) uint64 {
	if bits == 32 {
		return uint64(uint32(x))
	}
	return uint64(x)
}

func perSecond(unit format.TimeUnit) int64 {
	switch unit.Value.(type) {
	case *format.MilliSeconds:
		return 1e3
	case *format.NanoSeconds:
		return 1e9
	}
	return 1e6
}

// appendInt96 appends Impala's timestamp: nanoseconds of a Julian day.
func appendInt96(to, value []byte) []byte {
	const julian1970 = 2440588
	nanoseconds, day := int64(binary.LittleEndian.Uint64(value)), int64(binary.LittleEndian.Uint32(value[8:]))
	seconds := (day-julian1970)*24*60*60 + nanoseconds/1e9
	const most = math.MaxInt64 / 1_000_000_000
	if seconds >= most || seconds <= -most {
		return rowjson.AppendTimestamp(to, seconds, 1, false)
	}
	return rowjson.AppendTimestamp(to, seconds*1e9+nanoseconds%1e9, 1e9, false)
}

// bigEndian returns a number in two's complement.
func bigEndian(value []byte) *big.Int {
	x := new(big.Int).SetBytes(value)
	if len(value) > 0 && value[0]&0x80 != 0 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(value))))
	}
	return x
}

// appendKey appends the key of a map as a name: a text as it is, and the text of any
// other value.
func (l *leafColumn) appendKey(to, value []byte) ([]byte, error) {
	key, err := l.appendValue(nil, value)
	if err == nil && key[0] != '"' {
		key, err = rowjson.AppendText(nil, slices.Clone(key))
	}
	return append(to, key...), err
}
