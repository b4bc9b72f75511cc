package licences

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestKinds(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string
	}{
		{"\t Apache License\n  Version 2.0, January 2004", []string{"Apache-2.0"}},
		{"Licensed under the Apache License, Version 2.0 (the \"License\")", []string{"Apache-2.0"}},
		{"Permission is hereby granted, free of charge, to any person obtaining a copy\nof this", []string{"MIT"}},
		{"// Redistribution and use in source and binary forms, with or without\n// modification, are permitted provided", []string{"BSD-2-Clause"}},
		{"Redistribution and use in source and binary forms, with or without modification, are permitted. * Neither the name of Google may be used to endorse or promote products derived from this software", []string{"BSD-3-Clause"}},
		{"SIL OPEN FONT LICENSE Version 1.1", []string{"OFL-1.1"}},
		{"GNU GENERAL PUBLIC LICENSE Version 3", nil},
		{"", nil},
	} {
		require.Equal(t, c.want, Kinds(c.text), c.text)
	}
}

const mit = "Permission is hereby granted, free of charge, to any person obtaining a copy"

func TestRead(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		"LICENSE": mit, "a/b/COPYING.md": "Apache License, Version 2.0", "other/LICENSE": "GPL", "licenses/gpl.txt": "GPL", "licenses/font.txt": "SIL Open Font License, Version 1.1", "license.go": "package x",
	} {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text+"\r\n"), 0o644))
	}
	m := module{Path: "example.org/m", Version: "v1", Dir: dir}
	c, err := read(m, []string{filepath.Join(dir, "a", "b"), dir})
	require.NoError(t, err)
	require.Equal(t, []string{"Apache-2.0", "MIT", "OFL-1.1"}, c.Kinds(), "other/ is not linked")
	require.Len(t, c.Files, 3)
	require.Equal(t, File{"LICENSE", []string{"MIT"}, mit}, c.Files[0])

	var text bytes.Buffer
	other := Component{Name: "example.org/n", Version: "v2", Files: []File{{"LICENSE.txt", []string{"MIT"}, mit}}}
	Write(&text, []Component{c, other})
	require.Equal(t, 1, strings.Count(text.String(), mit), "a text is printed once")
	require.Contains(t, text.String(), "example.org/m v1: LICENSE\nexample.org/n v2: LICENSE.txt\n\n"+mit)

	for _, licence := range []string{"", "GNU GENERAL PUBLIC LICENSE Version 3"} {
		none := module{Path: "example.org/none", Version: "v3", Dir: t.TempDir()}
		require.NoError(t, os.WriteFile(filepath.Join(none.Dir, "LICENSE"), []byte(licence), 0o644))
		_, err = read(none, nil)
		require.ErrorContains(t, err, "example.org/none v3: no file in")
	}
}

// TestProgram checks that everything linked into qlora has a licence that is known.
func TestProgram(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		components, err := Of("qlora/cmd/qlora", []string{"GOOS=linux", "GOARCH=" + arch, "CGO_ENABLED=1"})
		require.NoError(t, err)
		require.Greater(t, len(components), 20)
		require.Equal(t, "qlora", components[0].Name)
		for _, c := range components {
			t.Log(c.Name, c.Version, c.Kinds())
		}
	}
}
