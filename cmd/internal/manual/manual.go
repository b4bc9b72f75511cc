// Package manual makes the manual pages of the program from its verbs and their options:
// qlora(1) and a page for each verb, qlora-train(1), in the macros of man(7).
package manual

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/options"
)

// A Page is a manual page of section 1.
type Page struct {
	Name string // qlora-train
	Text []byte
}

// An Edition is what the pages say of the program that they describe.
type Edition struct {
	Version string
	Date    time.Time
}

// Pages returns the page of root and those of its verbs.
func Pages(root *cobra.Command, e Edition) []Page {
	pages := []Page{e.program(root)}
	for _, verb := range verbsOf(root) {
		pages = append(pages, e.verb(verb))
	}
	return pages
}

// verbsOf returns the verbs that root's help lists.
func verbsOf(root *cobra.Command) []*cobra.Command {
	var verbs []*cobra.Command
	for _, verb := range root.Commands() {
		if verb.IsAvailableCommand() {
			verbs = append(verbs, verb)
		}
	}
	return verbs
}

// nameOf returns the name of a command's page.
func nameOf(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// head writes the title, the name and the synopsis of a page.
func (e Edition) head(cmd *cobra.Command, usage string) *page {
	p := new(page)
	date := e.Date.UTC().Format(time.DateOnly) // mandoc knows no escapes in it
	fmt.Fprintf(&p.b, ".TH %s 1 %q %q %q\n", raw(strings.ToUpper(nameOf(cmd))), date, cmd.Root().Name()+" "+raw(e.Version), "User Commands")
	p.macro("nh") // names of options are not hyphenated
	p.section("NAME")
	p.line(raw(nameOf(cmd)) + ` \- ` + text(cmd.Short))
	p.section("SYNOPSIS")
	p.line(bold(cmd.CommandPath()) + " " + text(strings.TrimSpace(strings.TrimPrefix(usage, cmd.CommandPath()))))
	p.section("DESCRIPTION")
	p.paragraphs(about(cmd))
	return p
}

func about(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short + "."
}

// verb returns the page of a verb.
func (e Edition) verb(cmd *cobra.Command) Page {
	p := e.head(cmd, options.Usage(cmd))
	set := options.Of(cmd)
	p.section("OPTIONS")
	for _, section := range set.Sections() {
		p.subsection(section.Title)
		for _, o := range section.Options {
			p.option(o, fmt.Sprintf("%s [%s]", o.Help, o.Extra()))
		}
	}
	p.subsection("Also")
	for _, o := range set.Also(cmd) {
		p.option(o, o.Help)
	}
	p.seeAlso(cmd.Root().Name())
	return Page{nameOf(cmd), p.bytes()}
}

// option writes an option and its description.
func (p *page) option(o options.Info, description string) {
	p.macro("TP")
	p.line(bold("--"+o.Name) + " " + italic(o.Kind))
	p.line(text(description))
}

// program returns the page of the program.
func (e Edition) program(root *cobra.Command) Page {
	p := e.head(root, root.Name()+" VERB [--option value]...")
	p.section("VERBS")
	var pages []string
	for _, verb := range verbsOf(root) {
		_, arguments, _ := strings.Cut(verb.Use, " ")
		p.macro("TP")
		p.line(strings.TrimSpace(bold(verb.Name()) + " " + italic(arguments)))
		p.line(text(verb.Short))
		pages = append(pages, nameOf(verb))
	}
	for _, part := range parts {
		p.section(part.title)
		if part.text != "" {
			p.paragraphs(part.text)
		}
		for _, term := range part.terms {
			p.macro("TP")
			p.line(bold(term.name))
			p.line(text(term.means))
		}
	}
	p.seeAlso(pages...)
	return Page{nameOf(root), p.bytes()}
}
