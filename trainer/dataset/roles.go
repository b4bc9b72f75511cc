package dataset

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qlora/internal/chattemplate"
)

// usualRoles are the roles of messages that templates know.
const usualRoles = "assistant, system, tool and user"

// isUsual reports whether a message has a role that templates know, and returns the role.
func isUsual(m *chattemplate.Dict) (string, bool) {
	value, _ := m.Get("role")
	role, _ := value.(string)
	return role, slices.Contains(slices.Collect(maps.Values(roles)), role)
}

// explained adds to a template's error the first message of an unusual role, which may be
// its cause.
func explained(v *chattemplate.Conversation, err error) error {
	for i, m := range v.Messages {
		if role, usual := isUsual(m); !usual {
			return fmt.Errorf("message %d has the role %q; the usual roles are %s: %w", i+1, role, usualRoles, err)
		}
	}
	return err
}

// strange says which unusual roles messages have, or "".
func (f FileReport) strange() string {
	if len(f.Roles) == 0 {
		return ""
	}
	sum := 0
	for _, n := range f.Roles {
		sum += n
	}
	var names []string
	for _, role := range slices.Sorted(maps.Keys(f.Roles)) {
		names = append(names, fmt.Sprintf("%q", shown([]byte(role))))
	}
	const most = 4
	if more := len(names) - most; more > 0 {
		names = append(names[:most], fmt.Sprintf("%d more", more))
	}
	return fmt.Sprintf("%d messages have the role %s and are not trained on; the usual roles are %s", sum, strings.Join(names, ", "), usualRoles)
}
