package runcommand

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"dcv-session-broker/internal/session"
)

const (
	// maxHosts is SendCommand's limit of InstanceIds.
	maxHosts = 50

	// maxClosingChars and maxNoticeChars are the `maxChars` of the parameter `sessions`
	// of the close and the notify document. The document's text and twice its
	// parameters (each step holds them) stay below 60 KB; the service accepts 64 KB.
	maxClosingChars = 22_000
	maxNoticeChars  = 13_000

	// maxOutputChars is how much of a host's stdout GetCommandInvocation returns.
	// lineChars is the longest line of a session without its ID: the frame
	// {"id":"","result":"replaced","reason":""} and an 80-character reason.
	maxOutputChars = 24_000
	lineChars      = 124
)

// A command is one SendCommand, with each of its hosts once.
type command struct{ groups []group }

// A group is the part of a command for one host.
type group struct {
	hostID   string
	sessions []string
	places   []int // of their answers
	// chars is the size of the group in the parameter, outputChars the largest size of
	// its answer.
	chars, outputChars int
}

func (c command) hostIDs() []string {
	ids := make([]string, len(c.groups))
	for i, g := range c.groups {
		ids[i] = g.hostID
	}
	return ids
}

func (c command) parameter() string {
	parts := make([]string, len(c.groups))
	for i, g := range c.groups {
		parts[i] = g.hostID + "=" + strings.Join(g.sessions, ",")
	}
	return strings.Join(parts, ";")
}

// split makes as few commands as the limits allow: ⌈hosts/50⌉ if the parameters and
// each host's output fit.
func split(items []item, maxChars int) []command {
	// groupsOf returns the groups of each host: one, or more if the answer to one would
	// be cut.
	var hosts []string
	groupsOf := map[string][]group{}
	rounds := 0
	for _, it := range items {
		if groupsOf[it.hostID] == nil {
			hosts = append(hosts, it.hostID)
		}
		groupsOf[it.hostID] = add(groupsOf[it.hostID], it, maxChars)
		rounds = max(rounds, len(groupsOf[it.hostID]))
	}

	var commands []command
	for round := range rounds {
		var cmd command
		chars := 0
		for _, hostID := range hosts {
			if round >= len(groupsOf[hostID]) {
				continue
			}
			g := groupsOf[hostID][round]
			if len(cmd.groups) == maxHosts || len(cmd.groups) > 0 && chars+g.chars > maxChars {
				commands = append(commands, cmd)
				cmd, chars = command{}, 0
			}
			cmd.groups = append(cmd.groups, g)
			chars += g.chars
		}
		commands = append(commands, cmd)
	}
	return commands
}

func add(groups []group, it item, maxChars int) []group {
	key := it.session[:strings.IndexAny(it.session, "/@~")]
	chars, outputChars := len(it.session)+1, len(key)+lineChars+1
	if n := len(groups); n == 0 ||
		groups[n-1].chars+chars > maxChars ||
		groups[n-1].outputChars+outputChars > maxOutputChars {
		groups = append(groups, group{hostID: it.hostID, chars: len(it.hostID) + 1})
	}
	g := &groups[len(groups)-1]
	g.sessions = append(g.sessions, it.session)
	g.places = append(g.places, it.place)
	g.chars += chars
	g.outputChars += outputChars
	return groups
}

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
// It is short because 500 sessions on 50 hosts must fit into one command:
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

func encodeIncarnation(of session.Incarnation) string {
	var b strings.Builder
	b.WriteString(encodeID(of.SessionID))
	if of.NameOnHost != of.SessionID {
		b.WriteByte('/')
		b.WriteString(encodeID(of.NameOnHost))
	}
	// A creation time that cannot be read names no incarnation.
	if created, err := time.Parse(time.RFC3339Nano, of.CreationTime); err == nil {
		b.WriteByte('@')
		b.WriteString(encodeTime(created))
	} else {
		b.WriteByte('~')
		b.WriteString(encodeTime(of.CreatedUntil))
	}
	return b.String()
}

func encodeTime(t time.Time) string { return strconv.FormatInt(max(t.UnixMicro(), 0), 36) }

const hexDigits = "0123456789ABCDEF"

// encodeID returns the ID in percent-encoding. Only letters, digits, ".", "_" and "-"
// are unchanged.
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

// decodeID is the inverse of encodeID. It accepts only what encodeID returns.
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
