package report

import (
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// A bar is the last line of a terminal, drawn over and over: how much is done of
// something, and words about it.
type bar struct {
	w       io.Writer
	columns func() int // of the terminal; asked at every drawing, because windows are resized
	now     func() time.Time
	shown   string // "": nothing is drawn
	drawn   time.Time
}

// frame is the least time between two drawings.
const frame = 100 * time.Millisecond

// narrowest is the least columns that a share is drawn in.
const narrowest = 8

// A part is words on the bar's line. Where the terminal is too narrow for all of
// them, those of the highest rank go first.
type part struct {
	text string
	rank int
}

// draw shows the share done/total and the parts. It does nothing where the last
// drawing was just now, unless it is the end.
func (b *bar) draw(done, total int64, parts ...part) {
	now := b.now()
	if b.shown != "" && done < total && now.Sub(b.drawn) < frame {
		return
	}
	b.drawn = now
	b.show(layOutBar(b.width(), done, total, parts))
}

// width is the columns that are drawn in: a full last one makes some terminals wrap.
func (b *bar) width() int { return max(0, b.columns()-1) }

// show draws a line, cut to the width that the terminal has by now.
func (b *bar) show(text string) {
	if r := []rune(text); len(r) > b.width() {
		text = string(r[:b.width()])
	}
	b.shown = text
	_, _ = io.WriteString(b.w, "\r"+text+"\x1b[K") // a bar that cannot be drawn is no reason to stop a run
}

// line writes a line of its own above the bar.
func (b *bar) line(text string) {
	shown := b.shown
	b.clear()
	_, _ = io.WriteString(b.w, text+"\n")
	if shown != "" {
		b.show(shown)
	}
}

// clear takes the bar away.
func (b *bar) clear() {
	if b.shown != "" {
		_, _ = io.WriteString(b.w, "\r\x1b[K")
	}
	b.shown = ""
}

// layOutBar is a line: the first part, the share, the other parts. It has at most
// width columns, unless the first part alone has more.
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
