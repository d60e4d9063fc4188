package runcommand

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"strings"
)

// An answer that does not fit is packed: in place of its lines there is one,
//
//	{"gzip":"BASE64"}
//
// which is those very lines. Some 370 sessions with random IDs fit into the 24,000
// characters that are kept of a script's standard output. Base64 also keeps the
// agent's reply short: in its JSON a "<" takes six bytes, users choose the names of
// sessions, and a reply of more than 120,000 bytes is dropped (amazon-ssm-agent,
// mgsinteractor/utils). Where the line was cut, what came before can be unpacked.
const (
	packedBegins = `{"gzip":"`
	packedEnds   = `"}`
)

// Bounds of an answer, since a hostile host can make 18 MB of its 18 KB. An answer
// within them has 500 sessions with texts of a kilobyte, or 2,000 with short ones. An
// answer beyond them is read up to the bound, and counts as incomplete.
const (
	maxUnpackedBytes = 512 << 10
	maxSurveyLines   = 2_000
)

// unpack returns the lines of an answer. whole tells whether all of them are there, as
// far as the packing shows.
func unpack(output string) (lines string, whole bool) {
	before, packed, isPacked := cutAtLine(output, packedBegins)
	if !isPacked {
		return output, true
	}
	text, after := base64Part(packed)
	lines, whole = gunzip(text)
	whole = whole && strings.HasPrefix(after, packedEnds)
	if whole {
		lines += "\n" + strings.TrimPrefix(after, packedEnds)
	}
	return before + lines, whole
}

// cutAtLine is strings.Cut, but finds the separator only at the beginning of a line.
func cutAtLine(s, prefix string) (before, after string, found bool) {
	if after, found = strings.CutPrefix(s, prefix); found {
		return "", after, true
	}
	before, after, found = strings.Cut(s, "\n"+prefix)
	return before + "\n", after, found
}

func base64Part(s string) (text, after string) {
	n := strings.IndexFunc(s, func(r rune) bool {
		return r > '~' || r != '/' && r != '+' && r != '=' && (!plain(byte(r)) || r == '.' || r == '_' || r == '-')
	})
	if n < 0 {
		n = len(s)
	}
	return s[:n], s[n:]
}

// gunzip returns as much as can be read, without an incomplete line at its end.
func gunzip(text string) (lines string, whole bool) {
	packed, decodingFailed := base64.StdEncoding.DecodeString(text[:len(text)/4*4])
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return "", false
	}
	unpacked, err := io.ReadAll(io.LimitReader(r, maxUnpackedBytes+1))
	if err == nil && decodingFailed == nil && len(text)%4 == 0 && len(unpacked) <= maxUnpackedBytes {
		return string(unpacked), true
	}
	return string(unpacked[:bytes.LastIndexByte(unpacked, '\n')+1]), false
}
