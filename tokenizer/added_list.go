package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// An addedList is the list added_tokens of a tokenizer.json, whose entries keep keys that are
// not read here.
type addedList struct {
	tokens  []addedToken
	raw     []json.RawMessage // of tokens
	changed []addedToken      // by set
	lo, hi  int               // where the list is in the file; 0, 0: it has none
}

func readAdded(text []byte) (*addedList, error) {
	list := &addedList{}
	lo, hi, err := findKey(text, "added_tokens")
	if err != nil || hi == 0 {
		return list, err
	}
	list.lo, list.hi = lo, hi
	if err := json.Unmarshal(text[lo:hi], &list.raw); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	if err := json.Unmarshal(text[lo:hi], &list.tokens); err != nil {
		return nil, fmt.Errorf("added_tokens: %w", err)
	}
	return list, nil
}

// findKey returns where the value of a key of a JSON object lies, or 0, 0 if there is no such
// key.
func findKey(text []byte, key string) (lo, hi int, err error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return 0, 0, errors.Join(errors.New("the file is not a JSON object"), err)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return 0, 0, err
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return 0, 0, err
		}
		if name == key {
			hi = int(dec.InputOffset())
			lo = hi - len(value)
		}
	}
	return lo, hi, nil
}

func (l *addedList) find(content string) (int32, bool) {
	for _, a := range l.tokens {
		if a.Content == content {
			return a.ID, true
		}
	}
	return 0, false
}

// set replaces the entry of a token, or adds one.
func (l *addedList) set(id int32, token AddedToken) error {
	a := addedToken{
		ID: id, Content: token.Content, SingleWord: token.SingleWord, LStrip: token.LStrip,
		RStrip: token.RStrip, Normalized: token.Normalized, Special: token.Special,
	}
	i := slices.IndexFunc(l.tokens, func(old addedToken) bool { return old.Content == a.Content })
	if i >= 0 && l.tokens[i] == a {
		return nil
	}
	raw, err := marshal(a, "", "")
	if err != nil {
		return err
	}
	l.changed = append(l.changed, a)
	if i >= 0 {
		l.tokens[i], l.raw[i] = a, raw
		return nil
	}
	// The file lists the tokens by id.
	i, _ = slices.BinarySearchFunc(l.tokens, id, func(a addedToken, id int32) int { return int(a.ID) - int(id) })
	l.tokens, l.raw = slices.Insert(l.tokens, i, a), slices.Insert(l.raw, i, json.RawMessage(raw))
	return nil
}

// splice returns the file with this list.
func (l *addedList) splice(text []byte) ([]byte, error) {
	list, err := marshal(l.raw, "  ", "  ")
	if err != nil {
		return nil, err
	}
	if l.hi > 0 {
		return slices.Concat(text[:l.lo], list, text[l.hi:]), nil
	}
	open := bytes.IndexByte(text, '{') + 1
	return slices.Concat(text[:open], []byte("\n  \"added_tokens\": "), list, []byte(","), text[open:]), nil
}

// marshal returns a value in JSON, with < and > as they are.
func marshal(value any, prefix, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent(prefix, indent)
	if err := enc.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
