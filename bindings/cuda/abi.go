package cuda

/*
#cgo CFLAGS: -I${SRCDIR}/../../cuda/include
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

#include "qlora.h"

// Go's build cache does not see the header: a new version must change this file.
_Static_assert(QLORA_ABI == 22, "write the version of qlora.h here");

// Go cannot call a C function pointer: each function of the table has a caller here.
static const qlora_api *call_get_api(void *f) { return ((const qlora_api *(*)(uint32_t))f)(QLORA_ABI); }

static int call_open(const qlora_api *t, int device, const qlora_options *o, qlora_context **c) { return t->open(device, o, c); }
static void call_close(const qlora_api *t, qlora_context *c) { t->close(c); }
static const char *call_error(const qlora_api *t, qlora_context *c) { return t->error(c); }
static int call_info(const qlora_api *t, qlora_context *c, qlora_info *i) { return t->info(c, i); }
static int call_allocate(const qlora_api *t, qlora_context *c, int64_t n, void **p) { return t->allocate(c, n, p); }
static int call_release(const qlora_api *t, qlora_context *c, void *p) { return t->release(c, p); }
static int call_write(const qlora_api *t, qlora_context *c, void *to, const void *from, int64_t n) { return t->write(c, to, from, n); }
static int call_read(const qlora_api *t, qlora_context *c, void *to, const void *from, int64_t n) { return t->read(c, to, from, n); }
static int call_zero(const qlora_api *t, qlora_context *c, void *p, int64_t n) { return t->zero(c, p, n); }
static int call_move(const qlora_api *t, qlora_context *c, void *to, const void *from, int64_t n) { return t->move(c, to, from, n); }
static int call_sync(const qlora_api *t, qlora_context *c) { return t->sync(c); }
static int call_mark(const qlora_api *t, qlora_context *c, int which) { return t->mark(c, which); }
static int call_elapsed(const qlora_api *t, qlora_context *c, float *ms) { return t->elapsed(c, ms); }
static int call_stream(const qlora_api *t, qlora_context *c, void **s) { return t->stream(c, s); }
static int call_allocate_host(const qlora_api *t, qlora_context *c, int64_t n, void **p) { return t->allocate_host(c, n, p); }
static int call_release_host(const qlora_api *t, qlora_context *c, void *p) { return t->release_host(c, p); }
static int call_transfer(const qlora_api *t, qlora_context *c, const qlora_transfer *op) { return t->transfer(c, op); }
static int call_await(const qlora_api *t, qlora_context *c, int32_t event) { return t->await(c, event); }
static int call_aside(const qlora_api *t, qlora_context *c, void *dst, int64_t n, void **s, void **to) { return t->aside(c, dst, n, s, to); }
static int call_fetch(const qlora_api *t, qlora_context *c, qlora_context *from, void *to, const void *src, int64_t n) { return t->fetch(c, from, to, src, n); }
static int call_arriving(const qlora_api *t, qlora_context *c, int32_t event) { return t->arriving(c, event); }
static int call_capture(const qlora_api *t, qlora_context *c) { return t->capture(c); }
static int call_captured(const qlora_api *t, qlora_context *c, void **g, int64_t *n) { return t->captured(c, g, n); }
static int call_replay(const qlora_api *t, qlora_context *c, void *g) { return t->replay(c, g); }
static int call_drop(const qlora_api *t, qlora_context *c, void *g) { return t->drop(c, g); }
static int call_extents(const qlora_api *t, qlora_context *c, const qlora_extent *list, int32_t n) { return t->extents(c, list, n); }
static int call_schedule(const qlora_api *t, qlora_context *c, uint64_t seed) { return t->schedule(c, seed); }

static const qlora_kernel *call_kernel(const qlora_api *t, int n) { return t->kernel(n); }
static int call_counts(const qlora_api *t, qlora_context *c, int n, qlora_counts *to) { return t->counts(c, n, to); }

#define KERNEL(name, type) \
	static int call_##name(const qlora_api *t, qlora_context *c, const qlora_##type *op) { return t->name(c, op); }
KERNEL(gemm, gemm)
KERNEL(gemm_parts, gemm_parts)
KERNEL(gemv, gemv)
KERNEL(pull_parts, pull_parts)
KERNEL(decode, decode)
KERNEL(decode_parts, decode_parts)
KERNEL(quantize, quantize)
KERNEL(nest, nest)
KERNEL(row_norms, row_norms)
KERNEL(check_range, check_range)
KERNEL(embed, embed)
KERNEL(embed_backward, embed_backward)
KERNEL(norm, norm)
KERNEL(norm_backward, norm_backward)
KERNEL(rope, rope)
KERNEL(extend, extend)
KERNEL(activate, activate)
KERNEL(activate_backward, activate_backward)
KERNEL(add, add)
KERNEL(clamp, clamp)
KERNEL(attend, attend)
KERNEL(attend_decode, attend)
KERNEL(attend_backward, attend_backward)
KERNEL(cross_entropy, cross_entropy)
KERNEL(loss_stats, loss_stats)
KERNEL(log_probs, log_probs)
KERNEL(preference, preference)
KERNEL(policy, policy)
KERNEL(scale_columns, scale_columns)
KERNEL(sum_rows, sum_rows)
KERNEL(scale_rows, scale_rows)
KERNEL(gather, gather)
KERNEL(copy, copy)
KERNEL(fixed_point, fixed_point)
KERNEL(grad_norm, grad_norm)
KERNEL(optimize, optimize)
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// The structs of qlora.h.
type (
	tensor  = C.qlora_tensor
	weight  = C.qlora_weight
	mask    = C.qlora_mask
	param   = C.qlora_param
	float   = C.float
	i32     = C.int32_t
	i64     = C.int64_t
	u8      = C.uint8_t
	u32     = C.uint32_t
	u64     = C.uint64_t
	product = C.qlora_gemm // for gemm and gemv

	gemm             product
	products         = C.qlora_gemm_parts
	gemv             product
	pull             = C.qlora_pull
	pulls            = C.qlora_pull_parts
	decode           = C.qlora_decode
	decodes          = C.qlora_decode_parts
	quantize         = C.qlora_quantize
	nest             = C.qlora_nest
	rowNorms         = C.qlora_row_norms
	checkRange       = C.qlora_check_range
	embed            = C.qlora_embed
	embedBackward    = C.qlora_embed_backward
	norm             = C.qlora_norm
	normBackward     = C.qlora_norm_backward
	rope             = C.qlora_rope
	extend           = C.qlora_extend
	headNorm         = C.qlora_head_norm
	nextNorm         = C.qlora_next_norm
	angles           = C.qlora_angles
	gate             = C.qlora_gate
	gated            = C.qlora_gated
	activate         = C.qlora_activate
	activateBackward = C.qlora_activate_backward
	add              = C.qlora_add
	clamp            = C.qlora_clamp
	attention        = C.qlora_attend // for attend and attendDecode
	attend           attention
	attendDecode     attention
	attendBackward   = C.qlora_attend_backward
	crossEntropy     = C.qlora_cross_entropy
	lossStats        = C.qlora_loss_stats
	logProbs         = C.qlora_log_probs
	preference       = C.qlora_preference
	policy           = C.qlora_policy
	scaleColumns     = C.qlora_scale_columns
	sumRows          = C.qlora_sum_rows
	scaleRows        = C.qlora_scale_rows
	gather           = C.qlora_gather
	convert          = C.qlora_copy
	fixedPoint       = C.qlora_fixed_point
	gradNorm         = C.qlora_grad_norm
	optimize         = C.qlora_optimize
	transfer         = C.qlora_transfer
)

// The constants of qlora.h.
const (
	abiVersion = C.QLORA_ABI

	lastLoss = C.QLORA_LOSS_SMOOTHED
	stats    = C.QLORA_STATS
	maxTerms = C.QLORA_MAX_TERMS

	lastPolicyLoss = C.QLORA_POLICY_VESPO
	policyStats    = C.QLORA_POLICY_STATS

	mostParts = C.QLORA_PARTS

	layoutNT = C.QLORA_NT
	layoutNN = C.QLORA_NN
	layoutTN = C.QLORA_TN

	maskA         = C.QLORA_MASK_A
	maskB         = C.QLORA_MASK_B
	maskExtension = C.QLORA_MASK_EXTENSION
	maskResult    = C.QLORA_MASK_RESULT

	ruleAdamW = C.QLORA_ADAMW
	ruleLion  = C.QLORA_LION
	ruleSGD   = C.QLORA_SGD

	events = C.QLORA_EVENTS

	stepFold   = C.QLORA_FOLD
	stepUnfold = C.QLORA_UNFOLD
	stepRound  = C.QLORA_ROUND

	// paramPiece is the number of elements of a parameter per block.
	paramPiece = C.QLORA_PIECE
	paramBytes = C.sizeof_qlora_param
)

// A library is an opened shared library and its table of functions.
type library struct {
	path  string
	build string
	table *C.qlora_api
}

// load opens the library at path; dlopen searches for a bare name. The library is never
// unloaded.
func load(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	// dlerror speaks of the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, errors.New(strings.TrimPrefix(C.GoString(C.dlerror()), path+": "))
	}
	symbol := C.CString("qlora_get_api")
	defer C.free(unsafe.Pointer(symbol))
	get := C.dlsym(handle, symbol)
	if get == nil {
		C.dlclose(handle)
		return nil, errors.New("it has no qlora_get_api, so it is not a library of qlora's kernels")
	}
	table := C.call_get_api(get)
	if table == nil {
		C.dlclose(handle)
		return nil, fmt.Errorf("it was built for another version of qlora; this program needs interface %d", abiVersion)
	}
	return &library{path: path, build: C.GoString(table.build), table: table}, nil
}

// A context is a library's handle of one device.
type context struct {
	*library
	handle *C.qlora_context
}

// open opens a device. The caller must lock the thread, because the text of an error is
// per thread.
func (l *library) open(o Options) (context, error) {
	handle := new(*C.qlora_context)
	variant := C.CString(o.Variant)
	defer C.free(unsafe.Pointer(variant))
	options := &C.qlora_options{variant: variant, processors: i32(o.Processors), compute: i32(o.Compute), counting: flag(o.Counting), dry: flag(o.Dry)}
	code := C.call_open(l.table, C.int(o.Number), options, handle)
	c := context{library: l, handle: *handle}
	return c, c.failed("open", code)
}

// failed returns the error of a call that returned code.
func (c context) failed(op string, code C.int) error {
	if code == C.QLORA_OK {
		return nil
	}
	return &Error{Op: op, Code: Code(code), Text: C.GoString(C.call_error(c.table, c.handle))}
}

func (c context) close() { C.call_close(c.table, c.handle) }

// properties describes the device.
type properties struct {
	name, version   string
	busID           string
	compute         int
	processors      int
	memory, free    int64
	sharedBytes, l2 int64
}

func (c context) properties() (properties, error) {
	var i C.qlora_info
	err := c.failed("info", C.call_info(c.table, c.handle, &i))
	return properties{
		name: C.GoString(&i.name[0]), busID: C.GoString(&i.bus_id[0]), version: C.GoString(&i.version[0]), compute: int(i.compute), processors: int(i.processors),
		memory: int64(i.memory_bytes), free: int64(i.free_bytes), sharedBytes: int64(i.shared_bytes), l2: int64(i.l2_bytes),
	}, err
}

func (c context) allocate(bytes int64) (unsafe.Pointer, error) {
	p := new(unsafe.Pointer)
	err := c.failed("allocate", C.call_allocate(c.table, c.handle, C.int64_t(bytes), p))
	return *p, err
}

func (c context) release(p unsafe.Pointer) error {
	return c.failed("release", C.call_release(c.table, c.handle, p))
}

func (c context) write(to unsafe.Pointer, from []byte) error {
	return c.failed("write", C.call_write(c.table, c.handle, to, unsafe.Pointer(unsafe.SliceData(from)), C.int64_t(len(from))))
}

func (c context) read(to []byte, from unsafe.Pointer) error {
	return c.failed("read", C.call_read(c.table, c.handle, unsafe.Pointer(unsafe.SliceData(to)), from, C.int64_t(len(to))))
}

func (c context) zero(p unsafe.Pointer, bytes int64) error {
	return c.failed("zero", C.call_zero(c.table, c.handle, p, C.int64_t(bytes)))
}

func (c context) move(to, from unsafe.Pointer, bytes int64) error {
	return c.failed("copy", C.call_move(c.table, c.handle, to, from, C.int64_t(bytes)))
}

func (c context) sync() error { return c.failed("", C.call_sync(c.table, c.handle)) }

// mark enqueues the recording of time 0 or 1.
func (c context) mark(which int) error {
	return c.failed("mark", C.call_mark(c.table, c.handle, C.int(which)))
}

// elapsed waits for mark 1 and returns the milliseconds since mark 0.
func (c context) elapsed() (float64, error) {
	ms := new(float)
	err := c.failed("elapsed", C.call_elapsed(c.table, c.handle, ms))
	return float64(*ms), err
}

// stream returns the stream and makes the device the calling thread's.
func (c context) stream() (unsafe.Pointer, error) {
	s := new(unsafe.Pointer)
	err := c.failed("stream", C.call_stream(c.table, c.handle, s))
	return *s, err
}

// allocateHost returns zeroed pinned memory of the host.
func (c context) allocateHost(bytes int64) (unsafe.Pointer, error) {
	p := new(unsafe.Pointer)
	err := c.failed("allocate", C.call_allocate_host(c.table, c.handle, C.int64_t(bytes), p))
	return *p, err
}

func (c context) releaseHost(p unsafe.Pointer) error {
	return c.failed("release", C.call_release_host(c.table, c.handle, p))
}

// transfer enqueues a copy between the host and the device on the second stream.
func (c context) transfer(op *transfer) error {
	return c.failed("transfer", C.call_transfer(c.table, c.handle, op))
}

// await makes later work wait for the transfers of an event.
func (c context) await(event int) error {
	return c.failed("await", C.call_await(c.table, c.handle, C.int32_t(event)))
}

// aside returns where n bytes for dst are to be written, by work in another stream.
func (c context) aside(dst unsafe.Pointer, n int64) (stream, to unsafe.Pointer, err error) {
	s, at := new(unsafe.Pointer), new(unsafe.Pointer)
	err = c.failed("aside", C.call_aside(c.table, c.handle, dst, C.int64_t(n), s, at))
	return *s, *at, err
}

// fetch enqueues a copy from another context there.
func (c context) fetch(from context, to, src unsafe.Pointer, n int64) error {
	return c.failed("fetch", C.call_fetch(c.table, c.handle, from.handle, to, src, C.int64_t(n)))
}

// arriving lets an event stand for what was enqueued there.
func (c context) arriving(event int) error {
	return c.failed("arriving", C.call_arriving(c.table, c.handle, C.int32_t(event)))
}

// capture makes the context record what it is given to launch, until captured.
func (c context) capture() error { return c.failed("graph", C.call_capture(c.table, c.handle)) }

// captured returns what was recorded as a graph, and its bytes of device memory.
func (c context) captured() (graph unsafe.Pointer, bytes int64, err error) {
	g, n := new(unsafe.Pointer), new(i64)
	err = c.failed("graph", C.call_captured(c.table, c.handle, g, n))
	return *g, int64(*n), err
}

// replay enqueues a graph's work.
func (c context) replay(graph unsafe.Pointer) error {
	return c.failed("graph", C.call_replay(c.table, c.handle, graph))
}

// drop frees a graph.
func (c context) drop(graph unsafe.Pointer) error {
	return c.failed("graph", C.call_drop(c.table, c.handle, graph))
}

func (c context) schedule(seed uint64) error {
	return c.failed("schedule", C.call_schedule(c.table, c.handle, C.uint64_t(seed)))
}

// allow sets the memory that kernels may access from now on.
func (c context) allow(list []extent) error {
	if len(list) == 0 {
		return nil
	}
	all := make([]C.qlora_extent, len(list))
	for i, e := range list {
		all[i] = C.qlora_extent{
			data: e.data, bytes: i64(e.bytes), stride: i64(e.stride), span: i64(e.span),
			period: i64(e.period), width: i64(e.width), name: C.CString(e.name),
		}
		defer C.free(unsafe.Pointer(all[i].name))
	}
	return c.failed("extents", C.call_extents(c.table, c.handle, &all[0], C.int32_t(len(all))))
}

// counts returns the counts of all kernels.
func (c context) counts() ([]Counts, error) {
	var all []Counts
	for n := C.int(0); ; n++ {
		k := C.call_kernel(c.table, n)
		if k == nil {
			return all, nil
		}
		var of C.qlora_counts
		if err := c.failed("counts", C.call_counts(c.table, c.handle, n, &of)); err != nil {
			return nil, err
		}
		all = append(all, Counts{
			Kernel: C.GoString(k.name), Launches: int64(of.launches),
			SharedAccesses: int64(of.shared_accesses), Wavefronts: int64(of.wavefronts), LeastWavefronts: int64(of.least_wavefronts),
			GlobalAccesses: int64(of.global_accesses), SectorsRead: int64(of.sectors_read), SectorsWritten: int64(of.sectors_written), LeastSectors: int64(of.least_sectors),
		})
	}
}

// launch enqueues a kernel: op is a pointer to its struct.
func (c context) launch(name string, op any) error {
	var code C.int
	t, h := c.table, c.handle
	switch op := op.(type) {
	case *gemm:
		code = C.call_gemm(t, h, (*product)(op))
	case *products:
		code = C.call_gemm_parts(t, h, op)
	case *gemv:
		code = C.call_gemv(t, h, (*product)(op))
	case *pulls:
		code = C.call_pull_parts(t, h, op)
	case *decode:
		code = C.call_decode(t, h, op)
	case *decodes:
		code = C.call_decode_parts(t, h, op)
	case *quantize:
		code = C.call_quantize(t, h, op)
	case *nest:
		code = C.call_nest(t, h, op)
	case *rowNorms:
		code = C.call_row_norms(t, h, op)
	case *checkRange:
		code = C.call_check_range(t, h, op)
	case *embed:
		code = C.call_embed(t, h, op)
	case *embedBackward:
		code = C.call_embed_backward(t, h, op)
	case *norm:
		code = C.call_norm(t, h, op)
	case *normBackward:
		code = C.call_norm_backward(t, h, op)
	case *rope:
		code = C.call_rope(t, h, op)
	case *extend:
		code = C.call_extend(t, h, op)
	case *activate:
		code = C.call_activate(t, h, op)
	case *activateBackward:
		code = C.call_activate_backward(t, h, op)
	case *add:
		code = C.call_add(t, h, op)
	case *clamp:
		code = C.call_clamp(t, h, op)
	case *attend:
		code = C.call_attend(t, h, (*attention)(op))
	case *attendDecode:
		code = C.call_attend_decode(t, h, (*attention)(op))
	case *attendBackward:
		code = C.call_attend_backward(t, h, op)
	case *crossEntropy:
		code = C.call_cross_entropy(t, h, op)
	case *lossStats:
		code = C.call_loss_stats(t, h, op)
	case *logProbs:
		code = C.call_log_probs(t, h, op)
	case *preference:
		code = C.call_preference(t, h, op)
	case *policy:
		code = C.call_policy(t, h, op)
	case *scaleColumns:
		code = C.call_scale_columns(t, h, op)
	case *sumRows:
		code = C.call_sum_rows(t, h, op)
	case *scaleRows:
		code = C.call_scale_rows(t, h, op)
	case *gather:
		code = C.call_gather(t, h, op)
	case *convert:
		code = C.call_copy(t, h, op)
	case *fixedPoint:
		code = C.call_fixed_point(t, h, op)
	case *gradNorm:
		code = C.call_grad_norm(t, h, op)
	case *optimize:
		code = C.call_optimize(t, h, op)
	default:
		panic(fmt.Sprintf("cuda: %T is not a kernel", op))
	}
	return c.failed(name, code)
}

// text returns a C string that is never freed, for texts the library keeps.
func text(s string) *C.char { return C.CString(s) }
