package chattemplate

import (
	"slices"
	"strings"
)

// An ArgumentForm is how a template reads the arguments of a tool call.
type ArgumentForm struct {
	// Objects and Texts report that it writes objects, and that it writes a JSON text as
	// it is. A template that does neither shows no calls, or only those of its own kind.
	Objects, Texts bool
}

// ArgumentForm returns how the template of a conversation reads the arguments of a tool
// call, learned by rendering calls of either form.
func (c *Chat) ArgumentForm(v *Conversation) ArgumentForm {
	if c.template(v) == c.toolUse {
		return c.calls[1]()
	}
	return c.calls[0]()
}

// The name and value of the argument of a probe, and its JSON text.
const (
	argumentName  = "Zqe5Qz"
	argumentValue = "Zqf6Qz"
	argumentText  = `{"` + argumentName + `": "` + argumentValue + `"}`
)

// learnArguments returns the form of the arguments that a template reads.
func (c *Chat) learnArguments(t *Template) ArgumentForm {
	one := *c
	one.normal, one.toolUse = t, nil
	shows := func(arguments any, want ...string) bool {
		for _, v := range callProbes(arguments) {
			made, err := one.Render(v, false)
			if err == nil && !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(made.Text, part) }) {
				return true
			}
		}
		return false
	}
	object := NewDict()
	object.Set(argumentName, argumentValue)
	return ArgumentForm{Objects: shows(object, argumentName, argumentValue), Texts: shows(argumentText, argumentText)}
}

// callProbes returns conversations with a tool call: with its result and without, and
// with a description of the tool and without.
func callProbes(arguments any) []*Conversation {
	// Mistral's templates want ids of nine letters or digits.
	const id, name = "abcdefghi", "Zqg7Qz"
	function, call := NewDict(), NewDict()
	function.Set("name", name)
	function.Set("arguments", arguments)
	call.Set("id", id)
	call.Set("type", "function")
	call.Set("function", function)
	asks := probe(1, false)
	asks.Set("content", "")
	asks.Set("tool_calls", NewList(call))
	result := NewDict()
	result.Set("role", "tool")
	result.Set("name", name)
	result.Set("tool_call_id", id)
	result.Set("content", "7")

	properties, parameters, described, tool := NewDict(), NewDict(), NewDict(), NewDict()
	parameters.Set("type", "object")
	parameters.Set("properties", properties)
	described.Set("name", name)
	described.Set("description", "")
	described.Set("parameters", parameters)
	tool.Set("type", "function")
	tool.Set("function", described)

	var all []*Conversation
	for _, tools := range []*List{NewList(tool), nil} {
		for _, messages := range [][]*Dict{
			{probe(0, false), asks, result, probe(3, false)},
			{probe(0, false), asks, result},
			{probe(0, false), asks},
		} {
			all = append(all, &Conversation{Messages: messages, Tools: tools})
		}
	}
	return all
}

// JSON returns a value as the filter tojson writes it.
func JSON(v any) (text string, err error) {
	line := 0
	defer catch(&err, &line)
	w := jsonWriter{comma: ", ", colon: ": "}
	w.value(v, 0)
	return w.b.String(), nil
}
