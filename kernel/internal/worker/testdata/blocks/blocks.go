// Package blocks never comes to the end of its initialisation.
package blocks

func init() { select {} }
