package trainer

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/chat"
)

func TestChatKeepsTheConversation(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	writeChatModel(t, dir)
	base, err := OpenBase(dir)
	require.NoError(t, err)
	defer base.Close()
	dev, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	defer dev.Close()
	c, err := base.Chat(dev, "", 64)
	require.NoError(t, err)
	defer c.Close()
	c.Said = []chat.Message{{Role: "system", Content: "a"}}

	answer, err := c.Answer(t.Context(), "b")
	require.NoError(t, err)
	want := []chat.Message{{Role: "system", Content: "a"}, {Role: "user", Content: "b"}, {Role: "assistant", Content: answer}}
	assert.Equal(t, want, c.Said)
	_, err = c.Answer(t.Context(), strings.Repeat("x", 64))
	require.ErrorContains(t, err, "but only 64 were planned")
	assert.Equal(t, want, c.Said, "a message without an answer must not be stored")
}

func TestChatRefuses(t *testing.T) {
	folder := func(t *testing.T) string {
		dir := filepath.Join(t.TempDir(), "model")
		writeChatModel(t, dir)
		return dir
	}
	for want, change := range map[string]func(*Base) (adapter string){
		"it has no folder, so no tokenizer": func(b *Base) string { b.Folder = ""; return "" },
		"that is a model and no adapter":    func(b *Base) string { return b.Folder },
		"chat template":                     func(b *Base) string { b.Folder = "../demo/base"; return "" },
	} {
		base, err := OpenBase(folder(t))
		require.NoError(t, err)
		_, err = base.Chat(nil, change(base), 64)
		assert.ErrorContains(t, err, want)
		require.NoError(t, base.Close())
	}
}

func TestTuneReturnsTheState(t *testing.T) {
	r := tinyRun(t)
	r.Args.MaxSteps = 2
	s, err := Tune(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, 2, s.GlobalStep)
	require.NotNil(t, s.LogHistory[len(s.LogHistory)-1].TrainLoss)

	r.Device, r.Args.BatchSize = nil, 0
	s, err = Tune(t.Context(), r)
	assert.Nil(t, s)
	require.ErrorContains(t, err, "the run has no device")
	require.ErrorContains(t, err, "`per_device_train_batch_size` is 0")
}
