//go:build race

package sim

// usualSeeds take about a minute with the race detector.
const usualSeeds = 500
