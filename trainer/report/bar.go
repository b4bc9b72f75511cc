package report

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A bar is the last line of a terminal, redrawn in place: a progress bar with text.
type bar struct {
	w       io.Writer
	columns func() int // width of the terminal, read at each drawing because windows are resized
	now     func() time.Time
	shown   string // "" if nothing is drawn
	drawn   time.Time
}

// frame is the minimum time between two drawings.
const frame = 100 * time.Millisecond

// narrowest is the minimum number of columns of the progress bar.
const narrowest = 8

// A part is a text on the bar's line. On a narrow terminal the parts with the highest
// rank are dropped first.
type part struct {
	text string
	rank int
}

// draw shows the progress done/total and the parts. It skips a drawing soon after the
// last, unless done equals total.
func (b *bar) draw(done, total int64, parts ...part) {
	now := b.now()
	if b.shown != "" && done < total && now.Sub(b.drawn) < frame {
		return
	}
	b.drawn = now
	b.show(layOutBar(b.width(), done, total, parts))
}

// width returns the number of columns in use: a full last one makes some terminals wrap.
func (b *bar) width() int { return max(0, b.columns()-1) }

// show draws a line, cut to the current width of the terminal.
func (b *bar) show(text string) {
	if r := []rune(text); len(r) > b.width() {
		text = string(r[:b.width()])
	}
	b.shown = text
	_, _ = io.WriteString(b.w, "\r"+text+"\x1b[K") // a failed drawing must not stop a run
}

// line prints a separate line above the bar.
func (b *bar) line(text string) {
	shown := b.shown
	b.clear()
	_, _ = io.WriteString(b.w, text+"\n")
	if shown != "" {
		b.show(shown)
	}
}

// clear removes the bar.
func (b *bar) clear() {
	if b.shown != "" {
		_, _ = io.WriteString(b.w, "\r\x1b[K")
	}
	b.shown = ""
}

// layOutBar returns a line: the first part, the progress bar, the other parts. It has at
// most width columns, unless the first part alone has more.
func layOutBar(width int, done, total int64, parts []part) string {
	parts = append([]part(nil), parts...)
	used := func() int {
		n := 0
		for _, p := range parts {
			n += utf8.RuneCountInString(p.text) + 2
		}
		return n - 2
	}
	for used() > width && len(parts) > 1 {
		most := 0
		for i, p := range parts {
			if p.rank >= parts[most].rank {
				most = i
			}
		}
		parts = append(parts[:most], parts[most+1:]...)
	}
	var words []string
	for _, p := range parts {
		words = append(words, p.text)
	}
	if room := width - used() - 2; room >= narrowest && total > 0 {
		full := int(int64(room) * min(done, total) / total)
		words = append(words[:1], append([]string{strings.Repeat("━", full) + strings.Repeat("·", room-full)}, words[1:]...)...)
	}
	return strings.Join(words, "  ")
}
