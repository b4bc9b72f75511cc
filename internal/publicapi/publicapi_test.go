// Package publicapi checks that the exported signatures of the module's public packages
// use only types that a program outside of the module can name.
package publicapi

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "qlora"

// compiled returns the module's packages that another module may import, and the
// compiler's export data of these and of all that they import.
func compiled(t *testing.T) (public []string, imports types.Importer) {
	t.Helper()
	list := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Name}}\t{{.Export}}", module+"/...")
	list.Stderr = os.Stderr
	out, err := list.Output()
	require.NoError(t, err)
	data := map[string]string{}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		f := strings.Split(s.Text(), "\t")
		require.Len(t, f, 3, s.Text())
		data[f[0]] = f[2]
		if f[1] != "main" && f[2] != "" && strings.HasPrefix(f[0], module+"/") && !isInternal(f[0]) {
			public = append(public, f[0])
		}
	}
	// The packages of a program are no library, though their folders could be imported.
	public = slices.DeleteFunc(public, func(path string) bool {
		return strings.HasPrefix(path, module+"/demo/") || strings.HasPrefix(path, module+"/bench")
	})
	return public, importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(data[path]) })
}

func isInternal(path string) bool { return slices.Contains(strings.Split(path, "/"), "internal") }

func TestNoInternalTypeInAPublicSignature(t *testing.T) {
	public, imports := compiled(t)
	for _, path := range []string{"bindings", "checkpoint", "lora", "nn", "trainer"} {
		require.Contains(t, public, module+"/"+path)
	}
	for _, path := range public {
		pkg, err := imports.Import(path)
		require.NoError(t, err)
		for _, found := range internalTypes(pkg) {
			assert.Fail(t, "a public signature shows an internal type", found)
		}
	}
}

// TestInternalTypesAreFound plants internal types wherever a signature can expose them.
func TestInternalTypesAreFound(t *testing.T) {
	_, imports := compiled(t)
	for source, want := range map[string]string{
		`var F func(map[string][]*safetensors.File)`:                            "x.F",
		`var F func() (func(chan safetensors.DType), error)`:                    "x.F",
		`func F[T interface{ ~[]byte; M(safetensors.DType) }](T) {}`:            "x.F.M",
		`type T struct{ A struct{ B [2]safetensors.DType } }`:                   "x.T.A.B",
		`type T struct{ *safetensors.File }`:                                    "x.T.File",
		`type T struct{ h }; type h struct{ B safetensors.DType }`:              "x.T.h.B",
		`type T int; func (*T) M(...safetensors.DType) {}`:                      "x.T.M",
		`type T interface{ M() safetensors.DType }`:                             "x.T.M",
		`type T = safetensors.File`:                                             "x.T",
		`type h int; func (h) M(safetensors.DType) {}; var F func() h`:          "x.F.M",
		`var V = safetensors.F32`:                                               "x.V",
		`const C = safetensors.F32`:                                             "x.C",
		`type T struct{ a safetensors.DType }; func (T) m(safetensors.File) {}`: "",
	} {
		source = `package x; import "qlora/internal/safetensors"; ` + source
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", source, 0)
		require.NoError(t, err, source)
		pkg, err := (&types.Config{Importer: imports}).Check("qlora/x", fset, []*ast.File{file}, nil)
		require.NoError(t, err, source)
		found := internalTypes(pkg)
		if want == "" {
			assert.Empty(t, found, source)
			continue
		}
		if assert.NotEmpty(t, found, source) {
			assert.True(t, strings.HasPrefix(found[0], "qlora/"+want+": qlora/internal/safetensors."), "%s: %s", source, found[0])
		}
	}
}

// internalTypes lists where the exported names of pkg expose internal types.
func internalTypes(pkg *types.Package) []string {
	w := walker{seen: map[types.Type]bool{}}
	for _, name := range pkg.Scope().Names() {
		o := pkg.Scope().Lookup(name)
		if !o.Exported() {
			continue
		}
		at := pkg.Path() + "." + name
		if named, ok := o.Type().(*types.Named); ok && named.Obj() == o {
			w.defined(at, named)
			continue
		}
		w.walk(at, o.Type())
	}
	return w.found
}

// A walker visits everything that a type exposes.
type walker struct {
	seen  map[types.Type]bool
	found []string
}

// defined visits a defined type's underlying type and its methods.
func (w *walker) defined(at string, t *types.Named) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	w.parameters(at, t.TypeParams())
	w.walk(at, t.Underlying())
	for m := range t.Methods() {
		if m.Exported() {
			w.walk(at+"."+m.Name(), m.Type())
		}
	}
}

func (w *walker) parameters(at string, list *types.TypeParamList) {
	for p := range list.TypeParams() {
		w.walk(at, p.Constraint())
	}
}

func (w *walker) walk(at string, t types.Type) {
	switch t := t.(type) {
	case *types.Alias:
		w.walk(at, types.Unalias(t))
	case *types.Named:
		o := t.Obj()
		for a := range t.TypeArgs().Types() {
			w.walk(at, a)
		}
		switch {
		case o.Pkg() == nil || !strings.HasPrefix(o.Pkg().Path(), module+"/"):
		case isInternal(o.Pkg().Path()):
			w.found = append(w.found, fmt.Sprintf("%s: %s", at, t))
		case !o.Exported():
			w.defined(at, t) // the alias cannot be named, but its members can be used
		}
	case *types.Pointer:
		w.walk(at, t.Elem())
	case *types.Slice:
		w.walk(at, t.Elem())
	case *types.Array:
		w.walk(at, t.Elem())
	case *types.Chan:
		w.walk(at, t.Elem())
	case *types.Map:
		w.walk(at, t.Key())
		w.walk(at, t.Elem())
	case *types.Signature:
		w.parameters(at, t.TypeParams())
		for v := range t.Params().Variables() {
			w.walk(at, v.Type())
		}
		for v := range t.Results().Variables() {
			w.walk(at, v.Type())
		}
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() {
				w.walk(at+"."+f.Name(), f.Type())
			}
		}
	case *types.Interface:
		for m := range t.ExplicitMethods() {
			if m.Exported() {
				w.walk(at+"."+m.Name(), m.Type())
			}
		}
		for e := range t.EmbeddedTypes() {
			w.walk(at, e)
		}
	case *types.Union:
		for term := range t.Terms() {
			w.walk(at, term.Type())
		}
	}
}
