// Command livepicture records the page of a training run as an animated GIF, or the chat
// page of a server as a picture.
//
//	go run tools/livepicture/*.go [options] docs/live.gif COMMAND...
//	go run tools/livepicture/*.go -chat ADDRESS -message TEXT docs/chat.png
//
// With -chat it asks both models of a running `qlora serve` and fails if one does not
// answer.
//
// COMMAND is a `qlora train` with --live :0, which prints the page's address. A headless
// Chromium opens the page and takes a screenshot whenever the run has done another share
// of its steps, and one of the finished page. Nothing is edited. Chromium's name is
// chromium, chromium-browser or google-chrome, or CHROMIUM gives it; without any, the
// command prints a sentence, writes nothing and exits 0.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"image"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const (
	timeout    = 2 * time.Minute // for another step
	pageHeight = 1600            // of the browser's window, in pixels
)

func main() {
	frames := flag.Int("frames", 13, "the number of screenshots")
	width := flag.Int("width", 970, "the width of the moving picture, in `pixels`")
	last := flag.String("until", "#samples", "the `selector` of the last element to show; the end of its card is the end of the picture")
	wide := flag.String("wide", "", "also write the whole page at half of the run into this PNG `file`, 1180 pixels wide")
	narrow := flag.String("narrow", "", "also write the finished page into this PNG `file`, as a phone with a dark theme shows it")
	stills := flag.String("stills", "", "also write each screenshot into this `folder`, to look at")
	chat := flag.String("chat", "", "take a picture of the chat page at this `address`, after both models have answered")
	message := flag.String("message", "", "the `text` that -chat sends")
	flag.Parse()
	if flag.NArg() < 1 || *chat == "" && flag.NArg() < 2 || *frames < 2 {
		flag.Usage()
		os.Exit(2)
	}
	chromium := find()
	if chromium == "" {
		fmt.Printf("%s is not recorded: no Chromium on this machine (Debian's package chromium has one).\n", flag.Arg(0))
		return
	}
	if *chat != "" {
		if err := ask(chromium, *chat, *message, flag.Arg(0)); err != nil {
			fmt.Fprintln(os.Stderr, "livepicture:", err)
			os.Exit(1)
		}
		return
	}
	r := recorder{width: *width, last: *last, wide: *wide, narrow: *narrow}
	if err := r.record(chromium, flag.Args()[1:], *frames); err != nil {
		fmt.Fprintln(os.Stderr, "livepicture:", err)
		os.Exit(1)
	}
	if err := r.write(flag.Arg(0), *stills); err != nil {
		fmt.Fprintln(os.Stderr, "livepicture:", err)
		os.Exit(1)
	}
}

// find returns the path of a Chromium, or "".
func find() string {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// recorder takes the screenshots of one run.
type recorder struct {
	width, height      int // of the moving picture; the height is that of the finished page down to last
	last, wide, narrow string
	shots              []*image.RGBA
}

// record runs the command and fills shots.
func (r *recorder) record(chromium string, command []string, frames int) error {
	b, err := open(chromium)
	if err != nil {
		return err
	}
	defer b.close()
	run := exec.Command(command[0], command[1:]...)
	output, written, err := os.Pipe()
	if err != nil {
		return err
	}
	run.Stdout, run.Stderr = written, written
	if err := run.Start(); err != nil {
		return err
	}
	written.Close()
	defer func() { _ = run.Process.Kill() }() // after an error; a run that has ended is not there
	address, err := pageAddress(output)
	if err != nil {
		return err
	}
	go func() { _, _ = io.Copy(io.Discard, output) }() // a full pipe would stop the run
	if err := b.view(view{Width: r.width, Height: pageHeight}); err != nil {
		return err
	}
	if err := b.visit(address); err != nil {
		return err
	}
	for i := range frames - 1 {
		if err := b.await(fmt.Sprintf(reached, i, frames-1), timeout); err != nil {
			return err
		}
		if err := r.shoot(b); err != nil {
			return err
		}
		if r.wide != "" && i == (frames-1)/2 {
			if err := b.still(r.wide, view{Width: 1180}); err != nil {
				return err
			}
			if err := b.view(view{Width: r.width, Height: pageHeight}); err != nil {
				return err
			}
		}
	}
	if err := b.await(ended, timeout); err != nil {
		return err
	}
	if err := b.view(view{Width: r.width, Height: pageHeight}); err != nil { // the end is drawn, too
		return err
	}
	if r.height, err = b.bottom(r.last); err != nil {
		return err
	}
	if err := r.shoot(b); err != nil {
		return err
	}
	if r.narrow != "" {
		if err := b.still(r.narrow, view{Width: 390, Height: 844, Dark: true}); err != nil {
			return err
		}
	}
	if err := run.Wait(); err != nil {
		return fmt.Errorf("%s: %w", strings.Join(command, " "), err)
	}
	return nil
}

// Conditions on the page: a share of the steps is done and charted; the run has ended.
const (
	reached = `(() => {
		const [, step, of] = document.getElementById("steps").textContent.match(/step (\d+) of (\d+)/) ?? [0, 0, 1];
		return step >= Math.max(2, %d / %d * of);
	})()`
	ended = `!document.getElementById("outcome").hidden`
)

// shoot appends a screenshot of the page, tall enough for any frame.
func (r *recorder) shoot(b *browser) error {
	shot, err := b.screenshot(r.width, pageHeight)
	if err != nil {
		return err
	}
	picture, err := decode(shot)
	if err != nil {
		return err
	}
	r.shots = append(r.shots, picture)
	return nil
}

// bottom returns the height of the page down to the card of an element, with a margin.
func (b *browser) bottom(selector string) (int, error) {
	height, err := b.number(fmt.Sprintf(`Math.round(document.querySelector(%q).closest(".card").getBoundingClientRect().bottom + 14)`, selector))
	return min(int(height), pageHeight), err
}

// pageAddress reads a run's output up to the line with the page's address.
func pageAddress(output io.Reader) (string, error) {
	address := regexp.MustCompile(`http://[0-9.:]+/`)
	var printed []string
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if a := address.FindString(lines.Text()); a != "" {
			return a, nil
		}
		printed = append(printed, lines.Text())
	}
	return "", fmt.Errorf("the command did not print the address of a page; does it have --live? It printed: %s", strings.Join(printed, "\n"))
}
