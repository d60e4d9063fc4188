package sim

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"dcv-session-broker/internal/session"
)

// A document is a command document: its steps, and the model of its script.
type document struct {
	steps []step
	begin func(*onHost)
}

type step struct{ name, platform string }

func (d document) isFor(platform string) bool {
	return slices.ContainsFunc(d.steps, func(s step) bool { return s.platform == platform })
}

// A command is one that was sent by SendCommand.
type command struct {
	id, document, comment string
	sentAt, deliverBy     time.Time
	on                    []*onHost
	// ended is its status if it ended as a whole before it reached a host; it is shown from
	// endsAt on.
	ended  string
	endsAt time.Time
	to     []string // the hosts that it names

	attempt   string    // of a close command
	notice    string    // of a warning: its ID
	closeAt   time.Time // of a warning, as its comment says
	closesAt  int64     // the same, as the host is told
	text      string    // of a notice
	asks      map[string][]ask
	voidAfter int64
	surveyOf  time.Time // when an inventory or idle command says that it was sent
	idle      time.Duration
	warn      time.Duration // users are warned so long before the limit; zero: never
}

// newCommand reads the command of a call.
func newCommand(in *ssm.SendCommandInput, now time.Time) *command {
	cmd := &command{
		document: aws.ToString(in.DocumentName), comment: aws.ToString(in.Comment),
		to: in.InstanceIds, sentAt: now, deliverBy: now.Add(time.Duration(aws.ToInt32(in.TimeoutSeconds)) * time.Second),
	}
	switch cmd.document {
	case closeDocument:
		cmd.attempt = strings.TrimPrefix(cmd.comment, "close ")
		cmd.asks = parseSessions(in.Parameters["sessions"][0])
		cmd.voidAfter, _ = strconv.ParseInt(in.Parameters["voidAfter"][0], 10, 64)
	case notifyDocument:
		cmd.readNotice(in)
	case idleDocument:
		minutes, _ := strconv.Atoi(in.Parameters["idleMinutes"][0])
		cmd.idle = time.Duration(minutes) * time.Minute
		if seconds, given := in.Parameters["warnSeconds"]; given {
			n, _ := strconv.Atoi(seconds[0])
			cmd.warn = time.Duration(n) * time.Second
		}
		fallthrough
	case inventoryDocument:
		cmd.surveyOf, _ = time.Parse("2006-01-02T15:04:05.000Z", cmd.comment[strings.LastIndex(cmd.comment, " ")+1:])
	}
	return cmd
}

// readNotice reads what a notice says.
func (c *command) readNotice(in *ssm.SendCommandInput) {
	fields := strings.Fields(c.comment)
	if fields[0] == "notify" {
		c.notice = fields[1]
		c.closeAt, _ = time.Parse(session.TimeFormat, fields[2])
	}
	text, err := base64.StdEncoding.DecodeString(in.Parameters["text"][0])
	if err != nil {
		panic(err)
	}
	c.text = string(text)
	c.asks = parseSessions(in.Parameters["sessions"][0])
	c.closesAt, _ = strconv.ParseInt(in.Parameters["closeAt"][0], 10, 64)
	c.voidAfter, _ = strconv.ParseInt(in.Parameters["voidAfter"][0], 10, 64)
}

func (w *world) command(id string) *command {
	for _, c := range w.commands {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (c *command) invocations() []*onHost {
	if c == nil {
		return nil
	}
	return c.on
}

// onHost is a command's part on one host.
type onHost struct {
	command         *command
	machine         *machine
	status, details string
	output, stderr  string
	code            int32
	finishedAt      time.Time
	begun, over     bool
	works           bool // one of the agent's workers has it
	died            bool // the agent's worker, or its host, died; the status details say so

	said     map[string]string // a close's results, by session, as printed
	lists    []found           // an inventory's
	complete bool
	closed   []found // by the closing of idle sessions
}

type found struct {
	name    string
	created string
}

// An ask is one session that a host must close, or whose users it must notify: key is the
// encoded session ID that was sent.
type ask struct {
	key, sessionID, name string
	created              time.Time // the incarnation, or, with latest, the last that may be meant
	latest               bool
	order                int64 // of a notice
}

// parseSessions reads the parameter of the close document, or of the notify document.
func parseSessions(text string) map[string][]ask {
	asks := map[string][]ask{}
	for group := range strings.SplitSeq(text, ";") {
		hostID, tokens, _ := strings.Cut(group, "=")
		for token := range strings.SplitSeq(tokens, ",") {
			at := strings.IndexAny(token, "@~")
			key, name, other := strings.Cut(token[:at], "/")
			a := ask{key: key, sessionID: decoded(key), name: decoded(key), latest: token[at] == '~'}
			if other {
				a.name = decoded(name)
			}
			incarnation, order, ordered := strings.Cut(token[at+1:], ":")
			micros, err := strconv.ParseInt(incarnation, 36, 64)
			if err != nil {
				panic(err)
			}
			a.created = time.UnixMicro(micros).UTC()
			if ordered {
				if a.order, err = strconv.ParseInt(order, 36, 64); err != nil {
					panic(err)
				}
			}
			asks[hostID] = append(asks[hostID], a)
		}
	}
	return asks
}

func decoded(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			panic(err)
		}
		b.WriteByte(byte(n))
		i += 2
	}
	return b.String()
}
