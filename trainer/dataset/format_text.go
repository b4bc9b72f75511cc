package dataset

import (
	"errors"
	"strings"
)

// A text is a document; all of it is trained on.
var text = format{
	name:   "text",
	fields: []string{"text"},
	pieces: true,
	example: func(w *worker, r record) (Example, error) {
		if w.opt.ApplyChat {
			return Example{}, errors.New("the record is plain text; apply_chat_template needs a question and an answer")
		}
		text, err := r.text("text")
		if err != nil {
			return Example{}, err
		}
		if strings.TrimSpace(text) == "" {
			return Example{}, errNothing
		}
		return w.text(text)
	},
}
