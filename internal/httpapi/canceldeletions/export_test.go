package canceldeletions

import "dcv-session-broker/internal/httpapi"

// Bodies are the bodies of answers, by the name of their schema in the contract.
var Bodies = map[string]any{
	"CancelDeletionsResponse":            cancelAnswer{},
	"CancelDeletionSuccessfulResponse":   successful{},
	"CancelDeletionUnsuccessfulResponse": unsuccessful{},
	"ErrorResponse":                      httpapi.ErrorResponse{},
	"Fault":                              httpapi.Fault{},
}
