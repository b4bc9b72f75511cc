package chattemplate

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// oracleNow returns the time that testdata/oracle.py uses.
func oracleNow() time.Time { return time.Date(2026, 3, 9, 17, 5, 8, 0, time.UTC) }

// A renderCase is a template, its variables, and the rendering of transformers.
type renderCase struct {
	Template, Conversation string
	Source                 string
	Variables              json.RawMessage
	Text                   *string
	Spans                  [][2]int
	Error                  string
}

// check describes the difference, or returns "".
func (c *renderCase) check(t *testing.T) string {
	t.Helper()
	decoded, err := Decode(c.Variables)
	require.NoError(t, err)
	variables := map[string]any{}
	for name, value := range decoded.(*Dict).All() {
		variables[name.(string)] = value
	}
	parsed, err := Parse(c.Source)
	var made Rendering
	if err == nil {
		made, err = parsed.Render(variables, oracleNow)
	}
	if c.Text == nil {
		raised := ""
		if e := (*Error)(nil); errors.As(err, &e) && e.Raised {
			raised = "raised: " + e.Message
		}
		switch {
		case err == nil:
			return "got " + made.Text + "\nwant the error " + c.Error
		case len(c.Error) > 8 && c.Error[:8] == "raised: " && raised != c.Error:
			return "got the error " + err.Error() + "\nwant " + c.Error
		}
		return ""
	}
	if err != nil {
		return "got the error " + err.Error() + "\nwant " + *c.Text
	}
	if made.Text != *c.Text {
		return "got  " + repr(made.Text) + "\nwant " + repr(*c.Text)
	}
	if made.Displaced {
		return ""
	}
	if len(made.Generated) != len(c.Spans) {
		return "the number of generated parts differs"
	}
	for i, s := range made.Generated {
		if s != (Span{c.Spans[i][0], c.Spans[i][1]}) {
			return "generated parts differ"
		}
	}
	return ""
}

// TestOracle compares with transformers' rendering of templates that are not in this
// repository. CHATTEMPLATE_ORACLE names a file of testdata/oracle.py.
func TestOracle(t *testing.T) {
	path := os.Getenv("CHATTEMPLATE_ORACLE")
	if path == "" {
		t.Skip("CHATTEMPLATE_ORACLE is not set")
	}
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	var texts, errs, wrongTexts, wrongErrs, spans int
	templates, wrong := map[string]bool{}, map[string]bool{}
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); {
		var c renderCase
		require.NoError(t, d.Decode(&c))
		differs := c.check(t)
		templates[c.Template] = true
		if c.Text != nil {
			texts++
			spans += len(c.Spans)
		} else {
			errs++
		}
		if differs == "" {
			continue
		}
		wrong[c.Template] = true
		if c.Text != nil {
			wrongTexts++
		} else {
			wrongErrs++
		}
		t.Errorf("%s, %s: %s", c.Template, c.Conversation, differs)
	}
	t.Logf("%d of %d renderings equal, %d of %d errors, %d generated parts; %d of %d templates without a difference",
		texts-wrongTexts, texts, errs-wrongErrs, errs, spans, len(templates)-len(wrong), len(templates))
}
