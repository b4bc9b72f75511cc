package options

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

func TestComplete(t *testing.T) {
	set := New()
	set.Add("Test", &struct {
		Folder string   `option:"folder" path:"true" help:"a path"`
		Kind   string   `option:"kind" alias:"sort" values:"red,reddish,blue" help:"a name"`
		Many   []string `option:"many" values:"a,b" help:"a list"`
		On     bool     `option:"on" help:"a boolean"`
		Count  int      `option:"count" help:"a number"`
	}{})
	cmd := &cobra.Command{Use: "test"}
	set.Bind(cmd)
	for _, c := range []struct {
		name, typed string
		want        []cobra.Completion
		files       bool
	}{
		{"folder", "", nil, true},
		{"kind", "", []string{"red", "reddish", "blue"}, false},
		{"sort", "redd", []string{"reddish"}, false},
		{"kind", "x", nil, false},
		{"many", "", []string{"a", "b"}, false},
		{"many", "b,", []string{"b,a", "b,b"}, false},
		{"on", "f", []string{"false"}, false},
		{"count", "", nil, false},
	} {
		complete, ok := cmd.GetFlagCompletionFunc(c.name)
		require.True(t, ok, c.name)
		got, directive := complete(cmd, nil, c.typed)
		require.Equal(t, c.want, got, "--%s %s", c.name, c.typed)
		require.Equal(t, c.files, directive == cobra.ShellCompDirectiveDefault, "--%s completes files", c.name)
	}
	require.True(t, cmd.Flags().Lookup("sort").Hidden, "completion offers another name of an option")
	require.False(t, cmd.Flags().Lookup("kind").Hidden)
	require.Same(t, set, Of(cmd))
	require.Nil(t, Of(&cobra.Command{}))
}
