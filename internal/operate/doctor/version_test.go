package doctor

import "testing"

func TestVersionsAreComparedByTheirNumbers(t *testing.T) {
	for version, want := range map[string]bool{
		"3.3.2746.0": false, "3.3.2745.9": true, "3.3.987.0": true, "3.2.9999.0": true, "2.3.2746.0": true, "3.3": true,
		"3.10.0.0": false, "4.0.0.0": false, "3.3.2746.0.1": false, "": false, "unknown": false,
	} {
		if got := older(version, firstWithEnvVar); got != want {
			t.Errorf("%q is older: %v", version, got)
		}
	}
}
