package system

import "dcv-session-broker/internal/local/fleet"

// defaultOwnerTag is the value of the tag DcvOwner if the request names no owner.
const defaultOwnerTag = "user1"

// hostActions are the control API's actions on a host, by the last part of the path.
// internal/local/README.md, "The control API", explains them.
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
	"owner-tag":    func(f *fleet.Fleet, hostID string) error { return f.SetOwnerTag(hostID, defaultOwnerTag) }, // without a body
	"no-owner-tag": func(f *fleet.Fleet, hostID string) error { return f.SetOwnerTag(hostID, "") },
	"take-profile": (*fleet.Fleet).TakeProfile, "give-profile": (*fleet.Fleet).GiveProfile,
	"downgrade": (*fleet.Fleet).Downgrade, "upgrade": (*fleet.Fleet).Upgrade,

	"break": (*fleet.Fleet).Break,
	"mute":  (*fleet.Fleet).Mute,
	"flood": (*fleet.Fleet).Flood,
	"mend":  (*fleet.Fleet).Repair,

	"none-as-text":    (*fleet.Fleet).NoneAsText,
	"none-as-newline": (*fleet.Fleet).NoneAsNewline,
	"none-as-nothing": (*fleet.Fleet).NoneAsNothing,
	"none-as-list":    (*fleet.Fleet).NoneAsList,

	"make-noise": (*fleet.Fleet).MakeNoise, "stop-noise": (*fleet.Fleet).StopNoise,
	"no-exec":     (*fleet.Fleet).NoExec,
	"fill-disk":   (*fleet.Fleet).FillDisk,
	"kill-worker": (*fleet.Fleet).KillWorker,
	"mend-agent":  (*fleet.Fleet).RepairAgent,
}
