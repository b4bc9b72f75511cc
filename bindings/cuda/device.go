package cuda

import (
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
		d.Close()
		return nil, fmt.Errorf("opening %s: %w", name, err)
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
func (d *Device) Close() {
	d.monitor.close()
	d.context.close()
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

// UseScratch takes the memory that Scratch and LossScratch asked for.
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

// run composes an operation where its check gave no error and the scratch that it
// needs is there. The first error of a kernel ends it, and is kept.
func (d *Device) run(name string, check error, op any, compose func(*composer)) {
	if check != nil {
		d.fail(check)
		return
	}
	need := d.Scratch(op)
	if need > d.workspace.Bytes() {
		d.fail(fmt.Errorf("%s needs %d bytes of scratch, the plan has %d", name, need, d.workspace.Bytes()))
		return
	}
	d.fail(d.staging.release(d.context))
	d.allow(op, d.extra(op, need)...)
	broken := false
	c := composer{
		scratch: scratch{base: address(d.workspace)},
		logits:  scratch{base: address(d.loss)},
		decoded: d.decoded,
		launch: func(kernel any) {
			if broken {
				return
			}
			if err := d.context.launch(name, kernel); err != nil {
				broken = true
				d.fail(err)
			}
		},
	}
	compose(&c)
}

// allow tells the emulator which memory an operation's kernels may touch.
func (d *Device) allow(op any, more ...extent) {
	if d.emulated {
		d.fail(d.context.allow(append(extents(op), more...)))
	}
}

// extra is what an operation touches besides its own tensors.
func (d *Device) extra(op any, workspace int64) []extent {
	if !d.emulated {
		return nil
	}
	var list []extent
	if workspace > 0 {
		list = append(list, extent{"scratch", address(d.workspace), workspace})
	}
	switch op := op.(type) {
	case *bindings.HeadLoss:
		list = append(list, extent{"logits", address(d.loss), d.LossScratch(op)})
	case *bindings.Optimize:
		list = append(list, extent{"maps of 8-bit codes", unsafe.Pointer(d.maps.signed), 2 * 256 * 4})
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
