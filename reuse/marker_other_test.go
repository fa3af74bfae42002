//go:build !unix

package reuse

const planting = false
