package groups

import "qlora/bindings"

// A HostDevice has its tensors in the host's memory, and no work that is not complete when
// its call returns.
type HostDevice interface {
	bindings.Device
	// Bytes returns the memory of a contiguous tensor.
	Bytes(t bindings.Tensor) []byte
}

// Bytes returns the memory of a contiguous tensor of dev; nil if it is not the host's.
func Bytes(dev bindings.Device, t bindings.Tensor) []byte {
	if host, ok := dev.(HostDevice); ok {
		return host.Bytes(t)
	}
	return nil
}
