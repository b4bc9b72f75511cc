package ollama

import (
	"errors"
	"fmt"
	"strings"
)

// A Message is a turn of a chat.
type Message struct {
	Role    string // "system", "user" or "assistant"
	Content string
}

const (
	system    = "system"
	user      = "user"
	assistant = "assistant"
)

// A Render returns the text of a chat by a model's own template. prompt appends the header
// of the model's next turn.
type Render func(chat []Message, prompt bool) (string, error)

// A shape is what a template writes around the contents of a chat whose users and
// assistants alternate.
type shape struct {
	open            string // before the first turn, if there is no system message
	first           string // before the first user's content, instead of open and beforeUser; else ""
	beforeUser      string
	afterUser       string
	beforeAssistant string
	afterAssistant  string
	prompt          string // after the last user's turn
	place           place  // of the system message
	beforeSystem    string
	afterSystem     string // up to the first user's content, or, with ownTurn, up to beforeUser
}

// A place says where a template writes the system message.
type place int

const (
	nowhere   place = iota // the template refuses it or leaves it out
	ownTurn                // before all turns, instead of open
	firstUser              // before the first user's content, instead of first or of open and beforeUser
	lastUser               // within the last user's turn, before its content
)

// probe returns contents that no template has.
func probe(i int) string { return fmt.Sprintf("Zqo%dQz", i) }

// chat returns a chat of probes for roles, written as s, u and a.
func chat(roles string) []Message {
	names := map[rune]string{'s': system, 'u': user, 'a': assistant}
	var all []Message
	for i, r := range roles {
		all = append(all, Message{names[r], probe(i)})
	}
	return all
}

// pieces renders a chat of probes and returns what is written between the contents: one
// text more than messages, in their order, and the place of the system message among the
// others.
func (render Render) pieces(roles string, prompt bool) (between []string, systemAt int, err error) {
	text, err := render(chat(roles), prompt)
	if err != nil {
		return nil, 0, err
	}
	order := make([]int, 0, len(roles))
	for i := range roles {
		if strings.Count(text, probe(i)) != 1 {
			return nil, 0, fmt.Errorf("it writes the content of message %d of %d not once", i+1, len(roles))
		}
		order = append(order, i)
	}
	place := func(i int) int { return strings.Index(text, probe(i)) }
	if strings.HasPrefix(roles, "s") {
		for systemAt+1 < len(order) && place(0) > place(order[systemAt+1]) {
			order[systemAt], order[systemAt+1] = order[systemAt+1], 0
			systemAt++
		}
	}
	from := 0
	for _, i := range order {
		at := place(i)
		if at < from {
			return nil, 0, errors.New("it changes the order of the messages")
		}
		between, from = append(between, text[from:at]), at+len(probe(i))
	}
	return append(between, text[from:]), systemAt, nil
}

// shapeOf finds the shape of a template.
func shapeOf(render Render) (shape, error) {
	var s shape
	one, _, err := render.pieces("u", true)
	if err != nil {
		return s, err
	}
	bare, _, err := render.pieces("u", false)
	if err != nil {
		return s, err
	}
	three, _, err := render.pieces("uau", true)
	if err != nil {
		return s, err
	}
	ended, _, err := render.pieces("ua", false)
	if err != nil {
		return s, err
	}
	// What follows a user's content is afterUser in all three places, if that is possible.
	s.afterUser = turnEnd(bare[1], one[1], three[1])
	s.prompt, s.beforeAssistant = one[1][len(s.afterUser):], three[1][len(s.afterUser):]
	s.afterAssistant = turnEnd(ended[2], three[2], three[2])
	if s.afterUser == "" && s.afterAssistant == "" { // ends of turns that it leaves out of the last
		end := wholeTokens(commonPrefix(three[1], three[2]))
		if rest, ok := strings.CutPrefix(s.prompt, end); ok && s.prompt == three[1] {
			s.afterUser, s.prompt, s.beforeAssistant = end, rest, rest
		}
		s.afterAssistant = end
	}
	s.beforeUser = three[2][len(s.afterAssistant):]
	open, ok := strings.CutSuffix(one[0], s.beforeUser)
	if s.open = open; !ok {
		s.open, s.first = "", one[0]
	}
	return s, s.findSystem(render)
}

// turnEnd returns end, what follows the last turn, if other turns are followed by it too,
// else "".
func turnEnd(end, a, b string) string {
	if strings.HasPrefix(a, end) && strings.HasPrefix(b, end) {
		return end
	}
	return ""
}

// findSystem finds the place of the system message.
func (s *shape) findSystem(render Render) error {
	two, at, err := render.pieces("su", true)
	if err != nil || at != 0 {
		return nil // refused, or not written: nowhere
	}
	four, later, err := render.pieces("suau", true)
	if err != nil {
		return nil
	}
	s.beforeSystem, s.afterSystem = two[0], two[1]
	own, ok := strings.CutSuffix(two[1], s.beforeUser)
	switch {
	case later == 2: // behind the first turns
		before := s.afterAssistant + s.beforeUser
		inside, same := strings.CutPrefix(four[2], before)
		if !same {
			return errors.New("it writes the system message in a way that depends on the turns")
		}
		s.place, s.beforeSystem, s.afterSystem = lastUser, inside, four[3]
	case later != 0:
		return errors.New("it writes the system message between turns")
	case ok && s.first == "":
		s.place, s.afterSystem = ownTurn, own
	default:
		s.place = firstUser
	}
	return nil
}
