package deletesessions

import "dcv-session-broker/internal/httpapi"

// Bodies are the bodies of answers, by the name of their schema in the contract.
var Bodies = map[string]any{
	"DeleteSessionsResponse":            deleteAnswer{},
	"DeleteSessionSuccessfulResponse":   successful{},
	"DeleteSessionUnsuccessfulResponse": unsuccessful{},
	"DryRunSession":                     hit{},
	"ErrorResponse":                     httpapi.ErrorResponse{},
	"Fault":                             httpapi.Fault{},
}
