// Package rendezvous lets ranks that a launcher has started without MPI find each other
// and exchange small things: through the store that the launcher keeps (PyTorch's
// TCPStore, as torchrun's agent does), or one of the same protocol that rank 0 keeps.
package rendezvous

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// The protocol of torch/csrc/distributed/c10d/TCPStore.cpp, the part that ranks need: a
// byte for the question, numbers little-endian, texts with their length in 64 bits. Keys
// begin with a slash.
const (
	askValidate = 0 // magic; no answer
	askSet      = 1 // key, value; no answer
	askGet      = 3 // key; the value
	askCheck    = 5 // number, keys; a byte, 0: all are there
	askWait     = 6 // number, keys; a byte, 0, once all are there
	askDelete   = 8 // key; the number deleted

	magic = 0x3C85F7CE
)

// Bounds of what the other side can make this one allocate. torch's store refuses more
// than 8 MiB.
const (
	maxKey   = 4 << 10
	maxValue = 8 << 20
	maxKeys  = 1 << 16
)

func appendText(b []byte, s []byte) []byte {
	return append(binary.LittleEndian.AppendUint64(b, uint64(len(s))), s...)
}

func appendKey(b []byte, key string) []byte { return appendText(b, []byte("/"+key)) }

func appendKeys(b []byte, keys []string) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(len(keys)))
	for _, key := range keys {
		b = appendKey(b, key)
	}
	return b
}

func readNumber(r io.Reader) (uint64, error) {
	var b [8]byte
	_, err := io.ReadFull(r, b[:])
	return binary.LittleEndian.Uint64(b[:]), err
}

var errTooLong = errors.New("it is not a store of PyTorch's")

// readText reads a text of at most most bytes.
func readText(r io.Reader, most int) ([]byte, error) {
	n, err := readNumber(r)
	if err != nil {
		return nil, err
	}
	if n > uint64(most) {
		return nil, fmt.Errorf("it sends %d bytes where at most %d are expected: %w", n, most, errTooLong)
	}
	text := make([]byte, n)
	_, err = io.ReadFull(r, text)
	return text, err
}

func readKeys(r *bufio.Reader) ([]string, error) {
	n, err := readNumber(r)
	if err != nil {
		return nil, err
	}
	if n > maxKeys {
		return nil, fmt.Errorf("it asks for %d keys: %w", n, errTooLong)
	}
	var keys []string
	for range n {
		key, err := readText(r, maxKey)
		if err != nil {
			return nil, err
		}
		keys = append(keys, string(key))
	}
	return keys, nil
}
