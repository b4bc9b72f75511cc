package bindings

// A Repeater is a Device that can run the operations of an earlier time again, faster than
// they are run one by one: a GPU replays them as a graph.
type Repeater interface {
	Device
	// Repeat runs work, which runs operations and does nothing else with the device. If
	// work has run before under an equal key, the device may run its operations of that time
	// again instead of calling work. So key determines the operations with all their
	// operands and numbers, but for what Random.Device, Sequences.Device, HeadLoss.DeviceScale and
	// Embed.DeviceNoise hold, and work changes nothing else that lasts.
	Repeat(key any, work func())
}

// Repeat runs work on dev, as a Repeater if dev is one.
func Repeat(dev Device, key any, work func()) {
	if r, ok := dev.(Repeater); ok {
		r.Repeat(key, work)
		return
	}
	work()
}
