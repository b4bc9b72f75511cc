package dataset

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"

	"qlora/internal/atomicfile"
	"qlora/tokenizer"
)

// cacheEnding is the extension of a cached set's file name.
const cacheEnding = ".tokens"

// A Cache stores sets from Load in a folder, under a hash of all inputs: the files, the
// tokenizer, the options and the program. Entries are therefore never out of date.
//
// Load writes nothing; Save writes once the run is known to be valid.
type Cache struct {
	dir  string
	open func(path string) (*Set, error)
	sets map[string]*Set // sets of this run by key; nil if the file exists
}

// NewCache returns the cache in a folder, which need not exist.
func NewCache(dir string) *Cache { return &Cache{dir: dir, open: readSet, sets: map[string]*Set{}} }

// SharedCache returns the cache in a folder that another process of this machine has
// filled with Share. What Load returns of it is memory that the processes share.
func SharedCache(dir string) *Cache { return &Cache{dir: dir, open: mapSet, sets: map[string]*Set{}} }

// Load returns the same set as the function Load, from the cache if it has one: then
// path is the cached file. damaged says why an existing cached file cannot be used.
func (c *Cache) Load(paths []string, tok *tokenizer.Tokenizer, opt Options, progress func(Progress) error) (set *Set, path string, damaged, err error) {
	key, keyErr := cacheKey(paths, tok, opt)
	if keyErr != nil { // Load returns the error
		set, err = Load(paths, tok, opt, progress)
		return set, "", nil, err
	}
	path = filepath.Join(c.dir, key+cacheEnding)
	set, damaged = c.open(path)
	if damaged == nil {
		c.sets[key] = nil
		return set, path, nil, nil
	}
	if errors.Is(damaged, os.ErrNotExist) {
		damaged = nil
	}
	if set, err = Load(paths, tok, opt, progress); err != nil {
		return nil, "", damaged, err
	}
	// A file that changed while it was read does not match the key.
	if again, err := cacheKey(paths, tok, opt); err == nil && again == key {
		c.sets[key] = set
	}
	return set, "", damaged, nil
}

// Save writes the loaded sets that are not cached yet, each atomically, and removes
// those that this run does not use. It creates the folder.
func (c *Cache) Save() error {
	if len(c.sets) == 0 {
		return nil
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	atomicfile.Clean(c.dir)
	for key, set := range c.sets {
		if set == nil {
			continue
		}
		err := atomicfile.Write(filepath.Join(c.dir, key+cacheEnding), 0o644, func(w io.Writer) error { return writeSet(w, set) })
		if err != nil {
			return err
		}
		c.sets[key] = nil
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		key, ours := strings.CutSuffix(e.Name(), cacheEnding)
		if _, used := c.sets[key]; ours && !used {
			if err := os.Remove(filepath.Join(c.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Share puts the sets of this run into a folder, for a SharedCache.
func (c *Cache) Share(dir string) error {
	for key, set := range c.sets {
		to := filepath.Join(dir, key+cacheEnding)
		if set == nil {
			from, err := filepath.Abs(filepath.Join(c.dir, key+cacheEnding))
			if err != nil {
				return err
			}
			if err := os.Symlink(from, to); err != nil {
				return err
			}
			continue
		}
		if err := atomicfile.Write(to, 0o600, func(w io.Writer) error { return writeSet(w, set) }); err != nil {
			return err
		}
	}
	return nil
}

// cacheKey returns a hash of all inputs of Load.
func cacheKey(paths []string, tok *tokenizer.Tokenizer, opt Options) (string, error) {
	sources, err := findSources(paths, opt.purpose())
	if err != nil {
		return "", err
	}
	h := sha256.New()
	program, err := programSum()
	if err != nil {
		return "", err
	}
	h.Write(program)
	if tok != nil {
		sum := tok.Sum()
		h.Write(sum[:])
	}
	if err := hashValue(h, reflect.ValueOf(opt)); err != nil {
		return "", err
	}
	fmt.Fprintf(h, "%q", chatIdentity(opt))
	for _, s := range sources {
		fmt.Fprintf(h, "\n%q %q %q\n", s.name, s.skipped, s.splits)
		for _, file := range s.files {
			if err := hashFile(h, file); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// programSum returns a hash of the program: another build may read files differently.
var programSum = sync.OnceValues(func() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	err = hashFile(h, path)
	return h.Sum(nil), err
})

// hashFile adds a file's name and content to h.
func hashFile(h hash.Hash, path string) error {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	content := sha256.New()
	if _, err := io.Copy(content, f); err != nil {
		return err
	}
	fmt.Fprintf(h, "%q %x\n", path, content.Sum(nil))
	return nil
}

// hashValue adds an option's value, or the fields of a struct, to h. It returns an error
// for a type that it cannot hash.
func hashValue(h hash.Hash, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fmt.Fprintf(h, "%q: ", v.Type().Field(i).Name)
			if err := hashValue(h, v.Field(i)); err != nil {
				return fmt.Errorf("%s: %w", v.Type().Field(i).Name, err)
			}
		}
	case reflect.Slice, reflect.Array:
		fmt.Fprintf(h, "%d of ", v.Len())
		for i := range v.Len() {
			if err := hashValue(h, v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Pointer:
		if v.IsNil() {
			fmt.Fprint(h, "nil ")
			return nil
		}
		return hashValue(h, v.Elem())
	case reflect.String:
		fmt.Fprintf(h, "%q ", v.String())
	case reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64, reflect.Float64:
		fmt.Fprintf(h, "%v ", v)
	default:
		return fmt.Errorf("a %v has no hash", v.Type())
	}
	return nil
}
