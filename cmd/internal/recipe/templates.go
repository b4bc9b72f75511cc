package recipe

import (
	"strings"

	"qlora/cmd/internal/options"
	"qlora/internal/chattemplate"
)

// axolotlTemplates are Axolotl's chat templates that render as built-in ones.
var axolotlTemplates = map[string]string{
	"alpaca": "alpaca", "chatml": "chatml", "deepseek_v3": "deepseek-v3", "gemma": "gemma", "gemma3": "gemma", "gemma3n": "gemma",
	"llama3": "llama-3", "mistral_v1": "mistral", "mistral_v3_tekken": "mistral-v3-tekken", "pixtral": "mistral-v3-tekken", "qwen3": "qwen-3", "qwen_25": "qwen-2.5",
}

const (
	otherTemplate = "no built-in template renders as this one; leave it out, and the model's own is used, or put it into a file and name that by `chat_template`"
	inlineText    = "write the template into a file and name that"
)

// hasTemplate reports whether the model's folder has a chat template of its own.
func hasTemplate(dir string) bool {
	folder, err := chattemplate.OpenFolder(dir)
	if err != nil {
		return false
	}
	chat, err := chattemplate.NewChat(folder, "")
	return err == nil && chat != nil && chat.Source() != ""
}

// axolotlTemplate returns what Axolotl's chat_template means.
func axolotlTemplate(r *reader, name, jinja string) options.Step {
	switch own, builtIn := axolotlTemplates[name]; {
	case name == "tokenizer_default":
		return note("the model's own template is used anyway")
	case strings.HasPrefix(name, "tokenizer_default_fallback_"):
		name = strings.TrimPrefix(name, "tokenizer_default_fallback_")
		if hasTemplate(r.text("base_model")) {
			return note("the model has a template of its own, which is used")
		}
		step := axolotlTemplate(r, name, jinja)
		if step.Refuse == "" && onHub(r.text("base_model")) {
			step.Note = "only if the model has no template of its own; leave it out if it has"
		}
		return step
	case name == "jinja":
		if jinja == "" {
			return refuse("chat_template_jinja is missing")
		}
		return note("chat_template_jinja is the template")
	case builtIn:
		return give("chat_template=" + own)
	}
	return refuse(otherTemplate)
}

// jinja is the rule of a template's text or file.
func jinja(_ *reader, e options.Entry) options.Step {
	if strings.ContainsAny(e.Text, "\n{") {
		return refuse(inlineText)
	}
	return give("chat_template=" + e.Text)
}

// factoryTemplates are LLaMA-Factory's templates that render as built-in ones.
var factoryTemplates = map[string]string{
	"chatml": "chatml", "deepseek3": "deepseek-v3", "gemma": "gemma", "gemma3": "gemma", "llama3": "llama-3", "phi": "phi-3", "phi4": "phi-4",
	"qwen": "qwen-2.5", "qwen3": "qwen-3",
}

// factoryTemplate is the rule of LLaMA-Factory's template. All its formats of records are
// chats.
func factoryTemplate(r *reader, e options.Entry) options.Step {
	if r.text("stage") == "pt" {
		return note("texts have no template")
	}
	const chats = "apply_chat_template=true"
	own, builtIn := factoryTemplates[e.Text]
	dir := r.text("model_name_or_path")
	switch {
	case e.Text == "empty" || e.Text == "fewshot" || e.Text == "default":
		return refuse("plain prompts without a chat's marks need no template here; leave it out")
	case hasTemplate(dir):
		return remarked(give(chats), "the model has a chat template of its own, which is used")
	case builtIn && onHub(dir):
		return remarked(give("chat_template="+own, chats), "for a model without a template; leave `chat_template` out if the model has one of its own")
	case builtIn:
		return give("chat_template="+own, chats)
	case onHub(dir):
		return remarked(give(chats), "the model's own chat template is used; no built-in one renders as this")
	}
	return refuse("the model has no chat template, and no built-in one renders as this; put it into a file and name that by `chat_template`")
}
