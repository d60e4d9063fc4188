package fleet

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/template"
)

// parametersFor checks the parameters given for a document and adds the defaults.
func parametersFor(d template.Document, given map[string][]string) (map[string]string, error) {
	complete, err := d.Values(given)
	if err != nil {
		return nil, invalidParameters("%v", err)
	}
	size := d.Size
	for _, name := range slices.Sorted(maps.Keys(complete)) {
		value := complete[name]
		if strings.Contains(value, "{{ssm") || strings.Contains(value, "{{ ssm") {
			return nil, invalidParameters("%s refers to Parameter Store, which does not exist on this machine", name)
		}
		for _, s := range d.Steps {
			size += len(placeholder(name).FindAllString(s.Script, -1)) * len(value)
		}
	}
	// The size includes every value in each place, also those that newer agents leave out of the script: what the
	// real one counts is not documented.
	if size > maxDocumentSizeInBytes {
		return nil, &types.MaxDocumentSizeExceeded{}
	}
	return complete, nil
}

// placeholder matches the places where a parameter is pasted into a script.
func placeholder(name string) *regexp.Regexp {
	return regexp.MustCompile(`\{\{ *` + regexp.QuoteMeta(name) + ` *\}\}`)
}
