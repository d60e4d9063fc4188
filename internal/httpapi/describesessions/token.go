package describesessions

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// A NextToken is base64url of: the version, a checksum of the query, and the ID after
// which the page begins. It needs no secret: the request alone decides about the query,
// and an invented token can only begin at another position in it.
const (
	tokenVersion = 1
	sumBytes     = 8
	// maxTokenIDBytes is the limit of a sort key, which the ID is in the index by owner
	// (DynamoDB developer guide, "Service, account, and table quotas").
	maxTokenIDBytes = 1024
	maxTokenChars   = 2048
)

// token returns the NextToken of the page that begins after the ID.
func (q query) token(after string) string {
	text := append([]byte{tokenVersion}, q.sum()...)
	return base64.RawURLEncoding.EncodeToString(append(text, after...))
}

// place returns the ID after which the page of the token begins.
func (q query) place(token string) (after, fault string) {
	if len(token) > maxTokenChars {
		return "", fmt.Sprintf("is longer than %d characters", maxTokenChars)
	}
	const unknown = "is not a NextToken of this API"
	text, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(text) == 0 || strings.ContainsAny(token, "\r\n") { // Go's base64 ignores line breaks
		return "", unknown
	}
	if text[0] != tokenVersion {
		return "", "is of another version of this API: begin again without it"
	}
	if len(text) <= 1+sumBytes || len(text) > 1+sumBytes+maxTokenIDBytes {
		return "", unknown
	}
	sum, id := text[1:1+sumBytes], text[1+sumBytes:]
	if !utf8.Valid(id) {
		return "", unknown
	}
	if !bytes.Equal(sum, q.sum()) || len(q.IDs) > 0 && !slices.Contains(q.IDs, string(id)) {
		return "", "belongs to another request: SessionIds and Filters must be those of the first page"
	}
	return string(id), ""
}

// sum returns a checksum of the query's selection; the page size and the details may
// change between pages.
func (q query) sum() []byte {
	text := fmt.Appendf(nil, "%q %q %t", q.IDs, q.Owner, q.nothing)
	if q.HostID != "" { // tokens of older brokers have no host
		text = fmt.Appendf(text, " %q", q.HostID)
	}
	sum := sha256.Sum256(text)
	return sum[:sumBytes]
}
