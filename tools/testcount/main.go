// Command testcount runs `go test` passes and prints one line at the end: how many tests
// ran, how many were skipped, and why.
//
//	go run tools/testcount/main.go "./..." "-race ./trainer/..."
//
// Each argument holds the arguments of one pass. The output of go test for a package,
// and for a failed or skipped test, is printed unchanged. A test is a leaf: subtests
// count instead of their parent. A pass ends with the number of rows of the conformance
// table that ran on each device, once for each run of the table, and with the table of how
// often each kernel was launched. It exits 1 if a pass failed.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// testID names a test within a pass.
type testID struct{ pkg, name string }

// pass collects the results of one `go test` command.
type pass struct {
	output          map[testID][]string // what each running test has printed
	parents         map[testID]bool     // tests that have subtests
	passed, skipped []testID
	failed          []testID
	reasons         map[string]int      // why tests were skipped -> how many
	rows            map[string][]string // device -> rows of the conformance table, of each run of it
	launches        []string            // the table of launches, line by line
	tabling         map[testID]bool     // tests that are printing it
}

// rowsRan matches the last line of a run of package conformance: device and rows.
var rowsRan = regexp.MustCompile(`(\S+): (\d+) rows in all`)

// The table of launches: its head, and a kernel's line of numbers.
var (
	launchesHead = regexp.MustCompile(`launches on .*:$`)
	launchesLine = regexp.MustCompile(`^\s+(\w+(?: +\d+)+)$`)
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, `usage: testcount "go test's arguments" ...`)
		os.Exit(2)
	}
	broken := false
	var lines []string
	reasons := make(map[string]int)
	for _, arguments := range os.Args[1:] {
		fmt.Printf("== go test %s\n", arguments)
		p, err := run(strings.Fields(arguments))
		if err != nil {
			fmt.Printf("go test %s: %v\n", arguments, err)
			broken = true
		}
		for _, line := range p.launches {
			fmt.Println(line)
		}
		for _, device := range slices.Sorted(maps.Keys(p.rows)) {
			fmt.Printf("conformance on %s: %s rows\n", device, strings.Join(p.rows[device], ", "))
		}
		lines = append(lines, fmt.Sprintf("%s (go test %s)", p.counts(), arguments))
		for reason, n := range p.reasons {
			reasons[reason] += n
		}
	}
	verdict := "tests: "
	if broken {
		verdict = "TESTS FAILED: "
	}
	fmt.Println(verdict + strings.Join(lines, "; ") + skipNote(reasons))
	if broken {
		os.Exit(1)
	}
}

// run runs one pass; it returns an error if go test failed.
func run(arguments []string) (*pass, error) {
	p := &pass{output: make(map[testID][]string), parents: make(map[testID]bool), reasons: make(map[string]int), rows: make(map[string][]string), tabling: make(map[testID]bool)}
	cmd := exec.Command("go", append([]string{"test", "-json"}, arguments...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return p, err
	}
	if err := cmd.Start(); err != nil {
		return p, err
	}
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			p.line(line)
		}
		if err != nil {
			break
		}
	}
	return p, cmd.Wait()
}

// line handles one line of go test's output; a line that is not an event is printed.
func (p *pass) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		os.Stdout.Write(line)
		return
	}
	id := testID{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "run":
		for i := range e.Test {
			if e.Test[i] == '/' {
				p.parents[testID{e.Package, e.Test[:i]}] = true
			}
		}
	case "output":
		if m := rowsRan.FindStringSubmatch(e.Output); m != nil {
			p.rows[m[1]] = append(p.rows[m[1]], m[2])
		}
		p.table(id, strings.TrimSuffix(e.Output, "\n"))
		p.print(id, e.Output)
	case "pass":
		p.passed = append(p.passed, id)
		delete(p.output, id)
	case "fail":
		p.failed = append(p.failed, id)
		p.show(id)
	case "skip":
		p.skipped = append(p.skipped, id)
		if e.Test != "" {
			p.reasons[reason(p.output[id])]++
		}
		p.show(id)
	}
}

// table keeps a line of the table of launches.
func (p *pass) table(id testID, line string) {
	if head := launchesHead.FindString(line); head != "" {
		p.tabling[id] = true
		p.launches = append(p.launches, head)
	} else if m := launchesLine.FindStringSubmatch(line); m != nil && p.tabling[id] {
		p.launches = append(p.launches, "  "+m[1])
	}
}

// print prints a package's verdict at once and stores a test's output until the test
// ends.
func (p *pass) print(id testID, text string) {
	if id.name != "" {
		p.output[id] = append(p.output[id], text)
	} else if text != "PASS\n" && text != "FAIL\n" {
		fmt.Print(text)
	}
}

// show prints a test's output without the frame that -v adds.
func (p *pass) show(id testID) {
	for _, text := range p.output[id] {
		if !strings.HasPrefix(text, "=== ") {
			fmt.Print(text)
		}
	}
	delete(p.output, id)
}

// reason returns why a test was skipped: its last output before the verdict, without the
// source line.
func reason(output []string) string {
	for _, text := range slices.Backward(output) {
		text = strings.TrimSpace(text)
		if text == "" || strings.HasPrefix(text, "---") || strings.HasPrefix(text, "===") {
			continue
		}
		if _, words, ok := strings.Cut(text, ": "); ok {
			return words
		}
		return text
	}
	return "no reason given"
}

// counts returns how the pass's tests ended.
func (p *pass) counts() string {
	passed, failed, skipped := p.leaves(p.passed), p.leaves(p.failed), p.leaves(p.skipped)
	text := fmt.Sprintf("%d ran, %d passed, %d failed", passed+failed, passed, failed)
	if skipped > 0 {
		text += fmt.Sprintf(", %d skipped", skipped)
	}
	return text
}

func (p *pass) leaves(ids []testID) int {
	n := 0
	for _, id := range ids {
		if id.name != "" && !p.parents[id] {
			n++
		}
	}
	return n
}

// skipNote lists why tests were skipped, the most frequent reason first.
func skipNote(reasons map[string]int) string {
	if len(reasons) == 0 {
		return "; none skipped"
	}
	var parts []string
	for reason, n := range reasons {
		parts = append(parts, fmt.Sprintf("%d x %s", n, reason))
	}
	slices.Sort(parts)
	return "; skipped: " + strings.Join(parts, ", ")
}
