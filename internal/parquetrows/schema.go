package parquetrows

import (
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// A shape is the JSON value that a node of the schema becomes.
type shape int

const (
	object shape = iota
	array        // the first child is the element
	table        // a map: the children are the key and the value
	leaf
)

// A node is a field of the schema. Nodes of the file that only build a list or a map are
// part of the list's or map's node.
type node struct {
	name     string
	shape    shape
	optional bool // the value may be null
	// The definition levels from which the value is not null, and, of a list or a map,
	// is not empty; and the repetition level of its elements.
	present, filled, repetition int
	children                    []*node
	column                      int // of a leaf; of others the first below
	columns                     int // below, or 1
	element                     *format.SchemaElement
}

// A schema is a file's tree of fields and the leaves in the order of their columns.
type schema struct {
	fields []*node
	leaves []*leafColumn
}

// A leafColumn is what decoding a column needs to know of its field.
type leafColumn struct {
	name        string
	element     *format.SchemaElement
	repetition  int // largest levels
	definition  int
	fixedLength int // bytes of a value, or 0 if they differ
}

// schemaOf returns the tree of a footer's flat list of fields.
func schemaOf(elements []format.SchemaElement) (*schema, error) {
	if len(elements) == 0 {
		return nil, errors.New("the file has no schema")
	}
	p := schemaParser{rest: elements[1:], schema: new(schema)}
	for range elements[0].NumChildren.V {
		field, err := p.field(0, 0, 0)
		if err != nil {
			return nil, err
		}
		p.fields = append(p.fields, field)
	}
	if len(p.rest) > 0 || len(p.leaves) == 0 {
		return nil, errSchema
	}
	return p.schema, nil
}

var errSchema = errors.New("the fields of the schema contradict each other")

type schemaParser struct {
	rest []format.SchemaElement
	*schema
}

// maxNesting bounds the nesting of fields.
const maxNesting = 64

// field parses the next field, below fields of the two levels. A field that repeats
// without being a list's is a list itself.
func (p *schemaParser) field(repetition, definition, depth int) (*node, error) {
	e, err := p.next(depth)
	if err != nil {
		return nil, err
	}
	if e.RepetitionType.V == format.Repeated {
		n := &node{name: e.Name, shape: array, present: definition, filled: definition + 1, repetition: repetition + 1, column: len(p.leaves)}
		element, err := p.value(e, repetition+1, definition+1, depth)
		if err != nil {
			return nil, err
		}
		n.add(element)
		return n, nil
	}
	optional := e.RepetitionType.V == format.Optional
	if optional {
		definition++
	}
	n, err := p.value(e, repetition, definition, depth)
	if err != nil {
		return nil, err
	}
	n.optional = optional
	return n, nil
}

func (p *schemaParser) next(depth int) (*format.SchemaElement, error) {
	if len(p.rest) == 0 {
		return nil, errSchema
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("fields are nested more than %d deep", maxNesting)
	}
	e := &p.rest[0]
	p.rest = p.rest[1:]
	return e, nil
}

func (n *node) add(child *node) {
	n.children = append(n.children, child)
	n.columns += child.columns
}

// value parses a field without regard to how often it occurs.
func (p *schemaParser) value(e *format.SchemaElement, repetition, definition, depth int) (*node, error) {
	n := &node{name: e.Name, present: definition, column: len(p.leaves), element: e}
	children := int(e.NumChildren.V)
	switch {
	case children == 0 && !e.Type.Valid:
		return n, nil // an empty object, which needs a column to tell it from null
	case children == 0:
		n.shape, n.columns = leaf, 1
		p.leaves = append(p.leaves, newLeaf(e, repetition, definition))
		return n, nil
	case e.Type.Valid || children < 0:
		return nil, errSchema
	case p.isList(e):
		return n, p.list(n, e, repetition, definition, depth)
	case p.isMap(e):
		inner, err := p.next(depth + 1)
		if err != nil {
			return nil, err
		}
		n.shape, n.filled, n.repetition = table, definition+1, repetition+1
		for range inner.NumChildren.V {
			if err := p.child(n, repetition+1, definition+1, depth+2); err != nil {
				return nil, err
			}
		}
		return n, nil
	}
	for range children {
		if err := p.child(n, repetition, definition, depth+1); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (p *schemaParser) child(n *node, repetition, definition, depth int) error {
	child, err := p.field(repetition, definition, depth)
	if err == nil {
		n.add(child)
	}
	return err
}

// list parses the field below a list's and the element
// (https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists).
func (p *schemaParser) list(n *node, e *format.SchemaElement, repetition, definition, depth int) error {
	n.shape, n.filled, n.repetition = array, definition+1, repetition+1
	inner := &p.rest[0]
	if inner.NumChildren.V == 1 && inner.Name != "array" && inner.Name != e.Name+"_tuple" {
		p.rest = p.rest[1:]
		return p.child(n, repetition+1, definition+1, depth+2)
	}
	p.rest = p.rest[1:]
	element, err := p.value(inner, repetition+1, definition+1, depth+1)
	if err == nil {
		n.add(element)
	}
	return err
}

// isList reports whether a field is annotated as a list, and the next one repeats.
func (p *schemaParser) isList(e *format.SchemaElement) bool {
	_, logical := e.LogicalType.Value.(*format.ListType)
	return (logical || converted(e, deprecated.List)) && p.repeatsBelow(e)
}

// isMap reports whether a field is annotated as a map, and the next one holds a key and
// a value.
func (p *schemaParser) isMap(e *format.SchemaElement) bool {
	_, logical := e.LogicalType.Value.(*format.MapType)
	return (logical || converted(e, deprecated.Map) || converted(e, deprecated.MapKeyValue)) &&
		p.repeatsBelow(e) && p.rest[0].NumChildren.V == 2
}

func (p *schemaParser) repeatsBelow(e *format.SchemaElement) bool {
	return e.NumChildren.V == 1 && len(p.rest) > 0 && p.rest[0].RepetitionType.V == format.Repeated
}

func converted(e *format.SchemaElement, kind deprecated.ConvertedType) bool {
	return e.ConvertedType.Valid && e.ConvertedType.V == kind
}

func newLeaf(e *format.SchemaElement, repetition, definition int) *leafColumn {
	l := &leafColumn{name: e.Name, element: e, repetition: repetition, definition: definition}
	switch e.Type.V {
	case format.Boolean:
		l.fixedLength = 1
	case format.Int32, format.Float:
		l.fixedLength = 4
	case format.Int64, format.Double:
		l.fixedLength = 8
	case format.Int96:
		l.fixedLength = 12
	case format.FixedLenByteArray:
		l.fixedLength = int(e.TypeLength.V)
	}
	return l
}
