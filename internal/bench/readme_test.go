package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// README.md rounds what a stack costs, and what a million deletions cost, to dollars.
func TestReadmeHasTheCost(t *testing.T) {
	readme := read(t, "../../README.md")
	figures := read(t, "FIGURES.md")
	_, idle := stackCost(deployed(t, "", ""), 0)
	_, large := stackCost(deployed(t, "", ""), 1000)
	var least, most float64
	for _, row := range regexp.MustCompile(`(?m)^\| \d+ \| this system, with the way back \| \$([\d.]+) \|`).FindAllStringSubmatch(figures, -1) {
		cost, err := strconv.ParseFloat(row[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		if least == 0 || cost < least {
			least = cost
		}
		most = max(most, cost)
	}
	said := strings.Join(strings.Fields(readme), " ")
	if told := fmt.Sprintf("About $%.0f a month when idle ($%.0f with your own token issuer), $%.0f with 1000 hosts, and $%.0f to $%.0f for a million deletions",
		idle, idle-cognitoClient, large, least, most); !strings.Contains(said, told) {
		t.Errorf("README.md does not say: %s", told)
	}
}

// The table of large fleets has what a stack costs.
func TestFiguresHaveTheCostOfFleets(t *testing.T) {
	figures := read(t, "FIGURES.md")
	rows := regexp.MustCompile(`(?m)^\| ([\d,]+) \| [\d, ]+ \| [\d,]+ \| .* \| ([\d.]+) \|$`).FindAllStringSubmatch(figures, -1)
	if len(rows) < 4 {
		t.Errorf("only %d rows", len(rows))
	}
	for _, row := range rows {
		hosts, err := strconv.Atoi(strings.ReplaceAll(row[1], ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		if _, cost := stackCost(deployed(t, "", ""), hosts); row[2] != fmt.Sprintf("%.2f", cost) {
			t.Errorf("FIGURES.md says $%s for %d hosts, not $%.2f", row[2], hosts, cost)
		}
	}
}

// README.md has four columns of the figures of large fleets, at the highest rate.
func TestReadmeHasTheFleets(t *testing.T) {
	readme := read(t, "../../README.md")
	figures := read(t, "FIGURES.md")
	var rows [][]string
	for _, line := range regexp.MustCompile(`(?m)^\| (?:10+|10?,000) \| 40\b.*\|$`).FindAllString(figures, -1) {
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 11 {
			t.Fatalf("FIGURES.md: %s", line)
		}
		rows = append(rows, []string{cells[0], cells[10], cells[5], cells[6]})
	}
	if want := table([]string{"hosts", "$ a month", "calls a second", "most in a second"}, rows); len(rows) != 4 || !strings.Contains(readme, want) {
		t.Errorf("README.md does not have the table\n%s", want)
	}
}
