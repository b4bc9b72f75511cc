package arrowrows

import (
	"encoding/binary"
	"errors"
	"io"

	flatbuffers "github.com/google/flatbuffers/go"
)

// Limits of a schema, which arrow-go decodes as a whole.
const (
	maxFields  = 1 << 16 // with those of structs and lists
	maxNesting = 64
	maxNames   = 64 << 20 // bytes of names and of what is noted beside them
)

// The kinds of messages, and the places of fields in their tables
// (https://github.com/apache/arrow/blob/main/format/Message.fbs, Schema.fbs).
const (
	kindSchema     = 1
	kindDictionary = 2
	kindBatch      = 3

	messageKind, messageHeader, messageBody = 6, 8, 10
	schemaFields, schemaNotes               = 6, 8
	fieldName, fieldChildren, fieldNotes    = 4, 14, 16
	dictionaryData                          = 6
	batchBuffers, batchCounts               = 8, 12
)

// verify reads the messages of a stream, without their bodies, and refuses those from
// which arrow-go would allocate what they claim: lists that are longer than the message.
// It leaves what ends a stream too early to arrow-go.
func verify(data io.ReaderAt, size int64) error {
	for at := int64(0); ; {
		var head [8]byte
		n, _ := data.ReadAt(head[:min(8, max(size-at, 0))], at)
		if n < 4 {
			return nil
		}
		length := int64(int32(binary.LittleEndian.Uint32(head[:])))
		at += 4
		if length == -1 {
			length = int64(int32(binary.LittleEndian.Uint32(head[4:])))
			at += 4
		}
		switch {
		case length == 0:
			return nil // the end
		case length < 4 || length > maxMetadata:
			return errNotArrow
		case length > size-at:
			return errTruncated
		}
		message := make([]byte, length)
		if _, err := data.ReadAt(message, at); err != nil {
			return err
		}
		v := verifier{fields: maxFields, names: maxNames}
		body, err := v.message(message)
		if err != nil {
			return err
		}
		at += length
		if body < 0 || body > size-at {
			return errTruncated
		}
		at += body
	}
}

var errLists = errors.New("the file contradicts itself: a list is longer than what holds it")

// A verifier counts what a schema still may have. Offsets out of a message make it
// panic; guard returns that as an error.
type verifier struct{ fields, names int }

// message verifies a message and returns the length of its body.
func (v *verifier) message(data []byte) (body int64, err error) {
	t := &flatbuffers.Table{Bytes: data, Pos: flatbuffers.GetUOffsetT(data)}
	if at := offset(t, messageBody); at != 0 {
		body = t.GetInt64(at)
	}
	kind := byte(0)
	if at := offset(t, messageKind); at != 0 {
		kind = t.GetByte(at)
	}
	at := offset(t, messageHeader)
	if at == 0 {
		return body, errNotArrow
	}
	header := table(t, at)
	switch kind {
	case kindSchema:
		err = v.schema(header)
	case kindDictionary:
		if at := offset(header, dictionaryData); at != 0 {
			err = v.batch(table(header, at))
		}
	case kindBatch:
		err = v.batch(header)
	}
	return body, err
}

func (v *verifier) schema(t *flatbuffers.Table) error {
	if err := v.notes(t, schemaNotes); err != nil {
		return err
	}
	return v.each(t, schemaFields, func(field *flatbuffers.Table) error { return v.field(field, 0) })
}

func (v *verifier) field(t *flatbuffers.Table, depth int) error {
	if depth == maxNesting {
		return errLists
	}
	if at := offset(t, fieldName); at != 0 {
		v.names -= len(t.ByteVector(at))
	}
	if err := v.notes(t, fieldNotes); err != nil {
		return err
	}
	return v.each(t, fieldChildren, func(child *flatbuffers.Table) error { return v.field(child, depth+1) })
}

// notes verifies the pairs of names and texts beside a schema or a field.
func (v *verifier) notes(t *flatbuffers.Table, slot flatbuffers.VOffsetT) error {
	return v.each(t, slot, func(pair *flatbuffers.Table) error {
		for _, slot := range []flatbuffers.VOffsetT{4, 6} {
			if at := offset(pair, slot); at != 0 {
				v.names -= len(pair.ByteVector(at))
			}
		}
		return nil
	})
}

// each verifies the tables of a list.
func (v *verifier) each(t *flatbuffers.Table, slot flatbuffers.VOffsetT, one func(*flatbuffers.Table) error) error {
	o := flatbuffers.UOffsetT(t.Offset(slot))
	if o == 0 {
		return nil
	}
	n := t.VectorLen(o)
	if v.fields -= n; n < 0 || v.fields < 0 || v.names < 0 {
		return errLists
	}
	at := t.Vector(o)
	for i := range n {
		if err := one(table(t, at+flatbuffers.UOffsetT(4*i))); err != nil {
			return err
		}
	}
	return nil
}

// batch verifies the numbers of buffers of columns that have any number.
func (v *verifier) batch(t *flatbuffers.Table) error {
	counts, buffers := flatbuffers.UOffsetT(t.Offset(batchCounts)), flatbuffers.UOffsetT(t.Offset(batchBuffers))
	if counts == 0 {
		return nil
	}
	most := int64(0)
	if buffers != 0 {
		most = int64(t.VectorLen(buffers))
	}
	if t.VectorLen(counts) > maxFields || most > maxMetadata {
		return errLists
	}
	at := t.Vector(counts)
	for i := range t.VectorLen(counts) {
		if n := t.GetInt64(at + flatbuffers.UOffsetT(8*i)); n < 0 || n > most {
			return errLists
		}
	}
	return nil
}

// offset returns where a field of a table is, or 0.
func offset(t *flatbuffers.Table, slot flatbuffers.VOffsetT) flatbuffers.UOffsetT {
	if o := flatbuffers.UOffsetT(t.Offset(slot)); o != 0 {
		return t.Pos + o
	}
	return 0
}

// table returns the table to which the value at an offset refers.
func table(t *flatbuffers.Table, at flatbuffers.UOffsetT) *flatbuffers.Table {
	return &flatbuffers.Table{Bytes: t.Bytes, Pos: t.Indirect(at)}
}
