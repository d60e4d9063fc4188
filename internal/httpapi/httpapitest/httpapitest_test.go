package httpapitest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dcv-session-broker/internal/httpapi/contract/contracttest"
)

func TestEachOperationIsHeldAgainstTheContract(t *testing.T) {
	for path := range contracttest.Document().Paths.Map() {
		file := filepath.Join("..", strings.ToLower(path), "contract_test.go")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, check := range []string{"FieldsAreTheContracts", "ExamplesAreAnswered"} {
			if !strings.Contains(string(text), "httpapitest."+check+`(t, "`+path+`"`) {
				t.Errorf("%s does not call %s for %s", file, check, path)
			}
		}
	}
}
