package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits on a SentencePiece model; real ones stay far below them. A piece of n bytes may be
// split in n-1 ways.
const (
	maxSPMPieces     = 1 << 21
	maxSPMPieceBytes = 1 << 10
)

// An spmModel holds what encoding needs of a SentencePiece model
// (https://github.com/google/sentencepiece, sentencepiece_model.proto).
type spmModel struct {
	pieces []spmPiece // by id

	modelType    int // of spmUnigram, spmBPE, …
	byteFallback bool
	asSuffix     bool // the dummy space is at the end of a text
	bosPiece     string
	eosPiece     string
	bos, eos     int32 // -1: none

	charsmap     []byte
	dummyPrefix  bool
	removeExtra  bool // spaces: at the beginning and the end, and all but one of a run
	escapeSpaces bool // as U+2581
}

// Values of spmModel.modelType.
const (
	spmUnigram = 1
	spmBPE     = 2
	spmWord    = 3
	spmChar    = 4
)

type spmPiece struct {
	name  string
	score float32
	kind  int // spmNormal, …
}

// Kinds of pieces.
const (
	spmNormal      = 1
	spmUnknown     = 2
	spmControl     = 3
	spmUserDefined = 4
	spmUnused      = 5
	spmByte        = 6
)

// inText reports whether the piece is found in a text.
func (p *spmPiece) inText() bool { return p.kind == spmNormal || p.kind == spmUserDefined }

// parseSPM reads a ModelProto.
func parseSPM(data []byte) (*spmModel, error) {
	m := &spmModel{
		modelType: spmUnigram, bos: 1, eos: 2, dummyPrefix: true, removeExtra: true, escapeSpaces: true,
		bosPiece: "<s>", eosPiece: "</s>",
	}
	err := eachField(data, func(f protoField) error {
		switch f.number {
		case 1:
			return m.addPiece(f.bytes)
		case 2:
			return eachField(f.bytes, m.readTrainerSpec)
		case 3:
			return eachField(f.bytes, m.readNormalizerSpec)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

func (m *spmModel) addPiece(data []byte) error {
	if len(m.pieces) == maxSPMPieces {
		return fmt.Errorf("it has more than %d pieces", maxSPMPieces)
	}
	p := spmPiece{kind: spmNormal}
	err := eachField(data, func(f protoField) error {
		switch f.number {
		case 1:
			p.name = string(f.bytes)
		case 2:
			p.score = math.Float32frombits(uint32(f.value))
		case 3:
			p.kind = int(f.value)
		}
		return nil
	})
	id := len(m.pieces)
	switch {
	case err != nil:
		return fmt.Errorf("piece %d: %w", id, err)
	case p.name == "" || !utf8.ValidString(p.name):
		return fmt.Errorf("piece %d is not text", id)
	case len(p.name) > maxSPMPieceBytes:
		return fmt.Errorf("piece %d has %d bytes, more than %d", id, len(p.name), maxSPMPieceBytes)
	case p.kind < spmNormal || p.kind > spmByte:
		return fmt.Errorf("piece %d, %q, is of the unknown type %d", id, p.name, p.kind)
	case math.IsNaN(float64(p.score)) || math.IsInf(float64(p.score), 0):
		return fmt.Errorf("piece %d, %q, has the score %g", id, p.name, p.score)
	}
	m.pieces = append(m.pieces, p)
	return nil
}

func (m *spmModel) readTrainerSpec(f protoField) error {
	switch f.number {
	case 3:
		m.modelType = int(f.value)
	case 24:
		m.asSuffix = f.value != 0
	case 35:
		m.byteFallback = f.value != 0
	case 41:
		m.bos = int32(f.value)
	case 42:
		m.eos = int32(f.value)
	case 46:
		m.bosPiece = string(f.bytes)
	case 47:
		m.eosPiece = string(f.bytes)
	}
	return nil
}

func (m *spmModel) readNormalizerSpec(f protoField) error {
	switch f.number {
	case 2:
		m.charsmap = f.bytes
	case 3:
		m.dummyPrefix = f.value != 0
	case 4:
		m.removeExtra = f.value != 0
	case 5:
		m.escapeSpaces = f.value != 0
	}
	return nil
}

// check returns an error where the sentencepiece library does.
func (m *spmModel) check() error {
	if len(m.pieces) == 0 {
		return errors.New("it has no pieces")
	}
	seen := make(map[string]bool, len(m.pieces)) // found in texts, or not
	reserved := map[string]bool{}
	unknown := 0
	for id, p := range m.pieces {
		set := seen
		if p.kind == spmUnknown || p.kind == spmControl || p.kind == spmByte {
			set = reserved
		}
		if set[p.name] {
			return fmt.Errorf("piece %d, %q, is there twice", id, p.name)
		}
		set[p.name] = true
		if p.kind == spmUnknown {
			unknown++
		}
		if _, ok := byteToken(p.name); p.kind == spmByte && (!ok || !m.byteFallback) {
			return fmt.Errorf("piece %d, %q, is not a byte of a model with byte_fallback", id, p.name)
		}
	}
	if unknown != 1 {
		return fmt.Errorf("it has %d unknown tokens, not one", unknown)
	}
	for b := 0; m.byteFallback && b < 256; b++ {
		if name := fmt.Sprintf("<0x%02X>", b); !reserved[name] {
			return fmt.Errorf("byte_fallback is set, but the piece %q is missing", name)
		}
	}
	return nil
}

// A protoField is a field of a protocol buffers message.
type protoField struct {
	number protowire.Number
	value  uint64 // of a number
	bytes  []byte // of a string, a message or bytes
}

// eachField yields the fields of a message.
func eachField(data []byte, yield func(protoField) error) error {
	for len(data) > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		f := protoField{number: number}
		switch kind {
		case protowire.VarintType:
			f.value, n = protowire.ConsumeVarint(data)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(data)
			f.value = uint64(v)
		case protowire.Fixed64Type:
			f.value, n = protowire.ConsumeFixed64(data)
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(data)
		default:
			n = protowire.ConsumeFieldValue(number, kind, data)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		data = data[n:]
		if err := yield(f); err != nil {
			return err
		}
	}
	return nil
}
