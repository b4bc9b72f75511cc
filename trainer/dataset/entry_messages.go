package dataset

import (
	"fmt"

	"qlora/internal/chattemplate"
)

// messageNames are the names that a dataset uses in its messages.
type messageNames struct {
	keys  map[string]string // of a message: the file's key and ours
	roles map[string]string // the file's role and ours
}

// of returns a message with our names. It returns other values as they are.
func (n messageNames) of(item any) any {
	object, ok := item.(*chattemplate.Dict)
	if !ok || n.keys == nil && n.roles == nil {
		return item
	}
	m := chattemplate.NewDict()
	for key, value := range object.All() {
		name, _ := key.(string)
		if own, ok := n.keys[name]; ok {
			name = own
		}
		if role, isText := value.(string); isText && (name == "role" || name == "from") {
			if own, ok := n.roles[role]; ok {
				value = own
			}
		}
		m.Set(name, value)
	}
	return m
}

// infoRoles are LLaMA-Factory's tags for roles, and our roles.
var infoRoles = map[string]string{
	"user_tag": "user", "assistant_tag": "assistant", "observation_tag": "tool", "function_tag": functionCall, "system_tag": "system",
}

// messageNames returns the names that the description gives to keys and roles. Axolotl's
// and LLaMA-Factory's defaults need none: from and value, human and gpt are known.
func (d description) messageNames() (messageNames, error) {
	var n messageNames
	key := func(own, theirs string) {
		if theirs != "" && theirs != own {
			if n.keys == nil {
				n.keys = map[string]string{}
			}
			n.keys[theirs] = own
		}
	}
	role := func(own, theirs string) {
		if n.roles == nil {
			n.roles = map[string]string{}
		}
		n.roles[theirs] = own
	}
	for property, theirs := range d.Properties {
		key(property, theirs)
	}
	key("role", d.FieldRole)
	key("content", d.FieldContent)
	key("training", d.FieldTraining)
	key("train_detail", d.FieldDetail)
	key("reasoning_content", d.FieldThinking)
	for own, all := range d.Roles {
		if roles[own] == "" {
			return n, fmt.Errorf("roles has %q, but it maps to user, assistant, system or tool", own)
		}
		for _, theirs := range all {
			role(own, theirs)
		}
	}
	for tag, theirs := range d.Tags {
		switch own, isRole := infoRoles[tag]; {
		case isRole:
			role(own, theirs)
		case tag == "role_tag":
			key("role", theirs)
		case tag == "content_tag":
			key("content", theirs)
		default:
			return n, fmt.Errorf("tags has %q, which is no tag of dataset_info.json", tag)
		}
	}
	return n, nil
}
