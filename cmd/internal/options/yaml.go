package options

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds the bytes of a YAML file of options. The parser's time grows with the
// square of the nesting depth.
const maxFile = 16 << 10

// readFile sets options from a YAML file.
func (s *Set) readFile(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--config: %s does not exist: name a YAML file of options", path)
	}
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return fmt.Errorf("--config: %s is a folder: name a YAML file of options", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return s.readYAML(path, data)
}

func (s *Set) readYAML(path string, data []byte) error {
	entries, err := ReadYAML(path, data)
	if err != nil {
		return err
	}
	s.take(path, entries)
	return nil
}

// parseFile returns the pairs of a file that is one mapping or empty.
func parseFile(path string, data []byte) ([]*ast.MappingValueNode, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: longer than %d bytes, the limit for a file of options", path, maxFile)
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // a byte order mark, as Windows writes it
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%s: not UTF-8 text", path)
	}
	body, err := parseYAML(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return body, nil
}

// anchors are the values of options that a file has named, as in `seed: &n 3`.
type anchors map[string]ast.Node

// resolve returns a value without its name, or the value that an alias names.
func (a anchors) resolve(node ast.Node) ast.Node {
	switch node := node.(type) {
	case *ast.AnchorNode:
		a[node.Name.GetToken().Value] = node.Value
		return node.Value
	case *ast.AliasNode:
		if value := a[node.Value.GetToken().Value]; value != nil {
			return value
		}
	}
	return node
}

// parseYAML returns the pairs of a document that is one mapping or empty.
func parseYAML(data []byte) (pairs []*ast.MappingValueNode, err error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		if detailed := yaml.Error(nil); errors.As(err, &detailed) && detailed.GetToken() != nil {
			return nil, fmt.Errorf("line %d: not YAML: %s", detailed.GetToken().Position.Line, detailed.GetMessage())
		}
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	for _, doc := range file.Docs {
		switch doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
			continue
		}
		body, ok := mapping(doc.Body)
		if !ok {
			return nil, errors.New("not a list of options in the form `name: value`")
		}
		pairs = append(pairs, body...)
	}
	return pairs, nil
}

// giveNode sets an option or a setting from a value of a YAML file.
func (s *Set) giveNode(name string, node ast.Node, where string) error {
	o := s.byName[name] // nil for a setting
	if _, ok := node.(*ast.NullNode); ok {
		if o != nil && o.null != "" {
			return s.became(o, o.null, o.give(name, o.null, fromFile))
		}
		return nil // as if the key were absent
	}
	if o == nil {
		text, err := settingText(node)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return s.give(name, text, fromFile, where)
	}
	kind := kindOf(o.value.Type())
	if _, plain := scalar(node); kind == "name" && !plain { // the option's own type reads it
		text, err := settingText(node)
		if err != nil || text == "[]" || text == "{}" {
			return err
		}
		return o.give(name, text, fromFile)
	}
	if sequence, ok := node.(*ast.SequenceNode); ok {
		if kind != "list" && kind != "text" {
			return fmt.Errorf("%s: got a list, but the option takes one value", name)
		}
		var texts []string
		for _, element := range sequence.Values {
			text, err := o.element(element)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			texts = append(texts, text)
		}
		switch {
		case len(texts) > 0:
		case o.nothing != "":
			texts = []string{o.nothing}
		case kind == "list" && o.fallback == "":
			return nil // as if the key were absent
		default:
			return fmt.Errorf("%s: the list is empty; leave the option out", name)
		}
		return s.became(o, strings.Join(texts, ","), o.giveAll(name, texts, fromFile, true))
	}
	if pairs, ok := mapping(node); ok && kind == "object" {
		text, err := object(pairs)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return s.became(o, text, o.give(name, text, fromFile))
	}
	text, ok := scalar(node)
	if !ok {
		return fmt.Errorf("%s: not a plain value or a list of plain values", name)
	}
	return s.became(o, text, o.give(name, text, fromFile))
}

// element returns the text of a list's element: of a list of paths, also a mapping as
// JSON.
func (o *option) element(node ast.Node) (string, error) {
	if text, ok := scalar(node); ok {
		return text, nil
	}
	if _, ok := mapping(node); ok && o.path {
		return asJSON(node)
	}
	return "", errors.New("an element of the list is not a plain value")
}

// settingText returns the text of a setting's value: a plain one as it is, plain ones of a
// list with commas between them, and others as JSON.
func settingText(node ast.Node) (string, error) {
	if text, ok := scalar(node); ok {
		return text, nil
	}
	if list, ok := node.(*ast.SequenceNode); ok && len(list.Values) > 0 {
		var texts []string
		for _, element := range list.Values {
			if text, ok := scalar(element); ok {
				texts = append(texts, text)
			}
		}
		if len(texts) == len(list.Values) {
			return strings.Join(texts, ","), nil
		}
	}
	return asJSON(node)
}

// asJSON returns a value of a YAML file as JSON, a mapping's keys in their order.
func asJSON(node ast.Node) (string, error) {
	var parts []string
	if pairs, ok := mapping(node); ok {
		for _, pair := range pairs {
			key, ok := scalar(pair.Key)
			if !ok {
				return "", errors.New("a key is not a plain value")
			}
			value, err := asJSON(pair.Value)
			if err != nil {
				return "", err
			}
			parts = append(parts, quote(key)+":"+value)
		}
		return "{" + strings.Join(parts, ",") + "}", nil
	}
	switch node := node.(type) {
	case *ast.SequenceNode:
		for _, element := range node.Values {
			value, err := asJSON(element)
			if err != nil {
				return "", err
			}
			parts = append(parts, value)
		}
		return "[" + strings.Join(parts, ",") + "]", nil
	case *ast.NullNode:
		return "null", nil
	case *ast.BoolNode:
		return strconv.FormatBool(node.Value), nil
	}
	text, ok := scalar(node)
	if !ok {
		return "", errors.New("the value is neither plain nor a list or mapping of plain ones")
	}
	if _, isText := node.(*ast.StringNode); !isText && json.Valid([]byte(text)) {
		return text, nil
	}
	return quote(text), nil
}

// mapping returns the pairs of a mapping node.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, true
	}
	return nil, false
}

// object returns pairs of names and plain values as JSON, in their order.
func object(pairs []*ast.MappingValueNode) (string, error) {
	var members []string
	for _, pair := range pairs {
		key, ok := scalar(pair.Key)
		if !ok {
			return "", fmt.Errorf("a key is not a plain value")
		}
		switch value := pair.Value.(type) {
		case *ast.IntegerNode, *ast.FloatNode:
			members = append(members, quote(key)+":"+value.GetToken().Value)
		case *ast.StringNode:
			text := quote(value.Value)
			if _, err := strconv.ParseFloat(value.Value, 64); err == nil && value.Token.Type == token.StringType && json.Valid([]byte(value.Value)) {
				text = value.Value // 1e-5, without quotes, which the parser takes for a text
			}
			members = append(members, quote(key)+":"+text)
		case *ast.NullNode:
			members = append(members, quote(key)+":null")
		default:
			return "", fmt.Errorf("the value of %q is neither a number nor a text", key)
		}
	}
	return "{" + strings.Join(members, ",") + "}", nil
}

// scalar returns the text of a scalar node.
func scalar(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, true
	}
	return "", false
}
