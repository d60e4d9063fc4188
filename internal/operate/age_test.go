package main

import (
	"testing"
	"time"
)

func TestAges(t *testing.T) {
	const day = 24 * time.Hour
	for given, want := range map[string]time.Duration{"90m": 90 * time.Minute, "3d": 3 * day, "1d12h": 36 * time.Hour, "0": 0, "99999d": 99999 * day} {
		var age ageValue
		if err := age.Set(given); err != nil || time.Duration(age) != want {
			t.Errorf("%s: %v, %v", given, time.Duration(age), err)
		}
	}
	for _, given := range []string{"", "3", "3x", "d", "-3d", "-1h", "3d-80h", "1.5d", "999999d", "3d3d"} {
		age := ageValue(time.Hour)
		if err := age.Set(given); err == nil || time.Duration(age) != time.Hour {
			t.Errorf("%s: %v, %v", given, time.Duration(age), err)
		}
	}
}

func TestADefaultHasNoZeros(t *testing.T) {
	for d, want := range map[time.Duration]string{24 * time.Hour: "24h", 15 * time.Minute: "15m", 90 * time.Minute: "1h30m", 10 * time.Second: "10s", time.Hour + 10*time.Second: "1h0m10s", 0: ""} {
		if value := ageValue(d); value.String() != want {
			t.Errorf("%v: %s, not %s", d, value.String(), want)
		}
	}
}
