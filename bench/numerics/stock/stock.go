// Package stock remembers the gradient that GoMLX itself gives to products. Packages are initialised in the order of their import
// paths, so this one reads the table before lohakit/xla replaces the entries.
package stock

import "github.com/gomlx/gomlx/pkg/core/graph"

// Products are GoMLX's own gradients of products, by type of node.
var Products = map[graph.NodeType]graph.VJP{
	graph.NodeTypeDot:        graph.VJPRegistration[graph.NodeTypeDot],
	graph.NodeTypeDotGeneral: graph.VJPRegistration[graph.NodeTypeDotGeneral],
}
