package exit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCodeOf(t *testing.T) {
	background := context.Background()
	interrupted, cancel := context.WithCancelCause(background)
	cancel(Signal{os.Interrupt})
	terminated, cancel := context.WithCancelCause(background)
	cancel(Signal{syscall.SIGTERM})
	failure := errors.New("the disk is full")

	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want Code
	}{
		{"done", background, nil, Done},
		{"failed", background, failure, Failed},
		{"wrong", background, AsWrong(failure), Wrong},
		{"wrong, wrapped", background, fmt.Errorf("train: %w", Wrongf("no dataset")), Wrong},
		{"nothing wrong", background, AsWrong(nil), Done},
		{"interrupted and returned the cancellation", interrupted, fmt.Errorf("train: %w", context.Canceled), Interrupted},
		{"interrupted and saved", interrupted, nil, Interrupted},
		{"terminated", terminated, context.Cause(terminated), Terminated},
		{"failed to save after the signal", interrupted, failure, Failed},
	} {
		assert.Equal(t, c.want, CodeOf(c.ctx, c.err), c.name)
	}
}

func TestOnSignal(t *testing.T) {
	ctx, stop := OnSignal(context.Background())
	defer stop()
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("the signal did not cancel the context")
	}
	assert.Equal(t, Terminated, CodeOf(ctx, ctx.Err()))
}
