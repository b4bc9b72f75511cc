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

// cacheEnding is what a cached set's file name ends in.
const cacheEnding = ".tokens"

// A Cache keeps, in a folder, what Load makes, under a hash of all that it is made
// of: the files, the tokenizer, the options and the program. So there is nothing in
// it that could be out of date.
//
// Loading writes nothing; Save does, when the run is known to be a sound one.
type Cache struct {
	dir  string
	sets map[string]*Set // by key, those of this run; nil where the file is there already
}

// NewCache returns the cache in a folder, which need not be there yet.
func NewCache(dir string) *Cache { return &Cache{dir: dir, sets: map[string]*Set{}} }

// Load returns what the function Load makes of the files, from the cache where it is
// there: path is then its place in the cache. damaged, if not nil, is why a cached file
// is not used.
func (c *Cache) Load(paths []string, tok *tokenizer.Tokenizer, opt Options, progress func(Progress) error) (set *Set, path string, damaged, err error) {
	key, keyErr := cacheKey(paths, tok, opt)
	if keyErr != nil { // Load says what is wrong
		set, err = Load(paths, tok, opt, progress)
		return set, "", nil, err
	}
	path = filepath.Join(c.dir, key+cacheEnding)
	set, damaged = readSet(path)
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
	// A file that was written while it was read is not what the key says.
	if again, err := cacheKey(paths, tok, opt); err == nil && again == key {
		c.sets[key] = set
	}
	return set, "", damaged, nil
}

// Save writes the sets that were loaded and are not there yet, each whole or not at
// all, and removes those that this run has no use for. It makes the folder.
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

// cacheKey is a hash of all that decides what Load makes.
func cacheKey(paths []string, tok *tokenizer.Tokenizer, opt Options) (string, error) {
	sources, err := findSources(paths)
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
		fmt.Fprintf(h, "\n%q %q\n", s.name, s.skipped)
		for _, file := range s.files {
			if err := hashFile(h, file); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// programSum is a hash of the program: another one may read the same files otherwise.
var programSum = sync.OnceValues(func() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	err = hashFile(h, path)
	return h.Sum(nil), err
})

// hashFile adds a file's name and content.
func hashFile(h hash.Hash, path string) error {
	f, err := os.Open(path)
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

// hashValue adds an option's value, and those of the fields of a struct. What it
// knows no way to hash cannot be cached under.
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
