package serve

import (
	"fmt"
	"path/filepath"

	"qlora/bindings"
	"qlora/chat"
	"qlora/lora"
	"qlora/nn"
	"qlora/trainer"
)

// An Adapter is a PEFT folder under the name by which requests choose it.
type Adapter struct{ Name, Dir string }

// A Loaded is a base with its adapters on a device.
type Loaded struct {
	Models []*Model // the base, then the adapters
	Notes  []string // what the user should know
	tuned  *lora.Tuned
	dev    bindings.Device
}

// Load loads a base under a name, and adapters on it, to generate with the shapes'
// Generate and Together. The caller must close it.
func Load(base *trainer.Base, name string, adapters []Adapter, dev bindings.Device, shapes nn.Shapes, progress func(done, total int64)) (_ *Loaded, err error) {
	l := &Loaded{dev: dev}
	if l.tuned, err = base.Assemble(dev.Info()); err != nil {
		return nil, err
	}
	own, err := newModel(base, name, "")
	if err != nil {
		return nil, err
	}
	l.Models = []*Model{own}
	for _, a := range adapters {
		m, err := newModel(base, a.Name, a.Dir)
		if err != nil {
			return nil, err
		}
		if m.Adapters, err = l.tuned.Overlay(a.Dir); err != nil {
			return nil, err
		}
		m.Parent = name
		l.Models = append(l.Models, m)
		if trained, err := lora.ReadTrained(a.Dir); err == nil && trained.Init.ChangesBase() {
			l.Notes = append(l.Notes, fmt.Sprintf("%s was trained next to a base that its initialization (%s) changed; here it is applied to the base as it is", a.Name, trained.Init))
		}
	}
	if err := l.tuned.Model.CheckShapes(shapes); err != nil {
		return nil, err
	}
	l.tuned.Plan(dev, shapes)
	values := base.Values()
	values.BaseLoaded = progress
	if err := l.tuned.Load(dev, values); err != nil {
		return nil, err
	}
	return l, nil
}

// newModel reads the tokenizer, the chat template and the ends of a model.
func newModel(base *trainer.Base, name, adapter string) (*Model, error) {
	m := &Model{Name: name}
	var err error
	if m.Tok, err = trainer.OpenTokenizer(base.Folder, adapter); err != nil {
		return nil, err
	}
	folder, err := chat.Folder(base.Folder, adapter)
	if err != nil {
		return nil, err
	}
	if m.Template, err = chat.Open(folder, "", m.Tok); err != nil {
		m.Template, m.NoChats = nil, fmt.Errorf("%s answers no chats: %w", name, err)
	}
	asked := *base
	asked.Adapter = adapter
	if m.Ends, err = asked.Ends(m.Tok, m.Template); err != nil {
		return nil, err
	}
	return m, nil
}

// Plan returns the memory of the model in bytes by category.
func (l *Loaded) Plan() bindings.MemoryPlan { return l.tuned.Memory.Plan() }

// Decoder returns a decoder for the models.
func (l *Loaded) Decoder() *nn.Decoder { return l.tuned.Model.NewDecoder(l.dev) }

// Vocabulary returns the number of tokens that the base knows.
func (l *Loaded) Vocabulary() int { return l.tuned.Model.Config.Vocabulary }

// Close frees the memory; the device and the base stay open.
func (l *Loaded) Close() { l.tuned.Close() }

// NameOf returns the name of a folder, by which requests choose it unless another is given.
func NameOf(dir string) string { return filepath.Base(filepath.Clean(dir)) }
