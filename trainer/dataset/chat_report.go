package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A ChatReport counts what a file's conversations have that the chat template does not
// read as it is.
type ChatReport struct {
	Conversations int            // rendered by the template
	Developer     int            // messages of a developer that the template gets as system
	Joined        int            // contents whose parts were joined
	Reasoning     int            // messages with reasoning
	LeftOut       map[string]int // messages whose reasoning the template leaves out, by its key
	Kept          bool           // the template leaves it out before the answer too
}

// add adds the counts of another report.
func (c *ChatReport) add(more ChatReport) {
	c.Conversations += more.Conversations
	c.Developer += more.Developer
	c.Joined += more.Joined
	c.Reasoning += more.Reasoning
	c.Kept = c.Kept || more.Kept
	for key, n := range more.LeftOut {
		if c.LeftOut == nil {
			c.LeftOut = map[string]int{}
		}
		c.LeftOut[key] += n
	}
}

// lines says it about a file, a line for each kind.
func (c *ChatReport) lines(name string) []string {
	var lines []string
	if c.Developer > 0 {
		lines = append(lines, fmt.Sprintf("%s: the chat template has no role developer: %s as system", name, counted(c.Developer, "message is given", "messages are given")))
	}
	if c.Joined > 0 {
		lines = append(lines, fmt.Sprintf("%s: the chat template reads no lists of parts: the texts of %s are joined", name, counted(c.Joined, "content", "contents")))
	}
	keys := slices.Sorted(maps.Keys(c.LeftOut))
	if len(keys) > 0 {
		out := 0
		for _, n := range c.LeftOut {
			out += n
		}
		advice := "`--reasoning keep` writes it before the answer, drop leaves it out everywhere"
		if c.Kept {
			advice = "it drops <think>…</think> before an answer too: end a record with each such answer, or choose another `--chat_template`"
		}
		lines = append(lines, fmt.Sprintf("warning: %s: the chat template leaves out the %s of %d of %s; %s",
			name, strings.Join(keys, " and "), out, counted(c.Reasoning, "message", "messages"), advice))
	}
	return lines
}

// counted returns a number and what is counted.
func counted(n int, one, several string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, several)
}
