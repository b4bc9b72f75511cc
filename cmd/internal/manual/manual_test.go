package manual

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/options"
	"qlora/cmd/internal/verbs"
)

var edition = Edition{Version: "v1.2.3", Date: time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)}

// TestPagesHaveEveryOption compares the pages with the option table.
func TestPagesHaveEveryOption(t *testing.T) {
	root := verbs.Root()
	pages := map[string]string{}
	for _, p := range Pages(root, edition) {
		pages[p.Name] = string(p.Text)
		require.True(t, strings.HasPrefix(string(p.Text), ".TH"), p.Name)
		require.Contains(t, string(p.Text), `"2026-11-30" "qlora v1.2.3"`)
	}
	count := 0
	for _, verb := range root.Commands() {
		page, ok := pages["qlora-"+verb.Name()]
		require.True(t, ok, "%s has no page", verb.Name())
		require.Contains(t, pages["qlora"], "\n.BR qlora\\-"+verb.Name()+" (1)")
		for _, section := range options.Of(verb).Sections() {
			require.Contains(t, page, ".SS \""+raw(section.Title)+"\"\n")
			for _, o := range section.Options {
				require.Contains(t, page, "\n.TP\n"+`\fB\-\-`+o.Name+`\fR \fI`+o.Kind+`\fR`+"\n"+text(o.Help), "%s --%s", verb.Name(), o.Name)
				count++
			}
		}
	}
	require.Len(t, pages, 1+len(root.Commands()))
	require.Greater(t, count, 200)
}

// TestPagesAreClean has groff and mandoc, where installed, report what they do not understand.
func TestPagesAreClean(t *testing.T) {
	tools := [][]string{{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-man", "-Tlint", "-W", "warning"}}
	checked := 0
	for _, tool := range tools {
		path, err := exec.LookPath(tool[0])
		if err != nil {
			continue
		}
		checked++
		for _, p := range Pages(verbs.Root(), edition) {
			cmd := exec.Command(path, tool[1:]...)
			cmd.Stdin = bytes.NewReader(p.Text)
			answer, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s of %s: %s", tool[0], p.Name, answer)
			require.Empty(t, string(answer), "%s of %s", tool[0], p.Name)
		}
	}
	if checked == 0 {
		t.Skip("neither groff nor mandoc is installed")
	}
}

func TestRoff(t *testing.T) {
	p := new(page)
	p.line(text(".5 of `--a_b 'c'` is \\n…"))
	p.macro("SH", `a "b"-c`)
	p.paragraphs("One\ntwo.\n\n  code\n\nThree.")
	p.seeAlso("qlora-train", "qlora")
	require.Equal(t, `\&.5 of \fB\-\-a_b \(aqc\(aq\fR is \en\[u2026]
.SH "a \(dqb\(dq\-c"
One
two.
.PP
.EX
  code
.EE
.PP
Three.
.SH "SEE ALSO"
.BR qlora\-train (1),
.BR qlora (1)
`, string(p.bytes()))
}
