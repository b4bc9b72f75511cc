package dataset

import "qlora/internal/chattemplate"

// fit gives the messages of a conversation the form that the template reads, and reasoning
// as opt says. It returns what that changes.
func (c *chats) fit(v *chattemplate.Conversation, reasoning string) (ChatReport, error) {
	fitted, err := c.template.Fit(v)
	report := ChatReport{Conversations: 1, Developer: fitted.Developer, Joined: fitted.Joined}
	if err != nil {
		return report, err
	}
	c.fitReasoning(v, reasoning, &report)
	return report, nil
}
