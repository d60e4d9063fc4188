package session

import (
	"context"
	"log/slog"
	"maps"
	"strconv"
	"strings"
	"time"
)

// joinLines returns a logger for a step with several sessions, and write. Lines of
// level INFO that say the same of several sessions become one line, since logs are
// billed by the byte. Other lines are written unchanged. The step calls write before
// anything that may hang.
//
// A joined line has no SessionId. Its SessionList has a part for each session, with
// what differs: "HostId=i-1 SessionId=s1; HostId=i-2 SessionId=s2;". It is text, and
// not an array, since CloudWatch Logs searches the text of an attribute. Each part ends
// with its session's ID and ";", so that "SessionId=s1;" does not find s10.
func joinLines(log *slog.Logger) (joined *slog.Logger, write func()) {
	lines := &joinedLines{next: log.Handler(), place: map[string]int{}}
	return slog.New(&lineJoiner{lines, nil}), lines.write
}

// The attributes of a joined line.
const (
	logSessionID   = "SessionId"
	logSessionList = "SessionList"
)

// maxJoined is how many sessions a line has at most: longer lines are hard to read, and
// save little.
const maxJoined = 25

type joinedLines struct {
	next slog.Handler
	// groups are the lines to join, in the order of the first of each; place is the index
	// of a group by what its lines have in common.
	groups [][]slog.Record
	place  map[string]int
}

// A lineJoiner is the handler of that logger.
type lineJoiner struct {
	*joinedLines
	attrs []slog.Attr
}

func (j *lineJoiner) Enabled(ctx context.Context, level slog.Level) bool {
	return j.next.Enabled(ctx, level)
}

func (j *lineJoiner) Handle(_ context.Context, r slog.Record) error {
	line := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	line.AddAttrs(j.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		line.AddAttrs(a)
		return true
	})
	if r.Level != slog.LevelInfo || !joinable(line) {
		j.groups = append(j.groups, []slog.Record{line})
		return nil
	}
	what := inCommon(line)
	i, begun := j.place[what]
	if !begun {
		i = len(j.groups)
		j.place[what], j.groups = i, append(j.groups, nil)
	}
	j.groups[i] = append(j.groups[i], line)
	return nil
}

func (j *lineJoiner) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &lineJoiner{j.joinedLines, append(j.attrs[:len(j.attrs):len(j.attrs)], attrs...)}
}

func (j *lineJoiner) WithGroup(string) slog.Handler { return j } // no line has groups

// write writes what was collected.
func (j *joinedLines) write() {
	for _, group := range j.groups {
		for len(group) > 0 {
			some := group[:min(len(group), maxJoined)]
			group = group[len(some):]
			_ = j.next.Handle(context.Background(), join(some)) // whose error a logger ignores, too
		}
	}
	j.groups, j.place = nil, map[string]int{}
}

// A value in a list has no space, no semicolon and no equals sign. A line with an ID
// that has one of these is not joined, so that a search finds this ID and no other.
var (
	toList   = strings.NewReplacer("%", "%25", " ", "%20", ";", "%3B", "=", "%3D")
	fromList = strings.NewReplacer("%25", "%", "%20", " ", "%3B", ";", "%3D", "=")
)

func joinable(line slog.Record) (is bool) {
	line.Attrs(func(a slog.Attr) bool {
		if a.Key == logSessionID {
			is = a.Value.String() == toList.Replace(a.Value.String())
			return false
		}
		return true
	})
	return is
}

// attributes are those of a line, without what was measured.
func attributes(line slog.Record) (attrs, measured []slog.Attr) {
	line.Attrs(func(a slog.Attr) bool {
		if _, is := a.Value.Any().(Measurement); is {
			measured = append(measured, a)
		} else {
			attrs = append(attrs, a)
		}
		return true
	})
	return attrs, measured
}

// searched are IDs that operators search in their own attribute. Lines are not joined
// if these differ.
var searched = map[string]bool{"RequestId": true, "AttemptId": true, "CommandId": true}

// inCommon returns what joined lines have in common: the message, the attributes, and
// equal values.
func inCommon(line slog.Record) string {
	var what strings.Builder
	what.WriteString(line.Message)
	line.Attrs(func(a slog.Attr) bool {
		if _, measured := a.Value.Any().(Measurement); !measured {
			what.WriteString("\n" + a.Key)
			if searched[a.Key] {
				what.WriteString("=" + a.Value.String())
			}
		}
		return true
	})
	return what.String()
}

func join(lines []slog.Record) slog.Record {
	if len(lines) == 1 {
		return lines[0]
	}
	joined := slog.NewRecord(lines[0].Time, lines[0].Level, lines[0].Message, lines[0].PC)
	all := make([][]slog.Attr, len(lines))
	for n, line := range lines {
		attrs, measured := attributes(line)
		all[n] = attrs
		joined.AddAttrs(measured...)
	}
	parts := make([][]string, len(lines)) // of the list
	ids := make([]string, len(lines))
	for i, a := range all[0] {
		same := a.Key != logSessionID
		for _, attrs := range all {
			same = same && text(attrs[i].Value) == text(a.Value)
		}
		if same {
			joined.AddAttrs(a)
			continue
		}
		for n, attrs := range all {
			if part := a.Key + "=" + toList.Replace(text(attrs[i].Value)); a.Key == logSessionID {
				ids[n] = part
			} else {
				parts[n] = append(parts[n], part)
			}
		}
	}
	list := make([]string, len(lines))
	for n := range lines {
		list[n] = strings.Join(append(parts[n], ids[n]), " ") + ";"
	}
	joined.AddAttrs(slog.String(logSessionList, strings.Join(list, " ")))
	return joined
}

// text is a value as in lines of JSON, where a text can say the same.
func text(v slog.Value) string {
	switch v.Kind() {
	case slog.KindTime:
		return v.Time().Format(time.RFC3339Nano)
	case slog.KindFloat64:
		return strconv.FormatFloat(v.Float64(), 'f', -1, 64)
	}
	return v.String()
}

// SplitLine splits a joined log line into its lines, with the values that differ as
// text. It returns any other line unchanged.
func SplitLine(line map[string]any) []map[string]any {
	list, is := line[logSessionList].(string)
	if !is {
		return []map[string]any{line}
	}
	var lines []map[string]any
	for part := range strings.SplitSeq(strings.TrimSuffix(list, ";"), "; ") {
		of := maps.Clone(line)
		delete(of, logSessionList)
		for field := range strings.SplitSeq(part, " ") {
			name, value, _ := strings.Cut(field, "=")
			of[name] = fromList.Replace(value)
		}
		lines = append(lines, of)
	}
	return lines
}
