package chattemplate

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLimits checks that a template that exceeds a limit fails with an error that names
// the line.
func TestLimits(t *testing.T) {
	deep := func(open, end string, n int) string {
		return "{{ " + strings.Repeat(open, n) + "1" + strings.Repeat(end, n) + " }}"
	}
	for _, c := range []struct{ name, source, want string }{
		{"steps", "{% set l = range(9999) %}{% for a in l %}{% for b in l %}{% endfor %}{% endfor %}", "takes more than"},
		{"output", "{% set x = 'x' * 99999 %}{% for a in range(99999) %}{{ x }}{% endfor %}", "MiB of text"},
		{"repetition", "\n\n{{ 'ab' * 99999999999 }}", "line 3: the template makes more than 64 MiB"},
		{"list repetition", "{{ [1] * 999999999 }}", "MiB of text"},
		{"doubling", "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}", "MiB of text"},
		{"doubling lists", "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}", "as text"},
		{"doubling JSON", "{% set ns = namespace(x=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}", "as JSON"},
		{"doubling compared", "{% set ns = namespace(x=[1], y=[1]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}", "reads more than"},
		{"nested value", "{% set ns = namespace(x=[1]) %}{% for a in range(999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}", "nested more than"},
		{"replace", "{{ ('x' * 99999).replace('x', 'y' * 99999) }}", "MiB of text"},
		{"join", "{{ range(9999) | join('y' * 99999) }}", "MiB of text"},
		{"padding", "{{ 'a'.center(99999999999) }}", "MiB of text"},
		{"format width", "{{ '%999999999d' % 1 }}", "width exceeds"},
		{"indent", "{{ ('\n' * 9999999) | indent('x' * 999) }}", "MiB of text"},
		{"recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested more than 100 deep"},
		{"recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "nested more than 100 deep"},
		{"range", "{{ range(1, 999999999) }}", "range too big"},
		{"power", "{{ 9 ** 9 ** 9 }}", "exceeds 64 bits"},
		{"overflow", "{{ 9223372036854775807 + 1 }}", "exceeds 64 bits"},
		{"brackets", deep("(", ")", 1000), "nested more than"},
		{"lists", deep("[", "]", 1000), "nested more than"},
		{"signs", deep("-", "", 1000), "nested more than"},
		{"nots", deep("not ", "", 1000), "nested more than"},
		{"attributes", "{{ a" + strings.Repeat(".b", 1000) + " }}", "more than 200"},
		{"filters", "{{ a" + strings.Repeat("|upper", 1000) + " }}", "more than 200"},
		{"sum", "{{ 1" + strings.Repeat("+1", 100_000) + " }}", "operators in a row"},
		{"blocks", strings.Repeat("{% if 1 %}", 1000), "nested more than"},
		{"elifs", "{% if 1 %}" + strings.Repeat("{% elif 1 %}", 1000) + "{% endif %}", "nested more than"},
		{"source", strings.Repeat("x", maxSource+1), "longer than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			began := processorTime(t)
			parsed, err := Parse(c.source)
			if err == nil {
				_, err = (&run{now: oracleNow}).render(parsed, nil)
			}
			require.ErrorContains(t, err, c.want)
			assert.Less(t, processorTime(t)-began, 20*time.Second)
		})
	}
}

// TestDisplacedMarks checks that a rendering reports marks whose place is unknown.
func TestDisplacedMarks(t *testing.T) {
	for source, want := range map[string]bool{
		"a{% generation %}b{% endgeneration %}":                                      false,
		"{% macro m() %}{% generation %}b{% endgeneration %}{% endmacro %}{{ m() }}": true,
		"{% set x %}{% generation %}b{% endgeneration %}{% endset %}{{ x }}":         true,
	} {
		parsed, err := Parse(source)
		require.NoError(t, err)
		assert.True(t, parsed.Marks())
		made, err := parsed.Render(nil, nil)
		require.NoError(t, err)
		assert.Equal(t, want, made.Displaced, source)
	}
}

// FuzzTemplate checks that templates only fail with errors: no panic, no endless run;
// and that a template that parses renders the same twice.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{
		"{% for m in messages %}{{ m['role'] + ': ' + m.content | trim }}\n{% endfor %}", "{%- if x is defined and x|length > 2 -%}{{ x[1:]|tojson(indent=2) }}{%- endif %}",
		"{% macro f(a, b=1) %}{{ a ~ b }}{{ caller() }}{% endmacro %}{% call f(1) %}x{% endcall %}", "{% set ns = namespace(a=1) %}{% set ns.a = ns.a * 2 %}{{ ns }}",
		"{{ '%s' % (1, ) }}{{ '{:>5}'.format(2) }}{# c #}{% raw %}{{{% endraw %}", "{% generation %}{{ messages|map(attribute='role')|select|list }}{% endgeneration %}",
		"{{ [1, {'a': (2,)}, 3.5e2][::-1]|sort|join }}{{ 'a'.split(none, 1) if not false else raise_exception('x') }}", "{% for a in [[1]] recursive %}{{ loop(a) }}{% endfor %}",
	} {
		f.Add(seed)
	}
	messages, err := Decode([]byte(`[{"role": "user", "content": " ünï "}, {"role": "assistant", "content": null, "n": [1, 2.5, {"k": true}]}]`))
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, source string) {
		parsed, err := Parse(source)
		if err != nil {
			require.IsType(t, &Error{}, err)
			return
		}
		variables := map[string]any{"messages": messages, "x": "a-b", "add_generation_prompt": true}
		one, err := parsed.Render(variables, oracleNow)
		two, again := parsed.Render(variables, oracleNow)
		require.Equal(t, err, again)
		require.Equal(t, one, two)
		for _, s := range one.Generated {
			require.True(t, 0 <= s.Start && s.Start <= s.End && s.End <= len(one.Text))
		}
	})
}
