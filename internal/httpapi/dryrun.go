package httpapi

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/aws/aws-lambda-go/events"
)

// ParseDryRun reads ?dryRun=, and returns its fault, if it has one. The gateway joins
// the values of a parameter that occurs twice.
func ParseDryRun(req events.APIGatewayV2HTTPRequest) (dryRun bool, faults []Fault) {
	for _, key := range slices.Sorted(maps.Keys(req.QueryStringParameters)) {
		if key != "dryRun" && meansDryRun(key) {
			return false, []Fault{{Field: "dryRun", Reason: fmt.Sprintf("is spelled dryRun, not %.20q", key)}}
		}
	}
	switch text, there := req.QueryStringParameters["dryRun"]; {
	case !there || text == "false":
		return false, nil
	case text == "true":
		return true, nil
	}
	return false, []Fault{{Field: "dryRun", Reason: "is not true or false"}}
}

// meansDryRun tells whether a key may have been meant as dryRun: such a request must
// not be carried out as a real one. Libraries write keys in many ways (dryRun[],
// dry.run), people in more (dryRun%20), and a key that was encoded twice is still
// encoded.
func meansDryRun(key string) bool {
	for {
		plain := strings.Map(func(r rune) rune {
			if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
				return -1
			}
			return unicode.ToLower(r)
		}, key)
		if strings.Contains(plain, "dryrun") {
			return true
		}
		decoded, err := url.QueryUnescape(key)
		if err != nil || len(decoded) == len(key) {
			return false // each decoding makes it shorter
		}
		key = decoded
	}
}
