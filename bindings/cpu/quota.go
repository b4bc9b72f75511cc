package cpu

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"qlora/bindings/cpu/pool"
)

// DefaultThreads returns how many threads a device of zero Options has: GOMAXPROCS, which
// Go sets from the affinity mask and the control group's quota, but one if the quota is at
// most one core. Go rounds that up to two, and two threads that share one core's time stand
// still for half of it. A GOMAXPROCS of the environment is taken as it is.
func DefaultThreads() int {
	n := pool.Processors()
	if n > 1 && os.Getenv("GOMAXPROCS") == "" {
		if cores := quota("/"); cores > 0 && cores <= 1 {
			return 1
		}
	}
	return n
}

// quota returns the cores' worth of time that the process's control groups (version 1 or 2)
// allow it, the least of them and their parents, or 0 if they do not limit it. root is the
// folder that has proc.
func quota(root string) float64 {
	groups, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return 0
	}
	least := 0.0
	for line := range strings.Lines(string(groups)) {
		// "4:cpu,cpuacct:/group", or "0::/group" for version 2.
		field := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(field) != 3 || field[1] != "" && !slices.Contains(strings.Split(field[1], ","), "cpu") {
			continue
		}
		mount, top := mountOf(string(mounts), field[1] == "")
		if mount == "" {
			continue
		}
		inside, ok := strings.CutPrefix(field[2], strings.TrimSuffix(top, "/"))
		if !ok {
			inside = "/"
		}
		mount = filepath.Join(root, mount)
		for dir := filepath.Join(mount, inside); strings.HasPrefix(dir, mount); dir = filepath.Dir(dir) {
			if cores := limitOf(dir); cores > 0 && (least == 0 || cores < least) {
				least = cores
			}
		}
	}
	return least
}

// mountOf returns where the hierarchy with the cpu controller is mounted and the control
// group that is the root of the mount.
func mountOf(mounts string, version2 bool) (mount, top string) {
	for line := range strings.Lines(mounts) {
		// "36 25 0:31 ROOT MOUNT rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
		first, last, ok := strings.Cut(strings.TrimSpace(line), " - ")
		before, after := strings.Fields(first), strings.Fields(last)
		if !ok || len(before) < 5 || len(after) < 3 {
			continue
		}
		if version2 && after[0] == "cgroup2" || !version2 && after[0] == "cgroup" && slices.Contains(strings.Split(after[2], ","), "cpu") {
			return before[4], before[3]
		}
	}
	return "", ""
}

// limitOf returns the limit of one control group in cores, or 0.
func limitOf(dir string) float64 {
	var quota, period string
	if b, err := os.ReadFile(filepath.Join(dir, "cpu.max")); err == nil {
		quota, period, _ = strings.Cut(strings.TrimSpace(string(b)), " ")
	} else {
		q, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_quota_us"))
		p, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_period_us"))
		quota, period = strings.TrimSpace(string(q)), strings.TrimSpace(string(p))
	}
	q, err := strconv.ParseFloat(quota, 64) // "max" and -1: no limit
	p, wrong := strconv.ParseFloat(period, 64)
	if err != nil || wrong != nil || q <= 0 || p <= 0 {
		return 0
	}
	return q / p
}
