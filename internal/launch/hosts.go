package launch

import (
	"errors"
	"strings"
)

// FirstHost returns the first host of a list as Slurm writes it: "gpu[07-12,15],login1".
func FirstHost(list string) (string, error) {
	first := list
	depth := 0
scan:
	for i, r := range list {
		switch r {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth == 0 {
				first = list[:i]
				break scan
			}
		}
		if depth < 0 || depth > 1 {
			return "", errors.New("its brackets do not match")
		}
	}
	if depth > 0 {
		return "", errors.New("its brackets do not match")
	}
	var host strings.Builder
	for first != "" {
		before, rest, bracket := strings.Cut(first, "[")
		host.WriteString(before)
		if !bracket {
			break
		}
		inside, after, _ := strings.Cut(rest, "]")
		number, _, _ := strings.Cut(inside, ",")
		number, _, _ = strings.Cut(number, "-")
		if number == "" {
			return "", errors.New("it has an empty bracket")
		}
		host.WriteString(number)
		first = after
	}
	if host.Len() == 0 {
		return "", errors.New("it names no host")
	}
	if strings.ContainsAny(host.String(), " \t\r\n/:\x00") {
		return "", errors.New("it has a character that no host's name has")
	}
	return host.String(), nil
}
