package system

import "dcv-session-broker/internal/local/fleet"

// heldTo is whose host one is that is given the tag DcvOwner, if nobody says whose.
const heldTo = "user1"

// hostActions are what the control API does to a host, by the last part of the
// path. internal/local/README.md, "The control API", says what each of them is.
var hostActions = map[string]func(*fleet.Fleet, string) error{
	"stop":      (*fleet.Fleet).Stop,
	"hibernate": (*fleet.Fleet).Hibernate,
	"start":     (*fleet.Fleet).Start,
	"terminate": (*fleet.Fleet).Terminate,

	"disconnect": (*fleet.Fleet).Disconnect, "reconnect": (*fleet.Fleet).Reconnect,
	"silence": (*fleet.Fleet).Silence, "speak": (*fleet.Fleet).Speak,
	"lose-events": (*fleet.Fleet).LoseEvents, "deliver-events": (*fleet.Fleet).DeliverEvents,
	"unmanage": (*fleet.Fleet).Unmanage, "manage": (*fleet.Fleet).Manage,

	"untag": (*fleet.Fleet).Untag, "tag": (*fleet.Fleet).Tag,
	"stop-when-empty": (*fleet.Fleet).StopWhenEmpty, "keep-when-empty": (*fleet.Fleet).KeepWhenEmpty,
	"owner-tag":    func(f *fleet.Fleet, hostID string) error { return f.SetOwnerTag(hostID, heldTo) }, // without a body
	"no-owner-tag": func(f *fleet.Fleet, hostID string) error { return f.SetOwnerTag(hostID, "") },
	"take-profile": (*fleet.Fleet).TakeProfile, "give-profile": (*fleet.Fleet).GiveProfile,
	"downgrade": (*fleet.Fleet).Downgrade, "upgrade": (*fleet.Fleet).Upgrade,

	"break": (*fleet.Fleet).Break,
	"mute":  (*fleet.Fleet).Mute,
	"flood": (*fleet.Fleet).Flood,
	"mend":  (*fleet.Fleet).Mend,

	"none-as-text":    (*fleet.Fleet).NoneAsText,
	"none-as-newline": (*fleet.Fleet).NoneAsNewline,
	"none-as-nothing": (*fleet.Fleet).NoneAsNothing,
	"none-as-list":    (*fleet.Fleet).NoneAsList,

	"make-noise": (*fleet.Fleet).MakeNoise, "stop-noise": (*fleet.Fleet).StopNoise,
	"no-exec":     (*fleet.Fleet).NoExec,
	"fill-disk":   (*fleet.Fleet).FillDisk,
	"kill-worker": (*fleet.Fleet).KillWorker,
	"mend-agent":  (*fleet.Fleet).MendAgent,
}
