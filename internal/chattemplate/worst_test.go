package chattemplate

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// processorTime returns the processor time of this process.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// watchMemory starts to read, a hundred times a second, what memory the runtime holds. The
// function that it returns ends this and returns the most that was seen, in bytes.
func watchMemory() func() uint64 {
	held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	var most uint64
	read := func() {
		metrics.Read(held)
		most = max(most, held[0].Value.Uint64()-held[1].Value.Uint64())
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				read()
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		read()
		return most
	}
}

// TestWorstTemplates renders templates that spend most on each kind of operation: each is
// stopped, or ends, within 5 seconds of processor time and 512 MiB. The counts that stop
// them do not depend on the machine or its load. The limit of the runtime keeps garbage out
// of the figure: what is above it was in use.
func TestWorstTemplates(t *testing.T) {
	loop := func(before, body string) string {
		return "{% set l = range(9999) %}" + before + "{% for a in l %}{% for b in l %}" + body + "{% endfor %}{% endfor %}"
	}
	big := "{% set x = 'é' * 9999999 %}"
	deep := "{% set ns = namespace(x=[1], y=[1]) %}{% for a in range(20) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}"
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(384 << 20))
	var sets strings.Builder
	for i := range 40000 {
		fmt.Fprintf(&sets, "{%%set v%d=1%%}", i)
	}
	for name, source := range map[string]string{
		"empty":     loop("", ""),
		"in":        loop(big, "{% if 'zz' in x %}{% endif %}"),
		"equal":     loop(big+"{% set y = x ~ '' %}", "{% if x == y %}{% endif %}"),
		"strip":     loop("{% set x = ' ' * 9999999 %}", "{% if x.strip() %}{% endif %}"),
		"isalpha":   loop(big, "{% if x.isalpha() %}{% endif %}"),
		"replace":   loop(big, "{% if x.replace('z', 'y') %}{% endif %}"),
		"split":     loop(big, "{% if x.split('z') %}{% endif %}"),
		"compare":   loop(deep, "{% if ns.x == ns.y %}{% endif %}"),
		"sort":      loop("{% set m = range(99999) | list %}", "{% set m = m | sort %}"),
		"sum":       loop("{% set m = range(99999) | list %}", "{% set m = m | sum %}"),
		"listindex": loop("{% set m = range(99999) | list %}", "{% set m1 = m.index(99998) %}"),
		"names":     loop(sets.String(), "{% set c = v0 %}"),
		"lower":     loop(big, "{% if x is lower %}{% endif %}"),
		"format":    loop("{% set x = 'a{}' * 99999 %}", "{% if x.format() %}{% endif %}"),
		"jsonempty": loop("{% set x = {'a':[[[[]]]]} %}", "{% set y = x|tojson %}"),
		"macro":     "{% macro f(n) %}{% for i in range(99999) %}{{ f(n) }}{% endfor %}{% endmacro %}{{ f(1) }}",
		"recmacro":  "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(90) }}",
		"source2":   "{{ [" + strings.Repeat("1,", 500000) + "] }}",
		"nested":    strings.Repeat("{% if a %}", 150) + strings.Repeat("{{ ((((((((1)))))))) }}", 40000) + strings.Repeat("{% endif %}", 150),
		"nsset":     "{% set ns = namespace(x='') %}" + loop("", "{% set ns.x = ns.x ~ 'y' %}"),
	} {
		t.Run(name, func(t *testing.T) {
			debug.FreeOSMemory()
			began, peak := processorTime(t), watchMemory()
			parsed, err := Parse(source)
			if err == nil {
				_, err = parsed.Render(nil, oracleNow)
			}
			if err != nil {
				require.IsType(t, &Error{}, err)
			}
			assert.Less(t, processorTime(t)-began, 5*time.Second)
			assert.Less(t, peak()>>20, uint64(512), "MiB")
		})
	}
}
