package reward

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A command is a program that judges. It is started for the first batch and stays: for each
// completion it reads a line, a JSON object with the record's fields, "completion" and
// "completion_tokens", and writes a line, a number or null.
//
// A command that ends is started again and given the whole batch once more; one that ends
// twice in a batch, says nothing for too long or writes something else is an error.
type command struct {
	name, line string
	Settings
	process *process // nil: not started
}

func newCommand(name, line string, s Settings) (Function, error) {
	line = strings.TrimSpace(line)
	if line == "" {
		return nil, errors.New("it needs a command, as in command:./judge.py")
	}
	if name == "" {
		name = commandLabel(line)
	}
	return &command{name: name, line: line, Settings: s}, nil
}

func (c *command) Name() string { return c.name }

// Score gives a batch to the command.
func (c *command) Score(ctx context.Context, of []Completion) ([]float64, error) {
	var lines bytes.Buffer
	for i := range of {
		line, err := of[i].line()
		if err != nil {
			return nil, fmt.Errorf("the reward %s: %w", c.name, err)
		}
		lines.Write(line)
	}
	for again := false; ; again = true {
		all, err := c.ask(ctx, lines.Bytes(), len(of))
		if err == nil {
			return all, nil
		}
		said := c.stop()
		ended := (*endedError)(nil)
		if errors.As(err, &ended) && !again && ctx.Err() == nil {
			if c.Note != nil {
				c.Note(fmt.Sprintf("the reward %s: its command %v%s; it is started again and asked for the whole batch", c.name, err, said))
			}
			continue
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("the reward %s: its command (%s) %w%s", c.name, cut(c.line), err, said)
	}
}

// line returns what the command reads about a completion.
func (c *Completion) line() ([]byte, error) {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(c.Record, &fields); err != nil {
		return nil, errors.New("a record is no JSON object")
	}
	text, err := json.Marshal(c.Text)
	if err != nil {
		return nil, err
	}
	fields["completion"], fields["completion_tokens"] = text, json.RawMessage(fmt.Sprint(len(c.IDs)))
	b, err := json.Marshal(fields)
	return append(b, '\n'), err
}

// An endedError reports that the command ended before its last line.
type endedError struct{ after, of int }

func (e *endedError) Error() string {
	return fmt.Sprintf("ended after %d of %d lines", e.after, e.of)
}

// ask writes lines to the command and reads n.
func (c *command) ask(ctx context.Context, lines []byte, n int) ([]float64, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if c.process == nil {
		p, err := start(c.line)
		if err != nil {
			return nil, fmt.Errorf("cannot be started: %w", err)
		}
		c.process = p
	}
	p := c.process
	written := make(chan struct{})
	go func() { // it may write before it has read everything
		defer close(written)
		_, _ = p.in.Write(lines) // one that ended reads nothing, which the reading below finds
	}()
	var late <-chan time.Time
	if c.Timeout > 0 {
		timer := time.NewTimer(c.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	all := make([]float64, 0, n)
	for len(all) < n {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return nil, &endedError{len(all), n}
			}
			x, err := Number(line)
			if err != nil {
				return nil, fmt.Errorf("answered completion %d of %d with %w", len(all)+1, n, err)
			}
			all = append(all, x)
		case <-late:
			return nil, fmt.Errorf("answered %d of %d completions in %v (`reward_timeout`); it must write a line for each one that it reads, at once and not when it ends", len(all), n, c.Timeout)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case <-written:
	case <-late:
		return nil, fmt.Errorf("answered without reading all of the %d completions", n)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return all, c.check()
}

// check returns an error if the command has written what it was not asked for. One that
// ended between two batches is started again by the next.
func (c *command) check() error {
	if c.process == nil {
		return nil
	}
	select {
	case line, ok := <-c.process.lines:
		if ok {
			return fmt.Errorf("wrote more lines than completions: %q", cut(string(line)))
		}
		c.stop()
	default:
	}
	return nil
}

// Number returns the number in a line of a command's answer; NaN for null. It accepts
// JSON numbers and true and false, 1 and 0.
func Number(line []byte) (float64, error) {
	text := strings.TrimSpace(string(line))
	switch text {
	case "null":
		return math.NaN(), nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	var x float64
	if err := json.Unmarshal([]byte(text), &x); err != nil {
		return 0, fmt.Errorf("%q; it must be a number or null, and nothing else may be written to standard output", cut(text))
	}
	if math.IsInf(x, 0) || math.Abs(x) > 1e30 {
		return 0, fmt.Errorf("%q, which is too large", cut(text))
	}
	return x, nil
}

// stop ends the command and returns the last line that it wrote to standard error, for
// messages.
func (c *command) stop() string {
	if c.process == nil {
		return ""
	}
	said := c.process.kill()
	c.process = nil
	if said == "" {
		return ""
	}
	return ": " + cut(said)
}

// Close ends the command: it reads the end of its input, and has a few seconds to end.
func (c *command) Close() error {
	if c.process == nil {
		return nil
	}
	_ = c.process.in.Close()
	select {
	case <-c.process.ended:
	case <-time.After(5 * time.Second):
	}
	c.process.kill()
	c.process = nil
	return nil
}

// maxLine bounds the bytes of an answer's line.
const maxLine = 1 << 16

// A process is a running command.
type process struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	lines  chan []byte   // closed at the end of the output
	ended  chan struct{} // closed when the process has ended
	quit   chan struct{} // closed by kill
	once   sync.Once
	errors *tail
}

func start(line string) (*process, error) {
	p := &process{cmd: exec.Command("/bin/sh", "-c", line), lines: make(chan []byte, 64), ended: make(chan struct{}), quit: make(chan struct{}), errors: new(tail)}
	p.cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1") // Python writes each line at once
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr, p.cmd.WaitDelay = p.errors, 2*time.Second
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout = write
	if err := p.cmd.Start(); err != nil {
		_ = read.Close()
		_ = write.Close()
		return nil, err
	}
	_ = write.Close()
	go p.read(read)
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is said by its standard error
	}()
	return p, nil
}

// read passes on lines until the end of the output, or a line that is too long.
func (p *process) read(from *os.File) {
	defer from.Close()
	defer close(p.lines)
	scanner := bufio.NewScanner(from)
	scanner.Buffer(make([]byte, 4096), maxLine)
	pass := func(line []byte) bool {
		select {
		case p.lines <- line:
			return true
		case <-p.quit:
			return false
		}
	}
	for scanner.Scan() {
		if !pass(bytes.Clone(scanner.Bytes())) {
			return
		}
	}
	if errors.Is(scanner.Err(), bufio.ErrTooLong) {
		pass([]byte("a line of more than 64 KiB"))
	}
}

// kill ends the process with those that it started, and returns the last line of its standard
// error.
func (p *process) kill() string {
	p.once.Do(func() { close(p.quit) })
	_ = p.in.Close()
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.ended
	}
	return p.errors.last()
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 4096
	t.text = append(t.text, b...)
	if len(t.text) > most {
		t.text = bytes.Clone(t.text[len(t.text)-most:])
	}
	return len(b), nil
}

// last returns the last line that is not empty.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(t.text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
