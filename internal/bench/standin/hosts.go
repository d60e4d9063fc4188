package standin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Hosts are what Systems Manager and EC2 know of hosts, where a measurement
// needs more of them than that they take commands. Each runs one session.
type Hosts struct {
	// Work is how long a command takes on a host, from its sending on.
	Work time.Duration
	// Refused are not connected to Systems Manager: one of them fails a whole
	// SendCommand. Commands for those that are Silent are taken, and never end.
	Refused, Silent map[string]bool
	// Connections are how many clients a session has, by host.
	Connections map[string]int
	// Simulated: the clock stands still, except for the latency of calls and for
	// Sleep. That is right for callers that make one call at a time.
	Simulated bool

	began     time.Time
	simulated time.Duration
	commands  []sent
	ended     map[string]time.Duration
}

type sent struct {
	at    time.Duration
	hosts map[string]bool
}

// BeginOn is Begin with such hosts, which the server keeps until the next Begin.
func (s *Server) BeginOn(hosts *Hosts, l Latency) {
	s.Begin(l)
	s.mu.Lock()
	defer s.mu.Unlock()
	hosts.began, hosts.simulated, hosts.commands, hosts.ended = time.Now(), 0, nil, map[string]time.Duration{}
	s.hosts = hosts
}

// Elapsed is the time since BeginOn, by the clock of the hosts.
func (s *Server) Elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts.elapsed()
}

// Sleep sets a simulated clock on.
func (s *Server) Sleep(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts.simulated += d
}

// Ended is when the sessions ended, by host, since BeginOn.
func (s *Server) Ended() map[string]time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hosts.ended
}

func (h *Hosts) elapsed() time.Duration {
	if h.Simulated {
		return h.simulated
	}
	return time.Since(h.began)
}

// end notes when the host's session ended.
func (h *Hosts) end(host string, at time.Duration) {
	if _, before := h.ended[host]; !before {
		h.ended[host] = at
	}
}

// answer is a call to Systems Manager that takes effect at a time.
func (h *Hosts) answer(operation string, body []byte, at time.Duration) ([]byte, error) {
	switch operation {
	case "SendCommand":
		return h.sendCommand(body, at)
	case "GetCommandInvocation":
		return h.getCommandInvocation(body, at)
	case "DescribeInstanceInformation":
		return h.describeInstanceInformation(body)
	}
	return nil, &Fault{"UnknownOperationException", operation}
}

func (h *Hosts) sendCommand(body []byte, at time.Duration) ([]byte, error) {
	var in struct {
		DocumentName string
		Parameters   map[string][]string
		InstanceIDs  []string `json:"InstanceIds"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	command := sent{at: at, hosts: map[string]bool{}}
	for _, host := range in.InstanceIDs {
		if h.Refused[host] {
			return nil, &Fault{"InvalidInstanceId", ""}
		}
		command.hosts[host] = true
	}
	answer, err := sendCommand(body)
	if err != nil {
		return nil, err
	}
	h.commands = append(h.commands, command)
	if in.DocumentName == "Close" || strings.Contains(strings.Join(in.Parameters["commands"], "\n"), "close-session") {
		for host := range command.hosts {
			if !h.Silent[host] {
				h.end(host, at+h.Work)
			}
		}
	}
	return answer, nil
}

func (h *Hosts) getCommandInvocation(body []byte, at time.Duration) ([]byte, error) {
	var in struct {
		InstanceID string `json:"InstanceId"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	status := ""
	for _, command := range h.commands { // whoever reads them here sends one command
		switch {
		case !command.hosts[in.InstanceID]:
		case h.Silent[in.InstanceID]:
			status = "Delayed"
		case at < command.at+h.Work:
			status = "InProgress"
		default:
			status = "Success"
		}
	}
	if status == "" {
		return nil, &Fault{"InvocationDoesNotExist", ""}
	}
	out := map[string]string{"InstanceId": in.InstanceID, "Status": status, "StatusDetails": status}
	if status == "Success" {
		out["StandardOutputContent"] = fmt.Sprintf(`{"num-of-connections": %d}`, h.Connections[in.InstanceID])
	}
	return json.Marshal(out)
}

func (h *Hosts) describeInstanceInformation(body []byte) ([]byte, error) {
	var in struct {
		Filters []struct {
			Key    string
			Values []string
		}
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	if len(in.Filters) != 1 || in.Filters[0].Key != "InstanceIds" || len(in.Filters[0].Values) > 50 {
		return nil, &Fault{"InvalidInstanceInformationFilterValue", "up to 50 InstanceIds"}
	}
	listed := []map[string]string{}
	for _, host := range in.Filters[0].Values {
		if !h.Refused[host] {
			listed = append(listed, map[string]string{"InstanceId": host, "PingStatus": "Online"})
		}
	}
	return json.Marshal(map[string]any{"InstanceInformationList": listed})
}

// serveEC2 answers TerminateInstances, in EC2's query protocol.
func (s *Server) serveEC2(w http.ResponseWriter, form url.Values) {
	s.mu.Lock()
	s.calls["TerminateInstances"]++
	latency, hosts := s.latency.SystemsManager, s.hosts
	s.mu.Unlock()
	at := s.spend(time.Now(), latency, hosts)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, values := range form {
		if strings.HasPrefix(name, "InstanceId.") {
			hosts.end(values[0], at)
		}
	}
	w.Header().Set("Content-Type", "text/xml")
	fmt.Fprint(w, `<TerminateInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instancesSet/></TerminateInstancesResponse>`)
}

// spend is the latency of a call that arrived at that time. It returns when the
// call takes effect, by the clock of the hosts.
func (s *Server) spend(arrived time.Time, latency time.Duration, hosts *Hosts) time.Duration {
	switch {
	case hosts == nil:
		time.Sleep(time.Until(arrived.Add(latency)))
		return 0
	case !hosts.Simulated:
		time.Sleep(time.Until(arrived.Add(latency)))
	default:
		s.Sleep(latency)
	}
	return s.Elapsed()
}
