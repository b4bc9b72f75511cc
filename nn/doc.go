// Package nn implements decoder-only transformers: the parts that a config.json
// describes, their weights, and forward and backward as calls of one operation set
// (package bindings), the same for every device.
//
// Forward and backward of a part are in one file, each a straight line of
// operations. The Recompute policy decides which activations forward keeps and
// which backward recomputes; gradients are bit-identical under every policy.
package nn
