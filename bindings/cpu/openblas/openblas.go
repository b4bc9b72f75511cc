// Package openblas calls the matrix product of an OpenBLAS loaded at run time by dlopen:
// nothing is linked, and machines without OpenBLAS only lose speed. OpenBLAS runs on the
// calling thread; callers divide the work.
package openblas

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

// OpenBLAS's CBLAS with 32-bit integers (scipy's build prefixes names with scipy_).
typedef void (*sgemm_func)(int order, int transA, int transB, int m, int n, int k,
	float alpha, const float *a, int lda, const float *b, int ldb,
	float beta, float *c, int ldc);

static void call_sgemm(void *f, int transA, int transB, int m, int n, int k,
	float alpha, const float *a, int lda, const float *b, int ldb,
	float beta, float *c, int ldc) {
	((sgemm_func)f)(101, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static void call_set_threads(void *f, int n) { ((void (*)(int))f)(n); }
static const char *call_string(void *f) { return ((const char *(*)(void))f)(); }

// A library that starts with one thread never starts others.
static void *open_single(const char *path) {
	setenv("OPENBLAS_NUM_THREADS", "1", 1);
	return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}
*/
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// A Library is an OpenBLAS with gonum's interface: Sgemm is OpenBLAS's, everything else
// gonum's. It is never unloaded.
type Library struct {
	gonum.Implementation
	sgemm unsafe.Pointer
	path  string
	core  string // the kernels it chose, "Haswell"
	build string // its version and options
}

var _ blas.Float32 = (*Library)(nil)

// Open loads the library at path; dlopen searches for a bare name. It returns dlopen's
// error, or one for a library without the required functions.
func Open(path string) (*Library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	// dlerror speaks of the thread that called dlopen.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle := C.open_single(name)
	if handle == nil {
		return nil, fmt.Errorf("%s", C.GoString(C.dlerror()))
	}
	for _, prefix := range []string{"", "scipy_"} {
		l := &Library{path: path, sgemm: symbol(handle, prefix+"cblas_sgemm")}
		threads := symbol(handle, prefix+"openblas_set_num_threads")
		if l.sgemm == nil || threads == nil {
			continue
		}
		C.call_set_threads(threads, 1)
		if f := symbol(handle, prefix+"openblas_get_corename"); f != nil {
			l.core = C.GoString(C.call_string(f))
		}
		if f := symbol(handle, prefix+"openblas_get_config"); f != nil {
			l.build = C.GoString(C.call_string(f))
		}
		return l, nil
	}
	C.dlclose(handle)
	return nil, fmt.Errorf("%s has no cblas_sgemm and openblas_set_num_threads with 32-bit integers; use another OpenBLAS", path)
}

func symbol(handle unsafe.Pointer, name string) unsafe.Pointer {
	s := C.CString(name)
	defer C.free(unsafe.Pointer(s))
	return C.dlsym(handle, s)
}

// Path returns the path of the library.
func (l *Library) Path() string { return l.path }

// Core returns the family of kernels that OpenBLAS chose for this processor.
func (l *Library) Core() string { return l.core }

// Build returns OpenBLAS's description of its version and options.
func (l *Library) Build() string { return l.build }

// Sgemm computes C = alpha·op(A)·op(B) + beta·C for row-major matrices, as specified by
// [blas.Float32Level3].
func (l *Library) Sgemm(tA, tB blas.Transpose, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int) {
	if m == 0 || n == 0 {
		return
	}
	aRows, aCols := m, k
	if tA != blas.NoTrans {
		aRows, aCols = k, m
	}
	bRows, bCols := k, n
	if tB != blas.NoTrans {
		bRows, bCols = n, k
	}
	check("A", aRows, aCols, lda, len(a))
	check("B", bRows, bCols, ldb, len(b))
	check("C", m, n, ldc, len(c))
	C.call_sgemm(l.sgemm, transpose(tA), transpose(tB), C.int(m), C.int(n), C.int(k),
		C.float(alpha), pointer(a), C.int(lda), pointer(b), C.int(ldb),
		C.float(beta), pointer(c), C.int(ldc))
}

// check panics, as gonum does, if a call would exceed its slice.
func check(name string, rows, cols, stride, n int) {
	if stride < max(1, cols) || rows > 0 && n < (rows-1)*stride+cols {
		panic(fmt.Sprintf("openblas: %s is [%d, %d] with stride %d in %d elements", name, rows, cols, stride, n))
	}
}

func pointer(s []float32) *C.float { return (*C.float)(unsafe.Pointer(unsafe.SliceData(s))) }

// transpose returns CBLAS's constant: CblasNoTrans 111, CblasTrans 112.
func transpose(t blas.Transpose) C.int {
	if t == blas.NoTrans {
		return 111
	}
	return 112
}
