package chattemplate

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTurns finds the turns of templates that do not mark them. [ ] encloses what the
// model has to write and ( ) what closes it.
func TestTurns(t *testing.T) {
	const two = `[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}, {"role": "assistant", "content": " d "}]`
	const tools = `[{"role": "user", "content": "a"}, {"role": "assistant", "content": "", "tool_calls": [{"name": "f"}]}, {"role": "tool", "content": "seven"}, {"role": "assistant", "content": "d"}]`
	for _, c := range []struct{ name, template, messages, want string }{
		{"plain", "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}", two, "<user>a</>\n<assistant>[b](</>\n)<user>c</>\n<assistant>[ d ](</>\n)"},
		{"trimmed", "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{% endfor %}", two, "<user>a<assistant>[b]()<user>c<assistant>[d]()"},
		{"no prompt, a blank before answers", "{% for m in messages %}{{ '<q>' + m.content + '</q>' if m.role == 'user' else ' ' + m.content + '.' }}{% endfor %}", two, "<q>a</q>[ b](.)<q>c</q>[  d ](.)"},
		{"another end at the end", "{% for m in messages %}{{ m.role }}: {{ m.content }}<e>\n{% endfor %}{{ 'assistant: ' if add_generation_prompt else '<eos>' }}", two, "user: a<e>\nassistant: [b](<e>\n)user: c<e>\nassistant: [ d ](<e>\n<eos>)"},
		{"thoughts in the last turn", "{% for m in messages %}<{{ m.role }}>{{ '<t></t>' if loop.last }}{{ m.content }}</>{% endfor %}{{ '<assistant>' if add_generation_prompt }}", two, "<user>a</><assistant>[b](</>)<user>c</><assistant>[<t></t> d ](</>)"},
		{"a prompt that is longer than the header", "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}{{ '<assistant><t>' if add_generation_prompt }}", two, "<user>a</><assistant>[b](</>)<user>c</><assistant>[ d ](</>)"},
		{"what comes first moves to the last question", "{% for m in messages %}<{{ m.role }}>{{ messages | length if loop.revindex == 2 }}{{ m.content }}</>{% endfor %}", two, "<user>a</><assistant>[b](</>)<user>4c</><assistant>[ d ](</>)"},
		{"calls", "{% for m in messages %}<{{ m.role }}>{{ m.content }}{{ m.tool_calls | tojson if m.tool_calls }}</>{% endfor %}", tools, "<user>a</><assistant>[[{\"name\": \"f\"}]](</>)<tool>seven</><assistant>[d](</>)"},
		{"tools in the turn that calls", "{% for m in messages %}{% if m.role == 'tool' %}{% elif m.tool_calls %}<m>{{ m.tool_calls | tojson }}{% if loop.nextitem is defined %}({{ loop.nextitem.content }}){% endif %}</>{% else %}<{{ m.role }}>{{ m.content }}</>{% endif %}{% endfor %}", tools, "error"},
		{"answers decide what follows", "{% for m in messages %}{{ m.content | length }}{% endfor %}", two, "error"},
		{"answers are left out", "{% for m in messages %}{{ m.content if loop.last }}{% endfor %}", two, "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			template := strings.ReplaceAll(c.template, " if add_generation_prompt }}", " if add_generation_prompt else '' }}")
			template = strings.ReplaceAll(template, "if loop.last }}{{", "if loop.last else '' }}{{")
			chat, err := NewChat(folder(t, map[string]string{TemplateFile: template}), "")
			require.NoError(t, err)
			text, turns, err := chat.Turns(conversation(t, c.messages))
			if c.want == "error" {
				require.ErrorContains(t, err, "does not show which parts of the text are the assistant's")
				return
			}
			require.NoError(t, err)
			var b strings.Builder
			at := 0
			for _, turn := range turns {
				b.WriteString(text[at:turn.Start] + "[" + text[turn.Start:turn.End] + "](" + text[turn.End:turn.Close] + ")")
				at = turn.Close
			}
			assert.Equal(t, c.want, b.String()+text[at:])
		})
	}
}

// TestTakesParts checks that contents are passed in the form that the template reads.
func TestTakesParts(t *testing.T) {
	v := &Conversation{}
	for template, want := range map[string][2]bool{
		"{% for m in messages %}{{ '<' + m.content + '>' }}{% endfor %}":                                                       {false, true},
		"{% for m in messages %}{{ m.content }}{% endfor %}":                                                                   {false, true},
		"{% for m in messages %}{% for p in m.content %}{{ p.text }}{% endfor %}{% endfor %}":                                  {true, false},
		"{% for m in messages %}{{ m.content if m.content is string else m.content[0].text }}{% endfor %}":                     {true, true},
		"{% for m in messages %}{{ m.content | selectattr('type', 'eq', 'text') | map(attribute='text') | join }}{% endfor %}": {true, false},
	} {
		chat, err := NewChat(folder(t, map[string]string{TemplateFile: template}), "")
		require.NoError(t, err)
		parts, texts := chat.TakesParts(v)
		assert.Equal(t, want, [2]bool{parts, texts}, template)
	}
}
