package parquetrows

import (
	"encoding/json"
	"errors"
	"fmt"

	"qlora/internal/rowjson"
)

// maxRowValues bounds the values of a column in one row, far above the tokens of a
// sequence.
const maxRowValues = 1 << 21

// An assembler builds rows from the columns of a row group, whose levels say where lists
// begin and what is null (Dremel, Melnik et al. 2010).
type assembler struct {
	columns []*chunk
	held    int64 // bytes that the pages in memory need
	values  int   // of the row
	text    []byte
}

var (
	errColumnEnds = errors.New("a column ends before the others do")
	errLevels     = errors.New("the columns' levels contradict each other")
)

// next returns the next row.
func (a *assembler) next(fields []*node) (json.RawMessage, error) {
	a.text, a.values = append(a.text[:0], '{'), 0
	for i, field := range fields {
		if err := a.member(field, i); err != nil {
			return nil, err
		}
	}
	a.text = append(a.text, '}')
	return json.RawMessage(append([]byte{}, a.text...)), nil
}

// member appends the field i of an object.
func (a *assembler) member(n *node, i int) (err error) {
	if i > 0 {
		a.text = append(a.text, ',')
	}
	if a.text, err = rowjson.AppendText(a.text, n.name); err != nil {
		return err
	}
	a.text = append(a.text, ':')
	if err = a.value(n); errors.Is(err, rowjson.ErrNotUTF8) {
		err = fmt.Errorf("%q: %w", n.name, err)
	}
	return err
}

// levels returns those of the next value of a node's first column.
func (a *assembler) levels(n *node) (repetition, definition int, err error) {
	more, err := a.columns[n.column].more()
	if err == nil && !more {
		err = errColumnEnds
	}
	if err != nil {
		return 0, 0, err
	}
	repetition, definition = a.columns[n.column].levels()
	return repetition, definition, nil
}

// value appends the value of a node whose parent is not null.
func (a *assembler) value(n *node) error {
	if n.columns == 0 {
		a.text = append(a.text, "{}"...)
		return nil
	}
	_, definition, err := a.levels(n)
	if err != nil {
		return err
	}
	if n.optional && definition < n.present {
		a.text = append(a.text, rowjson.Null...)
		return a.skip(n)
	}
	switch n.shape {
	case leaf:
		return a.leaf(n)
	case object:
		a.text = append(a.text, '{')
		for i, child := range n.children {
			if err := a.member(child, i); err != nil {
				return err
			}
		}
		a.text = append(a.text, '}')
		return nil
	case array:
		a.text = append(a.text, '[')
		err = a.elements(n, definition, func() error { return a.value(n.children[0]) })
		a.text = append(a.text, ']')
	case table:
		a.text = append(a.text, '{')
		err = a.elements(n, definition, func() error { return a.entry(n) })
		a.text = append(a.text, '}')
	}
	return err
}

// skip passes over the one value that each column has for a node that is null or empty.
func (a *assembler) skip(n *node) error {
	for _, c := range a.columns[n.column : n.column+n.columns] {
		if more, err := c.more(); err != nil || !more {
			return errors.Join(err, errColumnEnds)
		}
		if _, null := c.take(); !null && c.definition > 0 {
			return errLevels
		}
	}
	return nil
}

// elements appends those of a list or a map by each.
func (a *assembler) elements(n *node, definition int, each func() error) error {
	if definition < n.filled {
		return a.skip(n)
	}
	for {
		if err := each(); err != nil {
			return err
		}
		// The next value of the column is the next element's, or another list's.
		more, err := a.columns[n.column].more()
		if err != nil || !more {
			return err
		}
		if repetition, _ := a.columns[n.column].levels(); repetition != n.repetition {
			if repetition > n.repetition {
				return errLevels
			}
			return nil
		}
		if len(a.text) > rowjson.MaxRow {
			return rowjson.ErrLong
		}
		a.text = append(a.text, ',')
	}
}

// entry appends a key of a map and its value. The key must not be null.
func (a *assembler) entry(n *node) error {
	key := n.children[0]
	if key.shape != leaf {
		return fmt.Errorf("the keys of %q are not texts or numbers", n.name)
	}
	if _, _, err := a.levels(key); err != nil {
		return err
	}
	c := a.columns[key.column]
	value, null := c.take()
	if null {
		return fmt.Errorf("a key of %q is null", n.name)
	}
	var err error
	if a.text, err = c.appendKey(a.text, value); err != nil {
		return err
	}
	a.text = append(a.text, ':')
	return a.value(n.children[1])
}

func (a *assembler) leaf(n *node) error {
	if a.values++; a.values > maxRowValues {
		return fmt.Errorf("a list in the row has more than %d values", maxRowValues)
	}
	c := a.columns[n.column]
	value, null := c.take()
	if null {
		a.text = append(a.text, rowjson.Null...)
		return nil
	}
	var err error
	a.text, err = c.appendValue(a.text, value)
	return err
}
