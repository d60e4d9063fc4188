package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// README.md rounds what a stack costs, and what a million deletions cost, to dollars.
func TestReadmeHasTheCost(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	figures, err := os.ReadFile("FIGURES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, idle := stackCost(deployed(t, "", ""), 0)
	_, large := stackCost(deployed(t, "", ""), 1000)
	var least, most float64
	for _, row := range regexp.MustCompile(`(?m)^\| \d+ \| this system, with the way back \| \$([\d.]+) \|`).FindAllStringSubmatch(string(figures), -1) {
		cost, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if least == 0 || cost < least {
			least = cost
		}
		most = max(most, cost)
	}
	said := strings.Join(strings.Fields(string(readme)), " ")
	if told := fmt.Sprintf("About $%.0f a month when idle ($%.0f with your own token issuer), $%.0f with 1000 hosts, and $%.0f to $%.0f for a million deletions",
		idle, idle-cognitoClient, large, least, most); !strings.Contains(said, told) {
		t.Errorf("README.md does not say: %s", told)
	}
}
