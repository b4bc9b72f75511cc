package main

import (
	"bufio"
	_ "embed"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// recorded has the main loops of an earlier commit, in the columns of cuda/resources.tsv.
//
//go:embed before.tsv
var recorded string

// A count is the machine code of a kernel for one target, as the model sees it.
type count struct {
	blocks   int     // that fit a processor
	executed float64 // by a warp, in one pass of the main loop
	products float64 // mma among them
	loads    float64 // of 512 bytes from shared memory, ldmatrix, among them
	copies   float64 // of 16 bytes a thread to shared memory, cp.async, among them
	threads  int     // of a block
}

// counts are by kernel, then by target.
type counts map[string]map[string]count

func readCounts(path string) (counts, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return parseCounts(path, file)
}

// parseCounts reads the columns it needs of a table like cuda/resources.tsv.
func parseCounts(name string, r io.Reader) (counts, error) {
	all := make(counts)
	var header map[string]int
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Split(line, "\t")
		if header == nil {
			header = make(map[string]int)
			for i, column := range fields {
				header[column] = i
			}
			for _, column := range []string{"kernel", "target", "threads", "blocks", "executed", "its HMMA", "its LDSM", "its LDGSTS"} {
				if _, has := header[column]; !has {
					return nil, fmt.Errorf("%s:%d: no column %q", name, n, column)
				}
			}
			continue
		}
		if len(fields) != len(header) {
			return nil, fmt.Errorf("%s:%d: %d columns, the header has %d", name, n, len(fields), len(header))
		}
		var c count
		var err error
		number := func(column string) float64 {
			x, bad := strconv.ParseFloat(fields[header[column]], 64)
			if bad != nil || !(x >= 0 && x < 1e9) {
				err = fmt.Errorf("%s:%d: %s is %q, not a count", name, n, column, fields[header[column]])
			}
			return x
		}
		c.threads, c.blocks = int(number("threads")), int(number("blocks"))
		c.executed, c.products = number("executed"), number("its HMMA")
		c.loads, c.copies = number("its LDSM"), number("its LDGSTS")
		if err != nil {
			return nil, err
		}
		kernel, target := fields[header["kernel"]], fields[header["target"]]
		if all[kernel] == nil {
			all[kernel] = make(map[string]count)
		}
		all[kernel][target] = c
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no kernels", name)
	}
	return all, nil
}

// of returns the count of a kernel that multiplies.
func (c counts) of(kernel, target string) (count, error) {
	found, ok := c[kernel][target]
	if !ok || found.products == 0 || found.blocks == 0 || found.threads < 32 {
		return count{}, fmt.Errorf("no main loop of %s on %s is counted", kernel, target)
	}
	return found, nil
}
