// Package nn is the transformer: what a config.json describes, its weights, and
// its forward and backward written as calls of one operation set (package
// bindings), the same for every device.
//
// A layer's forward and backward stand side by side, each a straight line of
// operations. What forward keeps for backward, and what backward computes
// again, is the Recompute policy; gradients are the same bits under each.
package nn
