package awsenv_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"dcv-session-broker/internal/awsenv"
)

func TestMinutesAndSwitches(t *testing.T) {
	s := settings(map[string]string{"GIVE_UP": "90", "NEVER": "0", "ON": "true", "OFF": "false"})
	for name, want := range map[string]time.Duration{"GIVE_UP": 90 * time.Minute, "NEVER": 0, "UNSET": time.Hour} {
		if got := s.Minutes(name, 60, 0); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	if !s.Switch("ON", false) || s.Switch("OFF", true) || !s.Switch("UNSET", true) || s.Switch("UNSET", false) {
		t.Error("a switch is wrong")
	}
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}

func TestWrongMinutesAndSwitchesAreNamed(t *testing.T) {
	for _, wrong := range []string{"-1", "1.5", "1h", "TRUE", "yes"} {
		for name, read := range map[string]func(*awsenv.Environment){
			"Minutes": func(s *awsenv.Environment) { s.Minutes("IT", 60, 1) },
			"Switch":  func(s *awsenv.Environment) { s.Switch("IT", true) },
		} {
			s := settings(map[string]string{"IT": wrong})
			if read(s); s.Err() == nil {
				t.Errorf("%s takes %q", name, wrong)
			}
		}
	}
}

func TestOneOf(t *testing.T) {
	s := settings(map[string]string{"B": "b", "WRONG": "c"})
	if got := s.OneOf("B", "a", "b") + s.OneOf("UNSET", "a", "b"); got != "ba" || s.Err() != nil {
		t.Errorf("read %q, %v", got, s.Err())
	}
	if s.OneOf("WRONG", "a", "b"); s.Err() == nil || !strings.Contains(s.Err().Error(), "WRONG") {
		t.Errorf("error %v", s.Err())
	}
}

// CloudFormation updates a function's code and its variables in two calls: without the
// variable, new code in an older stack uses the indexes that the table has.
func TestIndexStepOfOlderStacks(t *testing.T) {
	if s := settings(nil); s.IndexStep() != "0" || s.Err() != nil {
		t.Errorf("%q, %v", s.IndexStep(), s.Err())
	}
	if s := settings(map[string]string{"INDEX_STEP": "4"}); s.IndexStep() != "4" || s.Err() != nil {
		t.Errorf("%q, %v", s.IndexStep(), s.Err())
	}
}

func TestParsed(t *testing.T) {
	parse := func(text string) (n int, fault string) {
		if text != "seven" {
			return 0, "is not seven"
		}
		return 7, ""
	}
	s := settings(map[string]string{"IT": "seven", "WRONG": "eight\n"})
	if got := awsenv.Parsed(s, "IT", parse) + awsenv.Parsed(s, "UNSET", parse); got != 7 || s.Err() != nil {
		t.Errorf("read %d, %v", got, s.Err())
	}
	if awsenv.Parsed(s, "WRONG", parse); s.Err() == nil || s.Err().Error() != `WRONG, "eight\n", is not seven` {
		t.Errorf("error %v", s.Err())
	}
}

func TestIDsAreUUIDsAndNeverTheSame(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	met := map[string]bool{}
	for range 1000 {
		id := awsenv.NewID()
		if !uuid.MatchString(id) || met[id] {
			t.Fatalf("ID %q", id)
		}
		met[id] = true
	}
}
