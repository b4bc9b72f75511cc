package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// browser is a headless Chromium with one page open, driven over pipes by the DevTools
// protocol (https://chromedevtools.github.io/devtools-protocol): JSON messages, each ended
// by a zero byte.
type browser struct {
	process *exec.Cmd
	profile string // a temporary folder
	send    *os.File
	receive *bufio.Reader
	session string // of the page
	id      int    // of the last message sent
}

// view is what the page is shown on.
type view struct {
	Width, Height int  // CSS pixels; without a height, that of the whole page
	Dark          bool // the preferred theme
}

// open starts Chromium with an empty page.
func open(path string) (*browser, error) {
	profile, err := os.MkdirTemp("", "livepicture")
	if err != nil {
		return nil, err
	}
	in, send, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	receive, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	arguments := []string{"--headless", "--remote-debugging-pipe", "--user-data-dir=" + profile, "--hide-scrollbars", "--force-device-scale-factor=1", "--disable-gpu", "--disable-lcd-text", "--no-first-run"}
	if os.Getuid() == 0 {
		arguments = append(arguments, "--no-sandbox") // Chromium refuses to run as root with it
	}
	b := &browser{process: exec.Command(path, arguments...), profile: profile, send: send, receive: bufio.NewReaderSize(receive, 1<<20)}
	b.process.ExtraFiles = []*os.File{in, out} // descriptors 3 and 4, as Chromium expects
	if err := b.process.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	in.Close()
	out.Close()
	var target struct{ TargetID string }
	if err := b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target); err != nil {
		b.close()
		return nil, err
	}
	var attached struct{ SessionID string }
	if err := b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached); err != nil {
		b.close()
		return nil, err
	}
	b.session = attached.SessionID
	return b, nil
}

// close ends Chromium and removes its profile.
func (b *browser) close() {
	b.send.Close()       // Chromium exits when its pipe ends
	_ = b.process.Wait() // its exit status says nothing of the screenshots
	os.RemoveAll(b.profile)
}

// call sends a command and stores its result, if result is not nil.
func (b *browser) call(method string, parameters map[string]any, result any) error {
	b.id++
	message := map[string]any{"id": b.id, "method": method, "params": parameters}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if _, err := b.send.Write(append(data, 0)); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	for {
		data, err := b.receive.ReadBytes(0)
		if err != nil {
			return fmt.Errorf("%s: Chromium closed its pipe: %w", method, err)
		}
		var reply struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(data[:len(data)-1], &reply); err != nil {
			return fmt.Errorf("%s: %w", method, err)
		}
		switch {
		case reply.ID != b.id: // an event
		case reply.Error != nil:
			return fmt.Errorf("%s: %s", method, reply.Error.Message)
		case result != nil:
			return json.Unmarshal(reply.Result, result)
		default:
			return nil
		}
	}
}

func (b *browser) visit(address string) error {
	return b.call("Page.navigate", map[string]any{"url": address}, nil)
}

// view changes the size and the theme, and waits until the page is drawn with them. The
// page's transitions are off, so that a screenshot shows no state between two.
func (b *browser) view(v view) error {
	theme := "light"
	if v.Dark {
		theme = "dark"
	}
	if err := b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{
		{"name": "prefers-color-scheme", "value": theme},
		{"name": "prefers-reduced-motion", "value": "reduce"},
	}}, nil); err != nil {
		return err
	}
	if err := b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": v.Width, "height": v.Height, "deviceScaleFactor": 1, "mobile": false}, nil); err != nil {
		return err
	}
	_, err := b.evaluate(`new Promise(done => setTimeout(() => requestAnimationFrame(() => done(0)), 300))`) // the page redraws its charts after 100 ms
	return err
}

// evaluate returns the value of a JavaScript expression, awaiting a promise.
func (b *browser) evaluate(expression string) (any, error) {
	var reply struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Text string }
	}
	if err := b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &reply); err != nil {
		return nil, err
	}
	if reply.ExceptionDetails != nil {
		return nil, errors.New("the page cannot evaluate " + expression)
	}
	return reply.Result.Value, nil
}

func (b *browser) number(expression string) (float64, error) {
	value, err := b.evaluate(expression)
	if err != nil {
		return 0, err
	}
	number, ok := value.(float64)
	if !ok {
		return 0, fmt.Errorf("%s is %v, not a number", expression, value)
	}
	return number, nil
}

// await waits until an expression is true. A page that is still loading has none that is.
func (b *browser) await(expression string, timeout time.Duration) error {
	for began := time.Now(); time.Since(began) < timeout; time.Sleep(10 * time.Millisecond) {
		if value, err := b.evaluate(expression); err == nil && value == true {
			return nil
		}
	}
	return fmt.Errorf("waited %v for %s", timeout, expression)
}

// screenshot returns the top left of the page as a PNG file.
func (b *browser) screenshot(width, height int) ([]byte, error) {
	var reply struct{ Data []byte }
	err := b.call("Page.captureScreenshot", map[string]any{
		"format": "png", "captureBeyondViewport": true,
		"clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
	}, &reply)
	return reply.Data, err
}
