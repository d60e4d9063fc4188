package runcommand

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

// The parameter `sessions` of the close document:
//
//	sessions = group *( ";" group )
//	group    = hostID "=" session *( "," session )
//	session  = key [ "/" name ] ( "@" time / "~" time )
//
// key is the session's ID, name its ID on the host where that differs, both
// percent-encoded; time is in microseconds since 1970, in base 36. After "@"
// it is the creation time of the incarnation to be closed; after "~" the latest
// creation time that may be closed. No character of it means anything to a
// shell between double quotes, nor to Systems Manager's own {{ }}: an old agent
// pastes the value into the script.
//
// It is this terse because 500 sessions on 50 hosts must fit into one command:
// Systems Manager limits the document, with its parameters pasted in, to 64 KB.

// hostIDPattern is SendCommand's own pattern for InstanceIds: one ID that does
// not match fails the call for all.
func hostIDPattern(id string) bool {
	rest, isInstance := strings.CutPrefix(id, "i-")
	if !isInstance {
		var isManaged bool
		if rest, isManaged = strings.CutPrefix(id, "mi-"); !isManaged || len(rest) != 17 {
			return false
		}
	}
	if len(rest) != 8 && len(rest) != 17 {
		return false
	}
	for _, c := range []byte(rest) {
		if !plain(c) || c == '.' || c == '-' {
			return false
		}
	}
	return true
}

func encodeSession(c session.Closing) string {
	var b strings.Builder
	b.WriteString(encodeID(c.SessionID))
	if c.NameOnHost != c.SessionID {
		b.WriteByte('/')
		b.WriteString(encodeID(c.NameOnHost))
	}
	// A creation time that cannot be read names no incarnation.
	if created, err := time.Parse(time.RFC3339Nano, c.CreationTime); err == nil {
		b.WriteByte('@')
		b.WriteString(encodeTime(created))
	} else {
		b.WriteByte('~')
		b.WriteString(encodeTime(c.CreatedUntil))
	}
	return b.String()
}

func encodeTime(t time.Time) string { return strconv.FormatInt(max(t.UnixMicro(), 0), 36) }

const hexDigits = "0123456789ABCDEF"

// encodeID is percent-encoding that leaves only letters, digits, ".", "_" and
// "-" as they are.
func encodeID(id string) string {
	var b strings.Builder
	for _, c := range []byte(id) {
		if plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

var errNotEncoded = errors.New("not a percent-encoded ID")

// decodeID is the inverse of encodeID; it takes nothing that encodeID does not
// give.
func decodeID(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if plain(s[i]) {
			b = append(b, s[i])
			continue
		}
		if s[i] != '%' || i+2 >= len(s) {
			return "", errNotEncoded
		}
		hi, lo := strings.IndexByte(hexDigits, s[i+1]), strings.IndexByte(hexDigits, s[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return "", errNotEncoded
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	return string(b), nil
}
