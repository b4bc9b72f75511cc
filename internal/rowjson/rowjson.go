// Package rowjson appends the values of columnar files to JSON text: Arrow's and
// Parquet's types beyond those of JSON have one notation for both.
package rowjson

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// MaxRow bounds the JSON text of a row in bytes.
const MaxRow = 64 << 20

// ErrLong reports a row whose text is longer than MaxRow.
var ErrLong = fmt.Errorf("the row is longer than %d bytes; cut the record into several", MaxRow)

// ErrNotUTF8 reports a text that is not UTF-8.
var ErrNotUTF8 = errors.New("the text is not UTF-8")

// Null is the notation of a value that is missing.
const Null = "null"

// AppendText appends a text in quotes. It refuses one that is not UTF-8.
func AppendText[T string | []byte](to []byte, text T) ([]byte, error) {
	if !utf8.ValidString(string(text)) {
		return to, ErrNotUTF8
	}
	if len(to)+len(text) > MaxRow {
		return to, ErrLong
	}
	const hex = "0123456789abcdef"
	to = append(to, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		to = append(to, text[from:i]...)
		from = i + 1
		switch c {
		case '\n':
			to = append(to, '\\', 'n')
		case '\r':
			to = append(to, '\\', 'r')
		case '\t':
			to = append(to, '\\', 't')
		case '"', '\\':
			to = append(to, '\\', c)
		default:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(to, text[from:]...), '"'), nil
}

// AppendBinary appends bytes that no type says to be text: a text if they are UTF-8, as
// old writers store texts, and else an object that says what they are, which no format
// of records reads.
func AppendBinary(to, data []byte) ([]byte, error) {
	if utf8.Valid(data) {
		return AppendText(to, data)
	}
	return fmt.Appendf(to, `{"binary data": "%d bytes"}`, len(data)), nil
}

// AppendFloat appends a number of 16, 32 or 64 bits in its shortest notation that differs
// from an integer's, as 1.0, or null if it is not finite.
func AppendFloat(to []byte, x float64, bits int) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(to, Null...)
	}
	notation := byte('f')
	if size := math.Abs(x); size != 0 && (size < 1e-6 || size >= 1e21) {
		notation = 'e'
	}
	from := len(to)
	to = strconv.AppendFloat(to, x, notation, -1, max(bits, 32))
	if !bytes.ContainsAny(to[from:], ".e") {
		to = append(to, ".0"...)
	}
	return to
}

// Half returns the value of a half-precision number.
func Half(bits uint16) float64 {
	sign, exponent, fraction := 1.0, int(bits>>10&31), float64(bits&1023)
	if bits>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * math.Ldexp(fraction, -24)
	case 31:
		if fraction != 0 {
			return math.NaN()
		}
		return math.Inf(int(sign))
	}
	return sign * math.Ldexp(1024+fraction, exponent-25)
}

// AppendDecimal appends an integer divided by 10^scale as a number. A scale beyond 1000
// is not applied.
func AppendDecimal(to []byte, unscaled *big.Int, scale int) []byte {
	digits := new(big.Int).Abs(unscaled).String()
	if unscaled.Sign() < 0 {
		to = append(to, '-')
	}
	const most = 1000
	switch {
	case scale > most || scale < -most || scale == 0:
		return append(to, digits...)
	case scale < 0 && digits == "0":
		return append(to, '0')
	case scale < 0:
		return append(append(to, digits...), strings.Repeat("0", -scale)...)
	case len(digits) <= scale:
		digits = strings.Repeat("0", scale-len(digits)+1) + digits
	}
	to = append(to, digits[:len(digits)-scale]...)
	return append(append(to, '.'), digits[len(digits)-scale:]...)
}

// AppendDate appends a day, counted from 1970, as "2024-01-02".
func AppendDate(to []byte, days int64) []byte {
	const most = 1 << 40
	if days > most || days < -most {
		return strconv.AppendInt(to, days, 10)
	}
	return append(time.Unix(days*24*60*60, 0).UTC().AppendFormat(append(to, '"'), time.DateOnly), '"')
}

// AppendTimeOfDay appends a count of units of a second, perSecond of them, since
// midnight, as "03:04:05.6".
func AppendTimeOfDay(to []byte, count, perSecond int64) []byte {
	return append(moment(count, perSecond).AppendFormat(append(to, '"'), "15:04:05.999999999"), '"')
}

// AppendTimestamp appends a count of units of a second since 1970, as
// "2024-01-02T03:04:05.6", with Z if it is in UTC rather than of no time zone.
func AppendTimestamp(to []byte, count, perSecond int64, utc bool) []byte {
	layout := "2006-01-02T15:04:05.999999999"
	if utc {
		layout += "Z07:00"
	}
	return append(moment(count, perSecond).AppendFormat(append(to, '"'), layout), '"')
}

func moment(count, perSecond int64) time.Time {
	return time.Unix(count/perSecond, count%perSecond*(int64(time.Second)/perSecond)).UTC()
}
