package httpapi

// Bodies are the bodies of answers, by the name of their schema in the contract.
var Bodies = map[string]any{
	"DeleteSessionsResponse":            deleteAnswer{},
	"DeleteSessionSuccessfulResponse":   successful{},
	"DeleteSessionUnsuccessfulResponse": unsuccessful{},
	"ErrorResponse":                     fault{},
	"Fault":                             Fault{},
}
