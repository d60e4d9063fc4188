package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"dcv-session-broker/internal/local/system"
)

// A port is a port that the system answers on.
type port struct {
	variable string
	handler  func(*system.System) http.Handler
	listener net.Listener
}

// listen opens the ports before anything slow starts. The first is the API's.
func (s settings) listen() (ports []port, err error) {
	for _, p := range []struct {
		port
		number string
	}{
		{port{"PORT", (*system.System).Handler, nil}, s.port},
		{port{"SSM_PORT", (*system.System).SystemsManager, nil}, s.ssmPort},
		{port{"EC2_PORT", (*system.System).EC2, nil}, s.ec2Port},
	} {
		if p.number == "" {
			continue
		}
		address := net.JoinHostPort(s.bind, p.number)
		if p.listener, err = net.Listen("tcp", address); err != nil {
			for _, taken := range ports {
				taken.listener.Close()
			}
			return nil, notListening(p.variable, address, err)
		}
		ports = append(ports, p.port)
	}
	return ports, nil
}

// notListening says what to do about a port that cannot be opened.
func notListening(variable, address string, err error) error {
	host, number, _ := net.SplitHostPort(address)
	unknown := (*net.DNSError)(nil)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && isLocalSystem(address):
		return fmt.Errorf("%s is used by a system that make run has started: use that system, or start another one with %s=0, on a free port", address, variable)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is used by another program: start with another %s, or with %s=0 on a free port", address, variable, variable)
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.As(err, &unknown):
		return fmt.Errorf("BIND is %q; it must be an address of this machine", host)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s=%s needs root: ports from 1024 on do not", variable, number)
	}
	return fmt.Errorf("%s=%s: %w", variable, number, err)
}

func isLocalSystem(address string) bool {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + address + "/local/calls")
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

func serve(l net.Listener, h http.Handler) *http.Server {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l)
	return server
}
