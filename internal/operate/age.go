package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"
)

// An ageValue is a flag with a duration, which may begin with a number of days.
type ageValue time.Duration

// durationFlag adds such a flag with a default.
func durationFlag(cmd *cobra.Command, into *time.Duration, name string, unless time.Duration, usage string) {
	*into = unless
	cmd.Flags().Var((*ageValue)(into), name, usage)
}

var zeros = regexp.MustCompile(`([hm])(?:0m)?0s$`)

var days = regexp.MustCompile(`^([0-9]{1,5})d(.*)$`)

func (v *ageValue) Type() string { return "duration" }

func (v *ageValue) String() string {
	if *v == 0 {
		return "" // so help shows no default
	}
	return zeros.ReplaceAllString(time.Duration(*v).String(), "$1") // 15m, not 15m0s
}

func (v *ageValue) Set(given string) error {
	if parts := days.FindStringSubmatch(given); parts != nil {
		n, _ := strconv.Atoi(parts[1])
		given = fmt.Sprintf("%dh%s", 24*n, parts[2])
	}
	age, err := time.ParseDuration(given)
	if err != nil || age < 0 {
		return errors.New("it is a number and a unit, as in 90m, 12h or 3d")
	}
	*v = ageValue(age)
	return nil
}
