package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/smithy-go"

	"dcv-session-broker/internal/awsenv"
)

// Handler serves Systems Manager's operations over HTTP, in AWS's JSON 1.1 protocol, so that any SDK's client works
// with it, given the endpoint. It does not check signatures.
func (f *Fleet) Handler() http.Handler {
	operations := map[string]http.HandlerFunc{
		"CancelCommand":               operation(f.CancelCommand),
		"DescribeDocument":            operation(f.DescribeDocument),
		"DescribeInstanceInformation": operation(f.DescribeInstanceInformation),
		"GetCommandInvocation":        operation(f.GetCommandInvocation),
		"GetDocument":                 operation(f.GetDocument),
		"GetServiceSetting":           operation(f.GetServiceSetting),
		"ListCommands":                operation(f.ListCommands),
		"ListCommandInvocations":      operation(f.ListCommandInvocations),
		"SendCommand":                 operation(f.SendCommand),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.Header().Set("X-Amzn-Requestid", awsenv.NewID())
		name, isSSM := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AmazonSSM.")
		serve, known := operations[name]
		if r.Method != http.MethodPost || !isSSM || !known {
			Refuse(w, &smithy.GenericAPIError{Code: "UnknownOperationException"})
			return
		}
		serve(w, r)
	})
}

const maxRequestBytes = 1 << 20

// operation serves one operation. The fields of the SDK's structures have the names of the protocol's members, so
// encoding/json can read them.
func operation[In, Out any](call func(context.Context, *In, ...func(*ssm.Options)) (*Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
		in := new(In)
		if err == nil {
			err = json.Unmarshal(body, in)
		}
		if err != nil {
			Refuse(w, &smithy.GenericAPIError{Code: "SerializationException", Message: err.Error()})
			return
		}
		out, err := call(r.Context(), in)
		if err != nil {
			Refuse(w, err)
			return
		}
		answer(w, http.StatusOK, wire(reflect.ValueOf(out)))
	}
}

// Refuse answers with an error of this protocol. The content type must already be set.
func Refuse(w http.ResponseWriter, err error) {
	refusal, status := refusalOf(err, "InternalServerError")
	body := map[string]any{"__type": refusal.ErrorCode()}
	if message := refusal.ErrorMessage(); message != "" {
		body["message"] = message
	}
	answer(w, status, body)
}

// refusalOf returns an error as AWS has it, with its HTTP status. One that is not AWS's gets that code.
func refusalOf(err error, code string) (refusal smithy.APIError, status int) {
	if !errors.As(err, &refusal) {
		refusal = &smithy.GenericAPIError{Code: code, Message: err.Error(), Fault: smithy.FaultServer}
	}
	if refusal.ErrorFault() == smithy.FaultServer {
		return refusal, http.StatusInternalServerError
	}
	return refusal, http.StatusBadRequest
}

func answer(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil { // maps, lists, strings and numbers always have a JSON form
		panic(err)
	}
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // or the client is gone
}

// wire converts one of the SDK's structures to the protocol's form: without members that have no value, and with times
// in seconds since 1970.
func wire(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return wire(v.Elem())
	case reflect.Struct:
		if t, ok := v.Interface().(time.Time); ok {
			return json.Number(strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64))
		}
		members := map[string]any{}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			enumeration := v.Field(i).Kind() == reflect.String // the SDK has no pointers to these: "" is no value
			if !field.IsExported() || field.Name == "ResultMetadata" || enumeration && v.Field(i).Len() == 0 {
				continue
			}
			if value := wire(v.Field(i)); value != nil {
				members[field.Name] = value
			}
		}
		return members
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, wire(v.Index(i)))
		}
		return list
	case reflect.Map:
		if v.IsNil() {
			return nil
		}
		members := map[string]any{}
		for _, key := range v.MapKeys() {
			members[key.String()] = wire(v.MapIndex(key))
		}
		return members
	default:
		return v.Interface()
	}
}
