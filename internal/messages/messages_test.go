// Package messages checks the style of the module's error messages in its source.
package messages

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// makers are the functions whose text becomes a message, with the index of the text.
var makers = map[string]int{
	"errors.New": 0, "fmt.Errorf": 0, "exit.Wrongf": 0, "option.Errorf": 2, "checkpoint.Damagedf": 0, "Damagedf": 0, "diskfull.Errorf": 1,
	"refuse": -1, "f.fail": 0, "f.refuse": 1, "s.fail": 0, "o.fail": 0, "fail": 0,
}

// folders are those whose errors people see. Those of internal/chattemplate are jinja2's.
var folders = []string{
	"chat", "checkpoint", "cmd", "internal/generationconfig", "internal/gitlfs", "internal/mistaken", "internal/parquetrows",
	"internal/place", "internal/safetensors", "lora", "nf4", "nn", "option", "tokenizer", "trainer",
}

// bad are what no message has.
var bad = []struct {
	what    string
	pattern *regexp.Regexp
}{
	{"a Go type or syntax", regexp.MustCompile(`%T|%#v|%\+v`)},
	{"failed to, which says nothing", regexp.MustCompile(`(?i)failed to|unable to|\bsorry\b|please|oops`)},
	{"an error that only says invalid", regexp.MustCompile(`^(?:%\w+:? )?(?:is )?invalid(?: \w+)?$`)},
	{"a period or a space at its end", regexp.MustCompile(`[.!\s]$`)},
	{"a space at its start", regexp.MustCompile(`^\s`)},
	{"more than two sentences", regexp.MustCompile(`\. [A-Z].*\. [A-Z]`)},
}

// names begin messages with a capital.
var names = regexp.MustCompile(`^(?:[A-Z]{2,}|Prompts|Go|Python|LoRA|LoftQ|Parquet|Arrow|JSON|YAML|Base|Outputs|Hugging|TemplateProcessing|ByteLevel)`)

// TestMessages checks every text of an error in the source.
func TestMessages(t *testing.T) {
	const root, longest = "../..", 260
	count := 0
	for _, folder := range folders {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				at, ok := makers[nameOf(call.Fun)]
				if !ok || len(call.Args) == 0 {
					return true
				}
				text, ok := textAt(call.Args, at)
				if !ok || strings.TrimSpace(text) == "%w" {
					return true
				}
				count++
				where := files.Position(call.Pos()).String()
				for _, b := range bad {
					if b.pattern.MatchString(text) {
						t.Errorf("%s: %q has %s", where, text, b.what)
					}
				}
				if first := []rune(text + " ")[0]; unicode.IsUpper(first) && !names.MatchString(text) {
					t.Errorf("%s: %q begins with a capital", where, text)
				}
				if len(text) > longest {
					t.Errorf("%s: %q has %d characters without its values", where, text, len(text))
				}
				return true
			})
			return nil
		})
		require.NoError(t, err)
	}
	require.Greater(t, count, 800, "the functions that make messages have other names now")
}

// nameOf returns the name of a called function as it is written.
func nameOf(f ast.Expr) string {
	switch f := f.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name + "." + f.Sel.Name
		}
	}
	return ""
}

// textAt returns the argument at an index, or for -1 the last one that is a text.
func textAt(arguments []ast.Expr, at int) (string, bool) {
	if at >= 0 {
		if at >= len(arguments) {
			return "", false
		}
		return literal(arguments[at])
	}
	for _, argument := range slices.Backward(arguments) {
		if text, ok := literal(argument); ok && strings.Contains(text, " ") {
			return text, true
		}
	}
	return "", false
}

// literal returns the text of a string literal or a sum of them.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		left, ok := literal(e.X)
		right, also := literal(e.Y)
		return left + right, ok && also && e.Op == token.ADD
	}
	return "", false
}
