// Package exit defines how the program ends: its exit codes, which errors mean which
// code, and what a signal does.
package exit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// A Code is the exit code of the process. Scripts rely on the values.
type Code int

// The exit codes.
const (
	Done        Code = 0
	Failed      Code = 1   // an error while running
	Wrong       Code = 2   // the command, the configuration or the input was wrong; nothing was written
	Interrupted Code = 130 // SIGINT
	Asked       Code = 138 // SIGUSR1
	Terminated  Code = 143 // SIGTERM
)

// wrong marks an error as one of the command, the configuration or the input.
type wrong struct{ error }

func (w wrong) Unwrap() error { return w.error }

// AsWrong marks err as an error of the user's input: nothing was written, and the exit
// code is Wrong. nil stays nil.
func AsWrong(err error) error {
	if err == nil {
		return nil
	}
	return wrong{err}
}

// Wrongf returns an error of the user's input.
func Wrongf(format string, args ...any) error {
	return AsWrong(fmt.Errorf(format, args...))
}

// An ending is an error with what has to happen at the end of the process.
type ending struct {
	error
	quiet bool
	then  func(Code)
}

func (e ending) Unwrap() error { return e.error }

// Quiet marks an error that has been reported elsewhere: its message is not printed.
func Quiet(err error) error { return ending{error: err, quiet: true} }

// Then returns err with what ends the process after its message is printed.
func Then(err error, end func(Code)) error { return ending{error: err, then: end} }

// IsQuiet reports whether the message of err is not to be printed.
func IsQuiet(err error) bool {
	for e, ok := errors.AsType[ending](err); ok; e, ok = errors.AsType[ending](e.error) {
		if e.quiet {
			return true
		}
	}
	return false
}

// End does what err says has to happen at the end of the process.
func End(err error, code Code) {
	for e, ok := errors.AsType[ending](err); ok; e, ok = errors.AsType[ending](e.error) {
		if e.then != nil {
			e.then(code)
		}
	}
}

// A Signal is the cause of a context that was canceled by a signal.
type Signal struct{ os.Signal }

func (s Signal) Error() string { return fmt.Sprintf("stopped by a signal: %v", s.Signal) }

func (s Signal) code() Code {
	switch s.Signal {
	case syscall.SIGTERM:
		return Terminated
	case syscall.SIGUSR1:
		return Asked
	}
	return Interrupted
}

// CodeOf returns the exit code of a command that ended with err. ctx is the command's
// context: after a signal, a command that returns nil or [context.Canceled] was
// interrupted.
func CodeOf(ctx context.Context, err error) Code {
	var sig Signal
	if errors.As(err, &sig) {
		return sig.code()
	}
	if (err == nil || errors.Is(err, context.Canceled)) && errors.As(context.Cause(ctx), &sig) {
		return sig.code()
	}
	switch {
	case err == nil:
		return Done
	case errors.As(err, new(wrong)):
		return Wrong
	}
	return Failed
}

// OnSignal returns a context that SIGINT, SIGTERM or SIGUSR1 cancels, with a Signal as its
// cause, so that the command can save its state. SIGUSR1 is what launchers of several
// processes pass on; it may come again. A second one of the others ends the process at
// once. stop restores the default handling of the signals.
func OnSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGUSR1)
	ended := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case s := <-signals:
				if !first && s != syscall.SIGUSR1 {
					os.Exit(int(Signal{s}.code()))
				}
				cancel(Signal{s})
			case <-ended:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(ended)
		cancel(nil)
	}
}
