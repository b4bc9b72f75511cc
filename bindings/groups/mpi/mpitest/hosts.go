package mpitest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Hosts are two pretended hosts, host1 and host2, with a network of their own between
// them: a process for each holds its namespaces, and these end with the process.
// Nothing outside of them changes, neither the machine's network nor its files.
type Hosts struct {
	agent   string // a program in ssh's place
	holders []*exec.Cmd
}

// hold is what the process of a host runs: it gives the host its name, its list of hosts,
// another boot than the machine's and its own shared memory.
const hold = `echo "$1" >/proc/sys/kernel/hostname
mount --bind "$2" /etc/hosts
mount --bind "$3" /proc/sys/kernel/random/boot_id
mount -t tmpfs tmpfs /dev/shm
ip link set lo up
echo ready
exec cat`

// TwoHosts makes two hosts, until the test ends. Without root, or where namespaces are not
// allowed, the test is skipped.
func TwoHosts(t *testing.T) *Hosts {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for network namespaces")
	}
	for _, tool := range []string{"ip", "unshare", "nsenter", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs iproute2 and util-linux, for network namespaces: %v", err)
		}
	}
	dir := t.TempDir()
	h := &Hosts{agent: filepath.Join(dir, "agent")}
	t.Cleanup(h.close)
	list := place(t, dir, "hosts", "127.0.0.1 localhost\n10.77.0.1 host1\n10.77.0.2 host2\n")
	var agent strings.Builder
	agent.WriteString("#!/bin/sh\nwhile [ \"${1#-}\" != \"$1\" ]; do shift; done\ncase $1 in\n")
	for i := range 2 {
		name := fmt.Sprintf("host%d", i+1)
		boot := place(t, dir, name, fmt.Sprintf("00000000-0000-0000-0000-00000000000%d\n", i+1))
		h.hold(t, name, list, boot)
		fmt.Fprintf(&agent, "%s) pid=%d;;\n", name, h.holders[i].Process.Pid)
	}
	place(t, dir, "agent", agent.String()+"esac\nshift\nexec nsenter --target $pid --net --uts --mount sh -c \"$*\"\n")
	h.must(t, 0, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", strconv.Itoa(h.holders[1].Process.Pid))
	for i := range 2 {
		h.must(t, i, "ip", "address", "add", fmt.Sprintf("10.77.0.%d/24", i+1), "dev", "eth0")
		h.must(t, i, "ip", "link", "set", "eth0", "up")
	}
	h.connected(t)
	return h
}

func place(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// hold starts the process of a host, which ends when its input does.
func (h *Hosts) hold(t *testing.T, name, list, boot string) {
	t.Helper()
	var stderr strings.Builder
	cmd := exec.Command("unshare", "--net", "--uts", "--mount", "sh", "-e", "-c", hold, "sh", name, list, boot)
	cmd.Stderr = &stderr
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
		_ = cmd.Wait()
		t.Skipf("needs namespaces, which this machine does not allow: %s", stderr.String())
	}
	h.holders = append(h.holders, cmd)
	t.Cleanup(func() { _ = in.Close() })
}

// must runs a command on a host.
func (h *Hosts) must(t *testing.T, host int, args ...string) (output string) {
	t.Helper()
	flags := []string{"--target", strconv.Itoa(h.holders[host].Process.Pid), "--net"}
	out, err := exec.Command("nsenter", append(flags, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

// connected waits until both ends of the network are up, up to a second after they were told to be:
// MPI's libraries leave out an interface that is not.
func (h *Hosts) connected(t *testing.T) {
	t.Helper()
	for host := range h.holders {
		for deadline := time.Now().Add(time.Minute); !strings.Contains(h.must(t, host, "ip", "link", "show", "eth0"), "state UP"); {
			if time.Now().After(deadline) {
				t.Fatalf("eth0 of host%d is not up after a minute", host+1)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// Cut takes host2 off the network.
func (h *Hosts) Cut(t *testing.T) {
	t.Helper()
	h.must(t, 1, "ip", "link", "set", "eth0", "down")
}

// Mend connects host2 again.
func (h *Hosts) Mend(t *testing.T) {
	t.Helper()
	h.must(t, 1, "ip", "link", "set", "eth0", "up")
	h.connected(t)
}

// Command returns the command that starts a program on both hosts, so many ranks on each. Run
// it by [Run].
func (h *Hosts) Command(s Stack, each int, program string, args ...string) *exec.Cmd {
	list := fmt.Sprintf("host1:%d,host2:%d", each, each)
	flags := []string{"-hosts", list, "-launcher", "ssh", "-launcher-exec", h.agent}
	if strings.Contains(s.Name, "Open MPI") {
		flags = []string{"--host", list, "--prtemca", "plm_ssh_agent", h.agent}
	}
	s.flags = append(flags, s.flags...)
	cmd := s.Command(2*each, program, args...)
	nsenter := []string{"nsenter", "--target", strconv.Itoa(h.holders[0].Process.Pid), "--net", "--uts", "--mount"}
	inside := exec.Command(nsenter[0], append(nsenter[1:], cmd.Args...)...)
	inside.Env, inside.SysProcAttr = cmd.Env, cmd.SysProcAttr
	return inside
}

// Processes returns the processes on a host.
func (h *Hosts) Processes(host int) (pids []int) {
	own := network(h.holders[host].Process.Pid)
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is well formed
	for _, process := range all {
		if pid, err := strconv.Atoi(filepath.Base(process)); err == nil && own != "" && network(pid) == own {
			pids = append(pids, pid)
		}
	}
	return pids
}

// network names the network namespace of a process.
func network(pid int) string {
	name, _ := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid)) // "": it has ended
	return name
}

// Stop kills what runs on the hosts: a launcher may wait for a host that is cut off.
func (h *Hosts) Stop() {
	for i, holder := range h.holders {
		for _, pid := range h.Processes(i) {
			if pid != holder.Process.Pid {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
}

func (h *Hosts) close() {
	h.Stop()
	for _, holder := range h.holders {
		_ = holder.Process.Kill()
		_ = holder.Wait()
	}
}
