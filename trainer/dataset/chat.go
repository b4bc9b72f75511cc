package dataset

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
	"qlora/internal/generationconfig"
	"qlora/tokenizer"
)

// chats turns conversations into tokens: the template, and the tokens that end a turn.
type chats struct {
	template *chattemplate.Chat
	tok      *tokenizer.Tokenizer
	stops    []int32 // tokens that stop generation
}

// newChats reads the selected template or, by default, that of the model's folder.
func newChats(opt Options, tok *tokenizer.Tokenizer) (*chats, error) {
	switch {
	case tok == nil:
		return nil, errNoTokenizer
	case opt.ModelFolder == "":
		return nil, errors.New("chats need a model folder, which has their template and special tokens; name one by `model`")
	}
	folder, err := chattemplate.OpenFolder(opt.ModelFolder)
	if err != nil {
		return nil, err
	}
	folder.Name(tok.SpecialTokens())
	template, err := chattemplate.NewChat(folder, opt.ChatTemplate)
	if err != nil {
		return nil, err
	}
	c := &chats{template: template, tok: tok, stops: folder.Ends}
	if eos, ok := tok.EOS(); ok {
		c.stops = generationconfig.Union(c.stops, []int32{eos})
	}
	return c, nil
}

// chatIdentity returns everything besides the tokenizer that determines the tokens of
// conversations; "" if there is no template.
func chatIdentity(opt Options) string {
	folder, err := chattemplate.OpenFolder(opt.ModelFolder)
	if err != nil {
		return ""
	}
	template, err := chattemplate.NewChat(folder, opt.ChatTemplate)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %v", template.Identity(), folder.Ends)
}

// chat returns the example of a conversation: rendered whole, tokenized once, nothing
// added. It trains on the assistant's turns, each with the token that ends it, or on the
// spans that the template marks.
func (w *worker) chat(v *chattemplate.Conversation, only lessons) (Example, error) {
	chats, err := w.chats()
	if err != nil {
		return Example{}, err
	}
	if w.opt.Reasoning == ReasoningKeep {
		if err := keepsParts(v, only); err != nil {
			return Example{}, err
		}
	}
	if err := w.fit(chats, v, true); err != nil {
		return Example{}, err
	}
	made, err := chats.template.Render(v, false)
	if err != nil {
		return Example{}, chats.explained(v, err)
	}
	if err := w.watch(v, made.Text, chats.template); err != nil {
		return Example{}, err
	}
	w.heed(only, !w.opt.wholeChats())
	w.countAnswers(v, only)
	ids, places := w.encoder.EncodeOffsets(made.Text, false)
	if w.opt.wholeChats() {
		return Example{IDs: ids, Labels: slices.Clone(ids)}, calls(v, made.Text, everything(made.Text))
	}
	trained := made.Generated
	marked := chats.template.Marks(v) && !made.Displaced
	if !marked || only != nil {
		_, turns, err := chats.template.Turns(v)
		if err != nil {
			return Example{}, err
		}
		if !marked {
			trained = nil
		}
		for _, t := range turns {
			s := chattemplate.Span{Start: t.Start, End: chats.end(made.Text, t, ids, places)}
			asked := only.asks(t.Message)
			if parts := only.partsOf(t.Message); asked && parts != nil {
				own, err := spans(made.Text, contentOf(v.Messages[t.Message]), parts, t, s.End, places)
				if err != nil {
					return Example{}, fmt.Errorf("message %d %w", t.Message+1, err)
				}
				trained = slices.DeleteFunc(trained, func(m chattemplate.Span) bool { return m.Start < t.Close && m.End > t.Start })
				trained = append(trained, own...)
				slices.SortStableFunc(trained, func(a, b chattemplate.Span) int { return a.Start - b.Start })
				continue
			}
			switch {
			case !marked && asked:
				trained = append(trained, s)
			case marked && !asked:
				trained = slices.DeleteFunc(trained, func(m chattemplate.Span) bool { return m.Start < t.Close && m.End > t.Start })
			}
		}
	}
	where := trained
	if only != nil {
		where = everything(made.Text)
	}
	if err := calls(v, made.Text, where); err != nil {
		return Example{}, err
	}
	return Example{IDs: ids, Labels: label(ids, places, trained)}, nil
}

// everything returns the span of a whole text.
func everything(text string) []chattemplate.Span { return []chattemplate.Span{{End: len(text)}} }

// calls returns an error if the template drops tool calls, so that they are not in the
// spans: many templates do not support them.
func calls(v *chattemplate.Conversation, text string, spans []chattemplate.Span) error {
	for i, m := range v.Messages {
		list, _ := m.Get("tool_calls")
		all, ok := list.(*chattemplate.List)
		if !ok {
			continue
		}
		for _, item := range all.Items() {
			name := chattemplate.CalledName(item)
			if !slices.ContainsFunc(spans, func(s chattemplate.Span) bool { return strings.Contains(text[s.Start:s.End], name) }) {
				return callDropped(i, name)
			}
		}
	}
	return nil
}

func callDropped(message int, name string) error {
	return advise("message %d calls %q, which the chat template drops; use one that supports tool calls (`chat_template` qwen-2.5 does)", message+1, name)
}

// explained returns a clearer error of a template: a call that it drops, so that it misses
// a content, or a role that it may not know.
func (c *chats) explained(v *chattemplate.Conversation, err error) error {
	for i, m := range v.Messages {
		list, _ := m.Get("tool_calls")
		if all, ok := list.(*chattemplate.List); ok && len(all.Items()) > 0 && !c.template.Mentions(v, "tool_calls") {
			return callDropped(i, chattemplate.CalledName(all.Items()[0]))
		}
	}
	return explained(v, err)
}

// end returns where a turn ends, including what closes it: the consecutive special
// tokens that the template writes after the answer, up to one that stops generation;
// without any, the closing text without its blanks. Some templates close no turn, and
// generation stops where the next turn begins.
func (c *chats) end(text string, t chattemplate.Turn, ids []int32, places []tokenizer.Span) int {
	first := slices.IndexFunc(places, func(p tokenizer.Span) bool { return p.Start >= t.End })
	end := -1
	for i := max(first, 0); first >= 0 && i < len(ids); i++ {
		p := places[i]
		if p.End > t.Close {
			if end < 0 && strings.TrimSpace(text[t.End:p.Start]) == "" && slices.Contains(c.stops, ids[i]) {
				return p.End
			}
			break
		}
		switch {
		case slices.Contains(c.stops, ids[i]):
			return p.End
		case c.tok.Special(ids[i]):
			end = p.End
		case end >= 0:
			return end
		}
	}
	if end >= 0 {
		return end
	}
	return t.End + len(strings.TrimRight(text[t.End:t.Close], " \t\r\n"))
}

// label returns labels: the ids of the tokens that overlap the spans, which are in
// order, and Ignored for the others.
func label(ids []int32, places []tokenizer.Span, spans []chattemplate.Span) []int32 {
	labels := make([]int32, len(ids))
	next := 0
	for i, p := range places {
		labels[i] = Ignored
		for next < len(spans) && p.Start >= spans[next].End {
			next++
		}
		if next < len(spans) && p.End > spans[next].Start {
			labels[i] = ids[i]
		}
	}
	return labels
}

// chatPair returns the example of a prompt and a completion that are conversations. As
// with texts, the completion begins where the tokens of the prompt alone, with the
// header of the model's turn, and those of the whole differ.
func (w *worker) chatPair(prompt, whole *chattemplate.Conversation) (Example, error) {
	chats, err := w.chats()
	if err != nil {
		return Example{}, err
	}
	if err := w.fit(chats, whole, true); err != nil {
		return Example{}, err
	}
	if err := w.fit(chats, prompt, false); err != nil {
		return Example{}, err
	}
	made, err := chats.template.Render(whole, false)
	if err != nil {
		return Example{}, chats.explained(whole, err)
	}
	if err := calls(whole, made.Text, everything(made.Text)); err != nil {
		return Example{}, err
	}
	if err := w.watch(whole, made.Text, chats.template); err != nil {
		return Example{}, err
	}
	ids := w.encoder.Encode(nil, made.Text, false)
	labels := slices.Clone(ids)
	if w.opt.wholePairs() {
		return Example{IDs: ids, Labels: labels}, nil
	}
	before, err := chats.template.Render(prompt, true)
	if err != nil {
		return Example{}, fmt.Errorf("the prompt alone: %w", err)
	}
	ignoreCommon(labels, w.encoder.Encode(nil, before.Text, false))
	return Example{IDs: ids, Labels: labels}, nil
}

// fit gives a conversation the form that the template reads. counted adds what that
// changes to the report.
func (w *worker) fit(c *chats, v *chattemplate.Conversation, counted bool) error {
	report, err := c.fit(v, w.opt.Reasoning)
	if counted {
		w.report.add(report)
	}
	return err
}

// ignoreCommon sets the labels of the tokens shared with before to Ignored.
func ignoreCommon(labels, before []int32) {
	for i := range min(len(before), len(labels)) {
		if before[i] != labels[i] {
			break
		}
		labels[i] = Ignored
	}
}
