package cuda

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"qlora/bindings"
	"qlora/internal/dynamic8"
)

// Options say which device to open.
type Options struct {
	Emulated bool   // the kernels run on the CPU, one after the other and checked
	Number   int    // of the GPU
	Library  string // path of the library of kernels; "": the one that is found
}

// Device is a GPU, or its emulator, as a bindings.Device.
type Device struct {
	profile
	context     context
	emulated    bool
	description Description
	err         error // the first one since the last Sync
	workspace   bindings.Tensor
	loss        bindings.Tensor
	maps        maps
	staging     staging
	monitor     monitor
}

var _ bindings.Device = (*Device)(nil)

// New opens a device. The error says what is missing: errors.Is tells ErrNoLibrary
// and ErrNoDevice apart.
func New(opts Options) (*Device, error) {
	lib, description, err := find(kindOf(opts.Emulated), opts.Library)
	if err != nil {
		return nil, err
	}
	name := "emu"
	if !opts.Emulated {
		name = fmt.Sprintf("cuda:%d", opts.Number)
	}
	d := &Device{
		profile: profileOf(name), emulated: opts.Emulated, description: description,
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if d.context, err = lib.open(opts.Number); err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", name, err), d.Close())
	}
	return d, nil
}

// prepare puts the tables on the device that kernels look codes up in.
func (d *Device) prepare() error {
	p, err := d.context.properties()
	if err != nil {
		return err
	}
	d.info.Detail = p.String()
	if !d.emulated {
		d.monitor = watch(p.busID)
	} else {
		d.info.Detail = fmt.Sprintf("kernels for compute capability %d.%d on an emulator", p.compute/10, p.compute%10)
	}
	signed, unsigned := dynamic8.Signed().Values(), dynamic8.Unsigned().Values()
	tables := append(floats(signed[:]), floats(unsigned[:])...)
	base, err := d.context.allocate(int64(len(tables)))
	if err != nil {
		return err
	}
	d.maps = maps{signed: (*float)(base), unsigned: offset((*float)(base), len(signed))}
	return d.context.write(base, tables)
}

func (p properties) String() string {
	return fmt.Sprintf("%s, %.1f of %.1f GiB free, compute capability %d.%d, %s", p.name,
		float64(p.free)/(1<<30), float64(p.memory)/(1<<30), p.compute/10, p.compute%10, p.version)
}

// Close gives the device back, and with it all memory that was taken from it.
func (d *Device) Close() error {
	d.monitor.close()
	d.context.close()
	return nil
}

// Describe says which library is in use and where one was looked for.
func (d *Device) Describe() Description { return d.description }

// FreeMemory of the device is in bytes; 0 where it is not known. The emulator's is the
// machine's.
func (d *Device) FreeMemory() int64 {
	if d.emulated {
		return 0
	}
	p, err := d.context.properties()
	if err != nil {
		return 0
	}
	return p.free
}

// Schedule is the order in which the emulator runs blocks and threads from now on: 0
// ascending, 1 descending, others are seeds of random ones. On a GPU it does nothing.
func (d *Device) Schedule(seed uint64) error { return d.context.schedule(seed) }

// Allocate takes zeroed device memory.
func (d *Device) Allocate(block *bindings.Block) error {
	p, err := d.context.allocate(block.Bytes)
	if err == nil {
		block.Base = p
	}
	return err
}

// Free gives a block back.
func (d *Device) Free(block *bindings.Block) {
	if block.Base != nil {
		d.fail(d.context.release(block.Base))
		block.Base = nil
	}
}

// UseScratch takes the memory that Needs asked for.
func (d *Device) UseScratch(workspace, loss bindings.Tensor) { d.workspace, d.loss = workspace, loss }

// Write copies src into t, behind what was enqueued before.
func (d *Device) Write(t bindings.Tensor, src []byte) error {
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("writing %d bytes to %v, which has %d", len(src), t, t.Bytes())
	}
	if len(src) == 0 {
		return nil
	}
	return d.context.write(t.Address(), src)
}

// Read waits for all that was enqueued and copies t into dst.
func (d *Device) Read(dst []byte, t bindings.Tensor) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if int64(len(dst)) != t.Bytes() {
		return fmt.Errorf("reading %d bytes from %v, which has %d", len(dst), t, t.Bytes())
	}
	if len(dst) == 0 {
		return nil
	}
	return d.context.read(dst, t.Address())
}

// Sync waits for all that was enqueued and returns the first error since the last
// one.
func (d *Device) Sync() error {
	d.fail(d.context.sync())
	err := d.err
	d.err = nil
	return err
}

func (d *Device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// Run enqueues op where its check finds nothing and its scratch is there.
func (d *Device) Run(op bindings.Operation) {
	if err := bindings.Check(op); err != nil {
		d.fail(err)
		return
	}
	if err := table.Run(d, d.info.Name, op); err != nil {
		d.fail(err)
	}
}

// compose launches the kernels of an operation. The first error of one ends it, and is
// kept.
func (d *Device) compose(op bindings.Operation, needs bindings.Needs, compose func(*composer)) {
	name := op.Name()
	if needs.Workspace > d.workspace.Bytes() {
		d.fail(fmt.Errorf("%s needs %d bytes of scratch, the plan has %d", name, needs.Workspace, d.workspace.Bytes()))
		return
	}
	if needs.Loss > d.loss.Bytes() {
		d.fail(fmt.Errorf("%s needs %d bytes for logits, the plan has %d", name, needs.Loss, d.loss.Bytes()))
		return
	}
	d.fail(d.staging.release(d.context))
	if d.emulated {
		d.fail(d.context.allow(d.allowed(op, needs)))
	}
	broken := false
	c := composer{
		scratch: scratch{base: address(d.workspace)},
		logits:  scratch{base: address(d.loss)},
		decoded: d.decoded,
		maps:    d.maps,
		launch: func(work any) {
			if broken {
				return
			}
			if err := d.launch(name, work); err != nil {
				broken = true
				d.fail(err)
			}
		},
	}
	compose(&c)
}

// launch enqueues one kernel, or work on memory.
func (d *Device) launch(name string, work any) error {
	switch w := work.(type) {
	case *clearing:
		return d.context.zero(w.t.Address(), w.t.Bytes())
	case *moving:
		return d.context.move(w.to.Address(), w.from.Address(), w.to.Bytes())
	}
	return d.context.launch(name, work)
}

// allowed lists what an operation's kernels may touch: its operands and what they need
// besides.
func (d *Device) allowed(op bindings.Operation, needs bindings.Needs) []extent {
	list := extents(op)
	if needs.Workspace > 0 {
		list = append(list, extent{name: "scratch", data: address(d.workspace), bytes: needs.Workspace})
	}
	if needs.Loss > 0 {
		list = append(list, extent{name: "logits", data: address(d.loss), bytes: needs.Loss})
	}
	if _, ok := op.(*bindings.Optimize); ok {
		list = append(list, extent{name: "maps of 8-bit codes", data: unsafe.Pointer(d.maps.signed), bytes: 2 * 256 * 4})
	}
	return list
}

// A staging is memory that loading a model takes and gives back.
type staging struct {
	base  unsafe.Pointer
	bytes int64
}

func (s *staging) grow(c context, bytes int64) error {
	if bytes <= s.bytes {
		return nil
	}
	if err := s.release(c); err != nil {
		return err
	}
	p, err := c.allocate(bytes)
	if err == nil {
		s.base, s.bytes = p, bytes
	}
	return err
}

func (s *staging) release(c context) error {
	if s.base == nil {
		return nil
	}
	p := s.base
	*s = staging{}
	return c.release(p)
}

// offset is the address of the i-th element from p on.
func offset[T any](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), i*int(unsafe.Sizeof(*p))))
}

// floats are x's bytes.
func floats(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
