package chattemplate

import (
	"fmt"
	"strings"
	"time"
)

// directives maps strftime's directives to Go layouts, for the C locale.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'B': "January", 'b': "Jan", 'h': "Jan", 'A': "Monday", 'a': "Mon",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002", 'z': "", 'Z': "",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'x': "01/02/06", 'X': "15:04:05", 'r': "03:04:05 PM",
	'c': "Mon Jan _2 15:04:05 2006",
}

// strftime implements Python's datetime.strftime for a time without a zone.
func strftime(t time.Time, format string) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		bare := format[i] == '-' && i+1 < len(format) // without leading zeros
		if bare {
			i++
		}
		text := directive(t, format[i])
		if bare {
			if text = strings.TrimLeft(text, "0 "); text == "" {
				text = "0"
			}
		}
		b.WriteString(text)
	}
	return b.String()
}

func directive(t time.Time, c byte) string {
	switch c {
	case '%':
		return "%"
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000)
	case 'w':
		return itoa(int(t.Weekday()))
	case 'u':
		return itoa((int(t.Weekday())+6)%7 + 1)
	case 'U':
		return fmt.Sprintf("%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'W':
		return fmt.Sprintf("%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
	case 'G', 'V':
		year, week := t.ISOWeek()
		if c == 'G' {
			return itoa(year)
		}
		return fmt.Sprintf("%02d", week)
	case 's':
		return itoa(int(t.Unix()))
	case 'C':
		return fmt.Sprintf("%02d", t.Year()/100)
	}
	layout, ok := directives[c]
	if !ok {
		fail("strftime_now does not support %%%c", c)
	}
	if layout == "" {
		return ""
	}
	return t.Format(layout)
}
