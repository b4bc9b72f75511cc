package reward

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestSameAnswer has pairs whose numbers math_verify 0.9, which TRL's accuracy_reward asks, judges alike.
func TestSameAnswer(t *testing.T) {
	for _, c := range []struct {
		got, want string
		same      bool
	}{
		{"7", "7", true},
		{"7.0", "7", true},
		{"8", "7", false},
		{`\frac{1}{3}`, `\frac{1}{3}`, true},
		{`\frac{2}{6}`, `\frac13`, true},
		{"1/3", `\dfrac{1}{3}`, true},
		{"0.5", `\frac{1}{2}`, true},
		{`-\frac{1}{2}`, `\frac{-1}{2}`, true},
		{`\frac{1}{2}`, `\frac{1}{3}`, false},
		{`1\frac{1}{2}`, "1.5", true},
		{"1,200", "1200", true},
		{"1{,}200{,}000", "1200000", true},
		{`\$5`, "5", true},
		{`5\%`, `5\%`, true},
		{`90^\circ`, "90", true},
		{"x=4", "4", true},
		{`\text{blue}`, "blue", true},
		{`\left(1, 2\right)`, "(1,2)", true},
		{"(1,2)", "(2,1)", false},
		{"x+1", "x + 1", true},
		{`\sqrt{2}`, `\sqrt{2}`, true},
		{"", "7", false},
		{"1/0", "7", false},
	} {
		assert.Equal(t, c.same, sameAnswer(c.got, c.want), "%s for %s", c.got, c.want)
	}
	for text, want := range map[string]string{
		`\boxed{1} and \boxed{\frac{1}{2}}.`: `\frac{1}{2}`, `\boxed{1} and \boxed{2`: "1", "none": "", `\fbox{3}`: "3",
	} {
		got, ok := lastBoxed(text)
		assert.Equal(t, want, got, text)
		assert.Equal(t, want != "", ok, text)
	}
}

func FuzzSameAnswer(f *testing.F) {
	for _, text := range []string{`\frac{1}{3}`, `-1\frac12`, "1,000.50", `\boxed{\boxed{`, "1/0", "+-1", `\frac`, "{", "x=", "1e9999999", strings.Repeat("9", 200)} {
		f.Add(text, "7")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !sameAnswer(a, a) {
			t.Errorf("%q differs from itself", a)
		}
		if sameAnswer(a, b) != sameAnswer(b, a) {
			t.Errorf("%q and %q: the order counts", a, b)
		}
		if boxed, ok := lastBoxed(a + `\boxed{7}`); !ok || boxed != "7" {
			t.Errorf(`%q before \boxed{7}: got %q`, a, boxed)
		}
	})
}
