package cpu

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQuota(t *testing.T) {
	const (
		version1 = "30 20 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n31 20 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
		version2 = "29 20 0:25 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
	)
	for _, c := range []struct {
		name, groups, mounts string
		files                map[string]string
		want                 float64
	}{
		{"no control groups", "", "", nil, 0},
		{"version 2", "0::/a/b\n", version2, map[string]string{"a/b/cpu.max": "150000 100000\n"}, 1.5},
		{"version 2, no limit", "0::/a/b\n", version2, map[string]string{"a/b/cpu.max": "max 100000\n"}, 0},
		{"version 2, a parent's limit", "0::/a/b\n", version2, map[string]string{"a/b/cpu.max": "max 100000\n", "a/cpu.max": "50000 100000\n"}, 0.5},
		{"version 2, the lower limit", "0::/a/b\n", version2, map[string]string{"a/b/cpu.max": "100000 100000\n", "a/cpu.max": "400000 100000\n"}, 1},
		{"version 1", "4:cpu,cpuacct:/a\n3:cpuset:/\n0::/\n", version1, map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 1},
		{"version 1, no limit", "4:cpu,cpuacct:/a\n", version1, map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"}, 0},
		{
			"version 1, mounted from a group", "4:cpu,cpuacct:/docker/x\n", strings.Replace(version1, "0:26 /", "0:26 /docker/x", 1),
			map[string]string{"cpu,cpuacct/cpu.cfs_quota_us": "200000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"},
			2,
		},
		{
			"both mounted", "4:cpu,cpuacct:/a\n0::/b\n", version1 + strings.Replace(version2, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", 1),
			map[string]string{"cpu,cpuacct/a/cpu.cfs_quota_us": "300000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
			3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			write := func(path, text string) {
				path = filepath.Join(root, path)
				require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
				require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			}
			if c.groups != "" {
				write("proc/self/cgroup", c.groups)
				write("proc/self/mountinfo", c.mounts)
			}
			for name, text := range c.files {
				write(filepath.Join("sys/fs/cgroup", name), text)
			}
			require.InDelta(t, c.want, quota(root), 1e-9)
		})
	}
}

// TestThreads checks the number of threads under each way of limiting a process: it runs
// this test again under it.
func TestThreads(t *testing.T) {
	const variable = "QLORA_TEST_THREADS"
	if want := os.Getenv(variable); want != "" {
		d, err := New(Options{Kernels: "gonum"})
		require.NoError(t, err)
		require.Equal(t, want, strconv.Itoa(d.threads))
		require.NoError(t, d.Close())
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	under := func(name string, want int, variables []string, command ...string) {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(command[0]); err != nil {
				t.Skip(err)
			}
			c := exec.Command(command[0], append(command[1:], self, "-test.run=^TestThreads$")...)
			c.Env = append(append(os.Environ(), variable+"="+strconv.Itoa(want)), variables...)
			out, err := c.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
	all := runtime.NumCPU()
	if q := quota("/"); q > 0 {
		t.Skipf("the tests have a quota of %g cores", q)
	}
	under("GOMAXPROCS", 3, []string{"GOMAXPROCS=3"}, "env")
	under("affinity mask", 1, []string{"GOMAXPROCS="}, "taskset", "-c", strconv.Itoa(firstCore(t)))
	for _, c := range []struct{ quota, want int }{{50_000, 1}, {100_000, 1}, {150_000, min(2, all)}, {64_000_000, all}} {
		group := controlGroup(t, c.quota)
		under("quota of "+strconv.Itoa(c.quota/1000)+" %", c.want, []string{"GOMAXPROCS="}, "sh", "-c", `echo $$ >"$0" && exec "$@"`, group)
	}
}

// firstCore returns the number of a core that the process may use.
func firstCore(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, list, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	list = strings.TrimSpace(list)
	n, err := strconv.Atoi(list[:strings.IndexFunc(list+"\n", func(r rune) bool { return r < '0' || r > '9' })])
	require.NoError(t, err)
	return n
}

// controlGroup makes a control group with a quota of microseconds in 100 ms and returns the
// file that moves a process into it. It skips the test where that is not allowed.
func controlGroup(t *testing.T, quota int) string {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	name := "qlora-test-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(quota)
	mount, _ := mountOf(string(mounts), false)
	limits := map[string]string{"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": strconv.Itoa(quota)}
	if mount == "" {
		mount, _ = mountOf(string(mounts), true)
		limits = map[string]string{"cpu.max": strconv.Itoa(quota) + " 100000"}
	}
	dir := filepath.Join(mount, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
	for file, text := range limits {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Skip(err)
		}
	}
	return filepath.Join(dir, "cgroup.procs")
}
