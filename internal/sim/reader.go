package sim

import (
	"context"
	"fmt"
	"time"

	"dcv-session-broker/internal/memtable"
	"dcv-session-broker/internal/session"
)

// readerOf is the reader of describeSessions and dry runs.
type readerOf tableOf

func (r readerOf) read(ctx context.Context, what string, read func(memtable.Reader) error) (err error) {
	r.w.counts(&r.inv.calls.reads)
	r.w.park(r.inv, ctx, what, func() bool {
		if err = r.w.readFault(r.inv, ctx, what); err == nil {
			r.w.say(r.inv, "%s", what)
			err = read(memtable.Reader{Table: r.w.table})
		}
		return true
	}, nil)
	return err
}

func (r readerOf) Get(ctx context.Context, ids []string) (records []session.Record, err error) {
	defer func() { r.inv.rule.reads(records) }()
	err = r.read(ctx, fmt.Sprintf("get %d records", len(ids)), func(reader memtable.Reader) (err error) {
		records, err = reader.Get(context.Background(), ids)
		return err
	})
	for i, record := range records {
		records[i] = r.inv.shows(record)
	}
	return records, err
}

func (r readerOf) Owned(ctx context.Context, owner, after string, limit int) (records []session.Record, more bool, err error) {
	err = r.read(ctx, "query by-owner "+owner, func(reader memtable.Reader) (err error) {
		records, more, err = reader.Owned(context.Background(), owner, after, limit)
		return err
	})
	return records, more, err
}

// OnHost may show a record as it was a moment ago, as indexOf does.
func (r readerOf) OnHost(ctx context.Context, hostID, after string, limit int) ([]session.Record, bool, error) {
	records, more, err := indexOf(r).onHost(ctx, hostID, after, limit)
	r.inv.rule.reads(records)
	return records, more, err
}

func (r readerOf) All(ctx context.Context, after string, limit int) (records []session.Record, more bool, err error) {
	defer func() { r.inv.rule.reads(records) }()
	err = r.read(ctx, "scan the table", func(reader memtable.Reader) (err error) {
		records, more, err = reader.All(context.Background(), after, limit)
		return err
	})
	return records, more, err
}

// hostTableOf is the Hosts table as an invocation uses it.
type hostTableOf tableOf

// do makes a call land: it may fail before that, or its answer may be lost.
func (t hostTableOf) do(ctx context.Context, what string, call func(context.Context)) (err error) {
	t.w.counts(&t.inv.calls.hostReads)
	t.w.park(t.inv, ctx, what, func() bool {
		fails := func(f fault) bool {
			t.inv.faulty = true
			t.w.say(t.inv, "FAULT: %s: %s", f, what)
			err = fmt.Errorf("hosts table: %s", f)
			return true
		}
		switch {
		case ctx.Err() != nil:
			return fails(slowCall)
		case t.w.meets(hostTableFails):
			return fails(hostTableFails)
		}
		call(context.Background())
		if t.w.meets(hostTableAnswerLost) {
			return fails(hostTableAnswerLost)
		}
		t.w.say(t.inv, "hosts table: %s", what)
		return true
	}, func() { call(context.Background()) })
	return err
}

func (t hostTableOf) RecordInventorySent(ctx context.Context, at time.Time) error {
	t.inv.sent = true // in parts, perhaps to nobody
	return t.do(ctx, "inventory sent at "+session.FormatTime(at), func(ctx context.Context) {
		_ = t.w.hostTable.RecordInventorySent(ctx, at)
		t.w.inventoriesSent = append(t.w.inventoriesSent, at)
	})
}

func (t hostTableOf) LastInventories(ctx context.Context) (sent []time.Time, err error) {
	err = t.do(ctx, "the last inventories", func(ctx context.Context) { sent, _ = t.w.hostTable.LastInventories(ctx) })
	return sent, err
}

func (t hostTableOf) ForgetInventory(ctx context.Context, at time.Time) error {
	return t.do(ctx, "no inventory at "+session.FormatTime(at), func(ctx context.Context) { _ = t.w.hostTable.ForgetInventory(ctx, at) })
}

func (t hostTableOf) Newest(ctx context.Context, hostIDs []string) (newest map[string]time.Time, err error) {
	err = t.do(ctx, fmt.Sprintf("newest inventories of %q", hostIDs), func(ctx context.Context) { newest, _ = t.w.hostTable.Newest(ctx, hostIDs) })
	return newest, err
}

func (t hostTableOf) Notes(ctx context.Context, hostIDs []string) (notes map[string]session.HostNote, err error) {
	err = t.do(ctx, fmt.Sprintf("notes of %q", hostIDs), func(ctx context.Context) { notes, _ = t.w.hostTable.Notes(ctx, hostIDs) })
	return notes, err
}

func (t hostTableOf) RecordAnswer(ctx context.Context, a session.HostAnswer) (fresh bool, tag session.OwnerTag, err error) {
	err = t.do(ctx, a.HostID+" answered that of "+session.FormatTime(a.SentAt), func(ctx context.Context) {
		t.w.note(a)
		fresh, tag, _ = t.w.hostTable.RecordAnswer(ctx, a)
		t.inv.heldTo[a.HostID] = t.w.keptTag(a.HostID)
		of := t.w.model.noted[a.HostID]
		of[len(of)-1].fresh = fresh
	})
	if t.inv.older || err != nil {
		tag = session.OwnerTag{}
	}
	return fresh, tag, err
}

func (t hostTableOf) RecordOwnerTag(ctx context.Context, hostID string, tag session.OwnerTag) error {
	if t.inv.older {
		return nil
	}
	return t.do(ctx, fmt.Sprintf("%s is held to %q", hostID, tag.Owner), func(ctx context.Context) {
		t.w.keepsTag(t.inv, hostID, func() { _ = t.w.hostTable.RecordOwnerTag(ctx, hostID, tag) })
	})
}

func (t hostTableOf) AnsweredBefore(ctx context.Context, before time.Time, limit int) (hostIDs []string, err error) {
	err = t.do(ctx, "quiet before "+session.FormatTime(before), func(ctx context.Context) { hostIDs, _ = t.w.hostTable.AnsweredBefore(ctx, before, limit) })
	return hostIDs, err
}

func (t hostTableOf) AddHost(ctx context.Context, hostID string, then time.Time) error {
	return t.do(ctx, "expect "+hostID, func(ctx context.Context) { _ = t.w.hostTable.AddHost(ctx, hostID, then) })
}

func (t hostTableOf) MarkSilent(ctx context.Context, hostID string, before time.Time) (marked bool, err error) {
	err = t.do(ctx, "silence "+hostID, func(ctx context.Context) { marked, _ = t.w.hostTable.MarkSilent(ctx, hostID, before) })
	return marked, err
}

func (t hostTableOf) WalkedTo(ctx context.Context) (hostID string, err error) {
	if t.inv.older {
		return "", nil
	}
	err = t.do(ctx, "how far hosts were looked at", func(ctx context.Context) { hostID, _ = t.w.hostTable.WalkedTo(ctx) })
	return hostID, err
}

func (t hostTableOf) RecordWalkedTo(ctx context.Context, hostID string) error {
	if t.inv.older {
		return nil
	}
	return t.do(ctx, "hosts were looked at until "+hostID, func(ctx context.Context) { _ = t.w.hostTable.RecordWalkedTo(ctx, hostID) })
}

func (t hostTableOf) Silences(ctx context.Context, hostIDs []string) (silences map[string]session.Silence, err error) {
	err = t.do(ctx, fmt.Sprintf("silences of %q", hostIDs), func(ctx context.Context) { silences, _ = t.w.hostTable.Silences(ctx, hostIDs) })
	return silences, err
}

func (t hostTableOf) RecordAsked(ctx context.Context, hostID string, at time.Time) error {
	return t.do(ctx, "asked EC2 about "+hostID, func(ctx context.Context) { _ = t.w.hostTable.RecordAsked(ctx, hostID, at) })
}

func (t hostTableOf) RecordRefused(ctx context.Context, hostIDs []string, at time.Time) error {
	return t.do(ctx, fmt.Sprintf("refused %q", hostIDs), func(ctx context.Context) { _ = t.w.hostTable.RecordRefused(ctx, hostIDs, at) })
}

func (t hostTableOf) RefusedHosts(ctx context.Context, limit int) (hosts []session.RefusedHost, err error) {
	if t.inv.older {
		return nil, nil
	}
	err = t.do(ctx, "which hosts were refused", func(ctx context.Context) { hosts, _ = t.w.hostTable.RefusedHosts(ctx, limit) })
	return hosts, err
}

func (t hostTableOf) ForgetRefused(ctx context.Context, noted session.RefusedHost) error {
	return t.do(ctx, "was asked about, no longer refused: "+noted.HostID, func(ctx context.Context) { _ = t.w.hostTable.ForgetRefused(ctx, noted) })
}
