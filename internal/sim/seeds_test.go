//go:build !race

package sim

// usualSeeds take some ten seconds. `make ci` has 20,000 besides.
const usualSeeds = 1000
