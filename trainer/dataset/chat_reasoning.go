package dataset

import (
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
	"qlora/option"
)

// Values of Options.Reasoning.
const (
	ReasoningTemplate = "template" // as the chat template shows it
	ReasoningKeep     = "keep"     // in all turns, before the answer
	ReasoningDrop     = "drop"     // in none
)

func checkReasoning(value string) error {
	if slices.Contains([]string{"", ReasoningTemplate, ReasoningKeep, ReasoningDrop}, value) {
		return nil
	}
	return option.Errorf("reasoning", value, "it must be template, keep or drop")
}

// fitReasoning keeps or drops the reasoning of the assistant's messages, and counts what
// the template leaves out.
func (c *chats) fitReasoning(v *chattemplate.Conversation, how string, report *ChatReport) {
	var thinking []int // messages with reasoning
	for i, m := range v.Messages {
		if role, _ := m.Get("role"); role != "assistant" {
			continue
		}
		key, thoughts := chattemplate.Reasoning(m)
		switch {
		case key == "":
		case how == ReasoningDrop || strings.TrimSpace(thoughts) == "":
			v.Messages[i] = chattemplate.WithReasoning(m, "")
		default:
			thinking = append(thinking, i)
		}
	}
	if len(thinking) == 0 {
		return
	}
	report.Reasoning += len(thinking)
	shown := c.template.Shown(v, thinking, chattemplate.WithReasoning)
	var out []int // messages whose reasoning is left out
	for n, i := range thinking {
		if !shown[n] {
			out = append(out, i)
		}
	}
	if how == ReasoningKeep && len(out) > 0 {
		shown = c.template.Shown(v, out, thinkBefore)
		var still []int
		for n, i := range out {
			if !shown[n] {
				still = append(still, i)
				continue
			}
			_, thoughts := chattemplate.Reasoning(v.Messages[i])
			v.Messages[i] = thinkBefore(v.Messages[i], thoughts)
		}
		out, report.Kept = still, len(still) > 0
	}
	for _, i := range out {
		key, _ := chattemplate.Reasoning(v.Messages[i])
		if report.LeftOut == nil {
			report.LeftOut = map[string]int{}
		}
		report.LeftOut[key]++
	}
}

// keepsParts returns an error if reasoning would be put before a content whose parts are
// named by their places.
func keepsParts(v *chattemplate.Conversation, only lessons) error {
	for i, m := range v.Messages {
		if key, _ := chattemplate.Reasoning(m); key != "" && only.partsOf(i) != nil {
			return fmt.Errorf("message %d has both train_detail and %s, which `reasoning` keep would put before the content; use template or drop", i+1, key)
		}
	}
	return nil
}

// thinkBefore returns a message with its reasoning in the content, as models write it.
func thinkBefore(m *chattemplate.Dict, thoughts string) *chattemplate.Dict {
	thoughts = "<think>\n" + strings.Trim(thoughts, "\n") + "\n</think>\n\n"
	m = chattemplate.WithReasoning(m, "")
	content, _ := m.Get("content")
	switch x := content.(type) {
	case nil:
		m.Set("content", thoughts)
	case string:
		m.Set("content", thoughts+x)
	case *chattemplate.List:
		part, _ := textPart(thoughts)
		m.Set("content", chattemplate.NewList(slices.Insert(slices.Clone(x.Items()), 0, any(part))...))
	}
	return m
}
