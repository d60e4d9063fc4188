//go:build !race

package sim

// usualSeeds take less than half a minute.
const usualSeeds = 3000
