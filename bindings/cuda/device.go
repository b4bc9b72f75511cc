package cuda

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"qlora/bindings"
	"qlora/bindings/cuda/waves"
	"qlora/internal/dynamic8"
)

// Options select the device to open. The zero value is the first GPU.
type Options struct {
	Emulated bool   // run the kernels on the CPU, sequentially and with checks
	Number   int    // number of the GPU
	Library  string // path of the library of kernels; "": the one that is found

	// Variant, for tests, is a part of kernels' names: among kernels that compute the same,
	// the one with it in its name runs for every shape. "128x256" is a tile of products,
	// "elements" are the kernels for operands that are not aligned, "general" the instances
	// with every feature. "": the fastest for the shape.
	Variant string
	// Processors and Compute are the multiprocessors and the compute capability (90 for
	// sm_90) that the emulator takes itself for. 0: 16, and 80. A GPU has its own.
	Processors, Compute int
	// Counting makes the emulator count accesses to memory, too: see Counts. Dry makes it
	// check and count launches, and run nothing: its memory is zeros that take no room, and
	// what is left of a step's time is the host's share.
	Counting, Dry bool

	// Graphs says when work that is repeated is replayed as a graph. Note receives a message
	// if that fails; nil: nobody.
	Graphs GraphMode
	Note   func(string)
}

// Device is a GPU, or its emulator, as a bindings.Device.
type Device struct {
	profile
	context     context
	emulated    bool
	dry         bool
	description Description
	err         error // the first error since the last Sync
	workspace   bindings.Tensor
	loss        bindings.Tensor
	maps        maps
	staging     staging
	known       known
	chunks      chunks
	room        *room
	composer    composer // of the operation that runs
	running     string   // its name
	broken      bool     // a launch of it has failed
	graphs      graphs
	monitor     monitor
	busID       string
	synced      func() error // see AfterSync
}

var _ bindings.Device = (*Device)(nil)

// New opens a device. Use errors.Is to distinguish ErrNoLibrary and ErrNoDevice.
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
		profile: profileOf(name), emulated: opts.Emulated, dry: opts.Dry, description: description,
		graphs: graphs{mode: opts.Graphs, note: opts.Note}, room: new(room),
	}
	d.composer.launch = d.launchNext
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if d.context, err = lib.open(opts); err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	if err := d.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", name, err), d.Close())
	}
	return d, nil
}

// prepare copies the tables of 8-bit codes to the device.
func (d *Device) prepare() error {
	p, err := d.context.properties()
	if err != nil {
		return err
	}
	d.info.Detail, d.gpu, d.busID = p.String(), waves.Of(p.processors, p.compute), p.busID
	d.chunks = chunks{}
	d.graphs.rate = productRate(p.compute, p.processors)
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

// Close releases the device and all memory allocated on it.
func (d *Device) Close() error {
	d.monitor.close()
	d.dropGraphs()
	d.context.close()
	return nil
}

// Describe returns the library in use and the paths tried.
func (d *Device) Describe() Description { return d.description }

// reserve is the memory of a GPU that no plan may use: allocations are rounded up to 2 MiB,
// loading a model stages weights, a desktop takes some meanwhile, and graphs take theirs. The
// kernels are loaded when the device is opened, so free memory excludes them.
const reserve = 128<<20 + graphBytes

// FreeMemory returns the bytes of the device's memory that a plan may use; 0 if it is
// unknown. The emulator returns the machine's.
func (d *Device) FreeMemory() int64 {
	if d.emulated {
		return 0
	}
	p, err := d.context.properties()
	if err != nil {
		return 0
	}
	return usable(p.free)
}

// usable returns how much of so many free bytes a plan may use: at least 1, since 0 is
// unknown.
func usable(free int64) int64 { return max(1, free-reserve) }

// BusID returns the GPU's PCI bus id, which is the same for all processes; "" for the
// emulator.
func (d *Device) BusID() string { return d.busID }

// Schedule sets the order in which the emulator runs blocks and threads: 0 ascending, 1
// descending, other values are seeds of random orders. On a GPU it does nothing.
func (d *Device) Schedule(seed uint64) error { return d.context.schedule(seed) }

// Allocate allocates zeroed memory of the device, or pinned memory of the host.
func (d *Device) Allocate(block *bindings.Block) error {
	allocate := d.context.allocate
	if block.Category.OnHost() {
		allocate = d.context.allocateHost
	}
	p, err := allocate(block.Bytes)
	if err == nil {
		block.Base = p
	}
	return err
}

// Free frees a block.
func (d *Device) Free(block *bindings.Block) {
	if block.Base != nil {
		d.dropGraphs()
		release := d.context.release
		if block.Category.OnHost() {
			release = d.context.releaseHost
		}
		d.fail(release(block.Base))
		block.Base = nil
	}
}

// UseScratch sets the scratch memory.
func (d *Device) UseScratch(workspace, loss bindings.Tensor) {
	d.dropGraphs()
	d.workspace, d.loss = workspace, loss
}

// Write copies src into t after all enqueued work.
func (d *Device) Write(t bindings.Tensor, src []byte) error {
	if int64(len(src)) != t.Bytes() {
		return fmt.Errorf("write %d bytes to %v, which has %d", len(src), t, t.Bytes())
	}
	if len(src) == 0 {
		return nil
	}
	d.known.forget()
	if t.OnHost() {
		if err := d.context.sync(); err != nil {
			return err
		}
		copy(hostBytes(t), src)
		return nil
	}
	return d.context.write(t.Address(), src)
}

// hostBytes returns the bytes of a contiguous tensor in the host's memory.
func hostBytes(t bindings.Tensor) []byte {
	return unsafe.Slice((*byte)(t.Address()), t.Bytes())
}

// Read waits for all enqueued work and copies t into dst.
func (d *Device) Read(dst []byte, t bindings.Tensor) error {
	if err := d.Sync(); err != nil {
		return err
	}
	if int64(len(dst)) != t.Bytes() {
		return fmt.Errorf("read %d bytes from %v, which has %d", len(dst), t, t.Bytes())
	}
	if len(dst) == 0 {
		return nil
	}
	if t.OnHost() {
		copy(dst, hostBytes(t))
		return nil
	}
	return d.context.read(dst, t.Address())
}

// Stream returns the stream of the device's work, a cudaStream_t, for a library that
// enqueues work of its own, and makes the GPU the calling thread's: lock the thread before.
// The emulator, which enqueues nothing, has none.
func (d *Device) Stream() (unsafe.Pointer, error) { return d.context.stream() }

// AfterSync sets what Sync asks after all enqueued work is done: whether the work of the
// library that Stream was given to has failed.
func (d *Device) AfterSync(failed func() error) { d.synced = failed }

// Sync waits for all enqueued work and returns the first error since the last Sync.
func (d *Device) Sync() error {
	d.known.forget() // what failed is forgotten by the device, too
	d.fail(d.context.sync())
	if d.synced != nil {
		d.fail(d.synced())
	}
	err := d.err
	d.err = nil
	return err
}

func (d *Device) fail(err error) {
	if d.graphs.capturing {
		d.graphs.err = cmp.Or(d.graphs.err, err)
		return
	}
	if d.err == nil {
		d.err = err
	}
}

// Run enqueues op if it passes its check and its scratch is allocated. Sync reports its
// error.
func (d *Device) Run(op bindings.Operation) {
	if err := bindings.Check(op); err != nil {
		d.fail(err)
		return
	}
	if err := table.Run(d, d.info.Name, op); err != nil {
		d.fail(err)
	}
}

// compose launches the kernels of an operation. It stops at the first error and keeps it.
func (d *Device) compose(op bindings.Operation, needs func() bindings.Needs, compose func(*composer)) {
	name := op.Name()
	d.room.reset()
	if d.staging.base != nil {
		d.fail(d.staging.release(d.context))
	}
	if d.emulated && !d.dry && !d.graphs.checking {
		needs := needs()
		if !d.holds(name, needs) {
			return
		}
		d.fail(d.context.allow(d.allowed(op, needs)))
	}
	d.running, d.broken = name, false
	c := &d.composer
	*c = composer{
		scratch: scratchIn(d.workspace),
		logits:  scratchIn(d.loss),
		decoded: d.decoded,
		gpu:     d.gpu,
		maps:    d.maps,
		known:   &d.known,
		chunks:  d.chunks,
		room:    d.room,
		launch:  c.launch,
	}
	compose(c)
	if c.short() {
		d.holds(name, needs())
	}
}

// launchNext launches a kernel of the operation that runs, unless one before has failed.
func (d *Device) launchNext(work any) {
	if d.broken {
		return
	}
	if err := d.launch(d.running, work); err != nil {
		d.broken = true
		d.fail(err)
	}
}

// holds reports whether the planned scratch is enough for an operation, and keeps an error
// otherwise.
func (d *Device) holds(name string, needs bindings.Needs) bool {
	if needs.Workspace > d.workspace.Bytes() {
		d.fail(fmt.Errorf("%s needs %d bytes of scratch, but the plan has %d", name, needs.Workspace, d.workspace.Bytes()))
		return false
	}
	if needs.Loss > d.loss.Bytes() {
		d.fail(fmt.Errorf("%s needs %d bytes for logits, but the plan has %d", name, needs.Loss, d.loss.Bytes()))
		return false
	}
	return true
}

// launch enqueues one kernel or memory operation.
func (d *Device) launch(name string, work any) error {
	switch s := &d.graphs; {
	case s.checking:
		return s.compare(name, work)
	case s.capturing && d.emulated && !d.dry:
		s.record = append(s.record, reflect.ValueOf(work).Elem().Interface())
	default:
		s.count(work)
	}
	switch w := work.(type) {
	case *clearing:
		return d.context.zero(w.at, w.bytes)
	case *moving:
		return d.context.move(w.to, w.from, w.bytes)
	case *transfer:
		return d.context.transfer(w)
	case *waiting:
		return d.context.await(w.event)
	}
	return d.context.launch(name, work)
}

// allowed returns the memory that an operation's kernels may access: its operands, scratch
// and tables.
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

// A staging is memory that is allocated while loading a model and freed afterwards.
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

// offset returns the address of the i-th element after p.
func offset[T any](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), i*int(unsafe.Sizeof(*p))))
}

// floats returns x's bytes.
func floats(x []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
}
