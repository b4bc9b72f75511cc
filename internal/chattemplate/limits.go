package chattemplate

// Limits of a template. Real ones stay far below.
const (
	maxSource  = 1 << 20   // bytes of a template
	maxNesting = 200       // of expressions and blocks in a template, and of values in JSON
	maxChain   = 5000      // operators in a row
	maxDepth   = 100       // of macros that call each other
	maxSteps   = 4 << 20   // expressions evaluated and rounds of loops in a rendering
	maxScanned = 256 << 20 // bytes of texts and lists searched or compared in a rendering, all together
	maxMade    = 64 << 20  // bytes of texts and lists made in a rendering, all together
	maxShown   = 16 << 20  // bytes of one value as text or JSON
	maxRange   = 100_000   // numbers of a range, as in jinja2's sandbox
)

// listBytes is the size of a list element in bytes.
const listBytes = 16

// step counts an evaluation.
func (r *run) step() {
	if r.steps++; r.steps > maxSteps {
		fail("the template takes more than %d steps", maxSteps)
	}
}

// scan counts bytes before they are searched, compared or otherwise read.
func (r *run) scan(bytes int) {
	if r.scanned += bytes; r.scanned > maxScanned {
		fail("the template reads more than %d MiB of text and lists", maxScanned>>20)
	}
}

// sizeOf returns about how many bytes an operation reads of a value, without its parts.
func sizeOf(v any) int {
	switch x := v.(type) {
	case string:
		return len(x)
	case *List:
		return len(x.items) * listBytes
	case *Dict:
		return x.Len() * 2 * listBytes
	}
	return listBytes
}

// make counts bytes before they are allocated.
func (r *run) make(bytes int) {
	if r.made += bytes; bytes > maxMade || r.made > maxMade {
		fail("the template makes more than %d MiB of text", maxMade>>20)
	}
}

// text counts a text whose length is bounded by that of its operands.
func (r *run) text(s string) string {
	r.make(len(s))
	return s
}

// list returns a list of values.
func (r *run) list(items []any) *List {
	r.make(len(items) * listBytes)
	return &List{items: items}
}
