package options

// A Description says what a command does with a name.
type Description struct {
	Option  string  // the option that has the name, "" if none has
	Default string  // the option's default as text
	Setting Setting // if Option is "" and the name is known
}

// Describe returns what the command does with a name, and whether it knows the name.
func (s *Set) Describe(name string) (Description, bool) {
	if o := s.byName[name]; o != nil {
		return Description{Option: o.name, Default: o.fallback}, true
	}
	if f := s.foreign[name]; f != nil {
		return Description{Setting: f.Setting}, true
	}
	return Description{}, false
}
