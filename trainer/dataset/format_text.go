package dataset

// A text is a document: all of it is trained on.
var text = format{
	name:   "text",
	fields: []string{"text"},
	pieces: true,
	example: func(w *worker, r record) (Example, error) {
		text, err := r.text("text")
		if err != nil {
			return Example{}, err
		}
		return w.text(text)
	},
}
