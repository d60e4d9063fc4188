//go:build !race

package sim

// usualSeeds take some ten seconds. `make ci` has 20,000 more.
const usualSeeds = 1000
