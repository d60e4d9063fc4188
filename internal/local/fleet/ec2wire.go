package fleet

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"dcv-session-broker/internal/awsenv"
)

// EC2Handler serves EC2's DescribeInstances and StopInstances over HTTP, in its query protocol (forms, answered in XML), so
// that any SDK's client works with it, given the endpoint. It does not check signatures.
func (f *Fleet) EC2Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxRequestBytes)
		if err := r.ParseForm(); err != nil {
			refuseXML(w, ec2Refusal("MalformedQueryString", "%v", err))
			return
		}
		action := r.PostForm.Get("Action")
		if r.Method == http.MethodPost && action == "StopInstances" {
			f.stopOverTheWire(w, r)
			return
		}
		if r.Method != http.MethodPost || action != "DescribeInstances" {
			refuseXML(w, ec2Refusal("InvalidAction", "The action %s is not valid for this web service.", action))
			return
		}
		in, err := describeInput(r.PostForm)
		if err != nil {
			refuseXML(w, err)
			return
		}
		out, err := f.DescribeInstances(r.Context(), in)
		if err != nil {
			refuseXML(w, err)
			return
		}
		answerXML(w, http.StatusOK, describeAnswer(out))
	})
}

// describeInput reads the form of a DescribeInstances, whose lists are numbered from 1: Filter.1.Value.2=...
func describeInput(form url.Values) (*ec2.DescribeInstancesInput, error) {
	in := &ec2.DescribeInstancesInput{}
	read := map[string]bool{"Action": true, "Version": true}
	get := func(name string) (string, bool) {
		read[name] = true
		return form.Get(name), form.Has(name)
	}
	list := func(prefix string) []string {
		var values []string
		for {
			value, ok := get(prefix + "." + strconv.Itoa(len(values)+1))
			if !ok {
				return values
			}
			values = append(values, value)
		}
	}
	in.InstanceIds = list("InstanceId")
	for {
		prefix := "Filter." + strconv.Itoa(len(in.Filters)+1)
		name, ok := get(prefix + ".Name")
		if !ok {
			break
		}
		in.Filters = append(in.Filters, types.Filter{Name: &name, Values: list(prefix + ".Value")})
	}
	if text, ok := get("MaxResults"); ok {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return nil, ec2Refusal("InvalidParameterValue", "Value ( %s ) for parameter maxResults is invalid", text)
		}
		in.MaxResults = aws.Int32(int32(n))
	}
	if token, ok := get("NextToken"); ok {
		in.NextToken = &token
	}
	if text, ok := get("DryRun"); ok {
		in.DryRun = aws.Bool(text == "true")
	}
	if text, ok := get("IncludeManagedResources"); ok {
		in.IncludeManagedResources = aws.Bool(text == "true")
	}
	for name := range form {
		if !read[name] {
			return nil, ec2Refusal("UnknownParameter", "The parameter %s is not recognized", name)
		}
	}
	return in, nil
}

// The parts of the answer that have a value here (API reference, DescribeInstances and its data types).
type (
	describeInstancesResponse struct {
		XMLName      xml.Name         `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeInstancesResponse"`
		RequestID    string           `xml:"requestId"`
		Reservations []xmlReservation `xml:"reservationSet>item"`
		NextToken    *string          `xml:"nextToken"`
	}
	xmlReservation struct {
		ReservationID *string       `xml:"reservationId"`
		OwnerID       *string       `xml:"ownerId"`
		Instances     []xmlInstance `xml:"instancesSet>item"`
	}
	xmlInstance struct {
		InstanceID *string     `xml:"instanceId"`
		StateCode  *int32      `xml:"instanceState>code"`
		StateName  string      `xml:"instanceState>name"`
		Launched   string      `xml:"launchTime,omitempty"`
		Platform   string      `xml:"platform,omitempty"`
		Tags       []xmlTag    `xml:"tagSet>item"`
		Reason     *xmlState   `xml:"stateReason"`
		Profile    *xmlProfile `xml:"iamInstanceProfile"`
	}
	xmlProfile struct {
		ARN *string `xml:"arn"`
		ID  *string `xml:"id"`
	}
	xmlState struct {
		Code    *string `xml:"code"`
		Message *string `xml:"message"`
	}
	xmlTag struct {
		Key   *string `xml:"key"`
		Value *string `xml:"value"`
	}
)

func describeAnswer(out *ec2.DescribeInstancesOutput) describeInstancesResponse {
	answer := describeInstancesResponse{RequestID: awsenv.NewID(), NextToken: out.NextToken}
	for _, r := range out.Reservations {
		reservation := xmlReservation{ReservationID: r.ReservationId, OwnerID: r.OwnerId}
		for _, i := range r.Instances {
			instance := xmlInstance{
				InstanceID: i.InstanceId,
				StateCode:  i.State.Code,
				StateName:  string(i.State.Name),
				Platform:   string(i.Platform),
			}
			if i.StateReason != nil {
				instance.Reason = &xmlState{i.StateReason.Code, i.StateReason.Message}
			}
			if i.IamInstanceProfile != nil {
				instance.Profile = &xmlProfile{i.IamInstanceProfile.Arn, i.IamInstanceProfile.Id}
			}
			if i.LaunchTime != nil {
				instance.Launched = i.LaunchTime.UTC().Format("2006-01-02T15:04:05.000Z")
			}
			for _, tag := range i.Tags {
				instance.Tags = append(instance.Tags, xmlTag{tag.Key, tag.Value})
			}
			reservation.Instances = append(reservation.Instances, instance)
		}
		answer.Reservations = append(answer.Reservations, reservation)
	}
	return answer
}

// stopOverTheWire reads InstanceId.1=..., and answers with the changes of state.
func (f *Fleet) stopOverTheWire(w http.ResponseWriter, r *http.Request) {
	in := &ec2.StopInstancesInput{}
	for name, values := range r.PostForm {
		switch {
		case strings.HasPrefix(name, "InstanceId."):
			in.InstanceIds = append(in.InstanceIds, values...)
		case name != "Action" && name != "Version":
			refuseXML(w, ec2Refusal("UnknownParameter", "The parameter %s is not recognized", name))
			return
		}
	}
	out, err := f.StopInstances(r.Context(), in)
	if err != nil {
		refuseXML(w, err)
		return
	}
	type change struct {
		InstanceID *string `xml:"instanceId"`
		Code       *int32  `xml:"currentState>code"`
		Name       string  `xml:"currentState>name"`
	}
	answer := struct {
		XMLName   xml.Name `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ StopInstancesResponse"`
		RequestID string   `xml:"requestId"`
		Changes   []change `xml:"instancesSet>item"`
	}{RequestID: awsenv.NewID()}
	for _, c := range out.StoppingInstances {
		answer.Changes = append(answer.Changes, change{c.InstanceId, c.CurrentState.Code, string(c.CurrentState.Name)})
	}
	answerXML(w, http.StatusOK, answer)
}

func refuseXML(w http.ResponseWriter, err error) {
	refusal, status := refusalOf(err, "InternalError")
	answerXML(w, status, struct {
		XMLName   xml.Name `xml:"Response"`
		Code      string   `xml:"Errors>Error>Code"`
		Message   string   `xml:"Errors>Error>Message"`
		RequestID string
	}{Code: refusal.ErrorCode(), Message: refusal.ErrorMessage(), RequestID: awsenv.NewID()})
}

func answerXML(w http.ResponseWriter, status int, body any) {
	encoded, err := xml.Marshal(body)
	if err != nil { // structs of texts and numbers
		panic(err)
	}
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(xml.Header + string(encoded))) // an error means that the client is gone
}
