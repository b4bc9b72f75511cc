// Package verbs is the commands: each reads its options, calls the packages
// that do the work, and prints. Results go to standard output, everything else
// to standard error.
package verbs
