package nccl_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"qlora/bindings"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
	"qlora/bindings/groups"
	"qlora/bindings/groups/groupstest"
	"qlora/bindings/groups/nccl"
	"qlora/bindings/groups/nccl/nccltest"
	"qlora/internal/launch"
	"qlora/internal/rendezvous"
)

func TestMain(m *testing.M) {
	if os.Getenv(nccl.LibraryVariable) != "" { // another library
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "ncclemu")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	library, err := nccltest.Build(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Setenv(nccl.LibraryVariable, library)
	status := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(status)
}

// open returns the ranks of a group, each with an emulator and a store's client.
func open(t *testing.T, size int, deadline time.Duration) ([]groups.Group, error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := rendezvous.Serve(listener)
	t.Cleanup(func() { _ = server.Close() })
	store := launch.Store{Address: listener.Addr().String(), Key: "qlora/test/0", Held: true}
	ranks, errs := make([]groups.Group, size), make([]error, size)
	var all sync.WaitGroup
	for rank := range size {
		dev := cudatest.Emulator(t)
		all.Go(func() {
			control, err := rendezvous.Join(t.Context(), launch.Launch{Rank: rank, Size: size, Store: store}, deadline)
			if err == nil {
				ranks[rank], err = nccl.Open(t.Context(), control, dev, deadline)
			}
			errs[rank] = err
		})
	}
	all.Wait()
	for rank, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("rank %d: %w", rank, err)
		}
	}
	return ranks, nil
}

func TestConformance(t *testing.T) {
	cudatest.Emulator(t) // or skip
	opened := func(t *testing.T, size int, deadline time.Duration) []groups.Group {
		ranks, err := open(t, size, deadline)
		if err != nil {
			t.Fatal(err)
		}
		return ranks
	}
	groupstest.Goroutines(t, []int{1, 3}, opened, func(t *testing.T) bindings.Device {
		dev, err := cuda.New(cuda.Options{Emulated: true})
		if err != nil {
			t.Fatal(err)
		}
		return dev
	})
}

func TestNoLibrary(t *testing.T) {
	t.Setenv(nccl.LibraryVariable, "/nowhere/libnccl.so.2")
	_, err := open(t, 1, 0)
	if err == nil || !strings.Contains(err.Error(), "no NCCL was found: install it or PyTorch") || !strings.Contains(err.Error(), "/nowhere/libnccl.so.2") {
		t.Errorf("the error is %v", err)
	}
	if d := nccl.Describe(); d.Path != "" || len(d.Looked) != 1 {
		t.Errorf("%+v is described where there is nothing", d)
	}
}
