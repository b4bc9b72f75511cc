package reward

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
)

// mathematical gives 1 to completions whose last \boxed{} has the answer of the record's column:
// the same rational number, however it is written, or else the same text but for what LaTeX does not show.
// The column is an answer, or a solution with the answer in its last \boxed{} or behind ####.
func mathematical(column string, _ Settings) (score, error) {
	column = orAnswer(column)
	return func(c *Completion) (float64, error) {
		text, ok, err := c.column(column)
		if err != nil || !ok {
			return math.NaN(), err
		}
		want, boxed := lastBoxed(text)
		if !boxed {
			want = text
			if at := strings.LastIndex(text, "####"); at >= 0 {
				want = text[at+len("####"):]
			}
		}
		if plain(want) == "" {
			return 0, fmt.Errorf("the column %q of a record is %q, in which there is no answer", column, cut(text))
		}
		got, ok := lastBoxed(c.Text)
		return oneIf(ok && sameAnswer(got, want)), nil
	}, nil
}

// lastBoxed returns what is in the last \boxed{} or \fbox{} of a text whose braces are closed.
func lastBoxed(text string) (string, bool) {
	for end := len(text); ; {
		at := max(strings.LastIndex(text[:end], `\boxed{`), strings.LastIndex(text[:end], `\fbox{`))
		if at < 0 {
			return "", false
		}
		if body, _, ok := braced(text[at+strings.IndexByte(text[at:], '{'):]); ok {
			return body, true
		}
		end = at
	}
}

// braced returns what is between the brace that text begins with and the one that closes it, and
// what follows.
func braced(text string) (body, rest string, ok bool) {
	depth := 0
	for i := range len(text) {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return text[1:i], text[i+1:], true
			}
		}
	}
	return "", "", false
}

// invisible is what does not change an answer: spaces, sizes of brackets, signs of currency, degrees
// and percent, words around it.
var invisible = strings.NewReplacer(
	`\left`, "", `\right`, "", `\dfrac`, `\frac`, `\tfrac`, `\frac`, `\cfrac`, `\frac`, `\,`, "", `\!`, "", `\;`, "", `\:`, "", `\ `, "", `\$`, "", `\%`, "", `^{\circ}`, "", `^\circ`, "",
	`{,}`, "", `\(`, "", `\)`, "", `\[`, "", `\]`, "", `\displaystyle`, "", "$", "", "%", "", "°", "", "−", "-", "~", "",
)

var (
	thousands = regexp.MustCompile(`(\d),(\d{3})\b`)
	words     = regexp.MustCompile(`\\(?:text|mathrm|mbox|textbf|mathbf|operatorname)\{([^{}]*)\}`)
	assigned  = regexp.MustCompile(`^[A-Za-z]\w?=`)
)

// plain returns an answer without what is invisible.
func plain(answer string) string {
	answer = words.ReplaceAllString(invisible.Replace(answer), "$1")
	answer = strings.TrimSuffix(strings.Join(strings.Fields(answer), ""), ".")
	for {
		joined := thousands.ReplaceAllString(answer, "$1$2")
		if joined == answer {
			return assigned.ReplaceAllString(answer, "")
		}
		answer = joined
	}
}

// sameAnswer compares two answers as numbers, if both are, or as texts.
func sameAnswer(a, b string) bool {
	a, b = plain(a), plain(b)
	if a == b {
		return true
	}
	x, ok := rational(a)
	y, also := rational(b)
	return ok && also && x.Cmp(y) == 0
}

// longestNumber bounds the digits of a numerator and a denominator.
const longestNumber = 100

var (
	decimal = regexp.MustCompile(`^(?:\d+\.?\d*|\.\d+)$`)
	mixed   = regexp.MustCompile(`^(\d+)\\frac`)
)

// rational returns the number that a text is: a decimal, a/b, \frac{a}{b}, or a whole number before a
// fraction, with a sign.
func rational(text string) (*big.Rat, bool) {
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		x, ok := rational(rest)
		if !ok || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
			return nil, false
		}
		return x.Neg(x), true
	}
	if rest, positive := strings.CutPrefix(text, "+"); positive {
		if strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
			return nil, false
		}
		return rational(rest)
	}
	whole := new(big.Rat)
	if m := mixed.FindStringSubmatch(text); m != nil && len(m[1]) <= longestNumber {
		whole.SetString(m[1])
		text = text[len(m[1]):]
	}
	over, under, fraction := strings.Cut(text, "/")
	if rest, is := strings.CutPrefix(text, `\frac`); is {
		if over, under, fraction = arguments(rest); !fraction {
			return nil, false
		}
	}
	x, ok := integerOrDecimal(over)
	if !ok {
		return nil, false
	}
	if fraction {
		y, ok := integerOrDecimal(under)
		if !ok || y.Sign() == 0 {
			return nil, false
		}
		x.Quo(x, y)
	}
	return x.Add(x, whole), true
}

// arguments returns the two arguments of \frac: in braces, or a character each.
func arguments(text string) (first, second string, ok bool) {
	var both [2]string
	for i := range both {
		if strings.HasPrefix(text, "{") {
			if both[i], text, ok = braced(text); !ok {
				return "", "", false
			}
		} else if text != "" {
			both[i], text = text[:1], text[1:]
		}
	}
	return both[0], both[1], text == ""
}

func integerOrDecimal(text string) (*big.Rat, bool) {
	digits, negative := strings.CutPrefix(text, "-")
	if len(digits) > longestNumber || !decimal.MatchString(digits) {
		return nil, false
	}
	x, ok := new(big.Rat).SetString(strings.TrimSuffix(digits, "."))
	if ok && negative {
		x.Neg(x)
	}
	return x, ok
}
