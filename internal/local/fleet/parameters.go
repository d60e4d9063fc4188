package fleet

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"dcv-session-broker/internal/template"
)

// parametersFor checks the parameters given for a document, and completes them with the defaults.
func parametersFor(d template.Document, given map[string][]string) (map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := d.Parameters[name]; !ok {
			return nil, invalidParameters("%s is no parameter of %s", name, d.LogicalID)
		}
	}
	complete := map[string]string{}
	size := d.Size
	for _, name := range slices.Sorted(maps.Keys(d.Parameters)) {
		declared := d.Parameters[name]
		values, isGiven := given[name]
		switch {
		case !isGiven && declared.Default == nil:
			return nil, invalidParameters("%s is missing", name)
		case !isGiven:
			values = []string{*declared.Default}
		case len(values) != 1:
			return nil, invalidParameters("%s is a String: it has exactly one value", name)
		}
		value := values[0]
		if err := checkParameter(name, value, declared); err != nil {
			return nil, err
		}
		complete[name] = value
		for _, s := range d.Steps {
			size += len(placeholder(name).FindAllString(s.Script, -1)) * len(value)
		}
	}
	// Counted with every value in its places, also where newer agents would leave it out of the script: what exactly
	// the real one counts is not documented.
	if size > maxDocumentSizeInBytes {
		return nil, &types.MaxDocumentSizeExceeded{}
	}
	return complete, nil
}

func checkParameter(name, value string, declared template.DocumentParameter) error {
	chars := utf8.RuneCountInString(value)
	switch {
	case declared.AllowedPattern != nil && !declared.AllowedPattern.MatchString(value):
		return invalidParameters("%s does not match %s", name, declared.AllowedPattern)
	case declared.AllowedValues != nil && !slices.Contains(declared.AllowedValues, value):
		return invalidParameters("%s is none of %s", name, strings.Join(declared.AllowedValues, ", "))
	case chars < declared.MinChars:
		return invalidParameters("%s is shorter than %d characters", name, declared.MinChars)
	case declared.MaxChars > 0 && chars > declared.MaxChars:
		return invalidParameters("%s is longer than %d characters", name, declared.MaxChars)
	case strings.Contains(value, "{{ssm"), strings.Contains(value, "{{ ssm"):
		return invalidParameters("%s refers to Parameter Store, which does not exist on this machine", name)
	}
	return nil
}

// placeholder is where a parameter is pasted into a script.
func placeholder(name string) *regexp.Regexp {
	return regexp.MustCompile(`\{\{ *` + regexp.QuoteMeta(name) + ` *\}\}`)
}
