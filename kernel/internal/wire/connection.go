// Package wire carries Jupyter messages over ZeroMQ: it signs and checks them (HMAC-SHA256, replays refused), and serves
// the five sockets of a kernel. What arrives is not trusted: a peer that breaks the framing or the signature loses at most
// its own connection, never the kernel.
package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/lohakit/notebook/lohakit/fault"
)

// Connection is the connection file that Jupyter hands to a kernel: where to listen and the key that signs messages.
type Connection struct {
	Transport       string `json:"transport"` // "tcp" or "ipc"
	IP              string `json:"ip"`        // address to bind; for ipc the prefix of the socket paths
	ShellPort       int    `json:"shell_port"`
	IOPubPort       int    `json:"iopub_port"`
	StdinPort       int    `json:"stdin_port"`
	ControlPort     int    `json:"control_port"`
	HeartbeatPort   int    `json:"hb_port"`
	Key             string `json:"key"`              // empty: messages are not signed, allowed on loopback only
	SignatureScheme string `json:"signature_scheme"` // "hmac-sha256"
	KernelName      string `json:"kernel_name,omitempty"`
}

// ReadConnection reads a connection file and checks it. A file without a key is refused unless it binds loopback only.
func ReadConnection(path string) (Connection, error) {
	const op = "read connection file"
	var c Connection
	data, err := os.ReadFile(path)
	if err != nil {
		return c, fault.New(fault.IO, op, path, "%w", err).Fix("start the kernel through Jupyter, which writes this file")
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fault.New(fault.Corrupt, op, path, "not JSON: %w", err)
	}
	if err := c.check(); err != nil {
		return c, fault.New(fault.Invalid, op, path, "%w", err)
	}
	return c, nil
}

func (c *Connection) check() error {
	switch c.Transport {
	case "":
		c.Transport = "tcp"
	case "tcp", "ipc":
	default:
		return fmt.Errorf("transport %q is neither tcp nor ipc", c.Transport)
	}
	if c.IP == "" {
		return fmt.Errorf("no ip to bind")
	}
	if c.SignatureScheme != "" && c.SignatureScheme != "hmac-sha256" {
		return fmt.Errorf("signature_scheme %q is not hmac-sha256", c.SignatureScheme)
	}
	for _, port := range []int{c.ShellPort, c.IOPubPort, c.StdinPort, c.ControlPort, c.HeartbeatPort} {
		if port < 0 || port > 65535 {
			return fmt.Errorf("port %d is outside 0 to 65535", port)
		}
	}
	if c.Key == "" && c.Transport == "tcp" && !loopback(c.IP) {
		return fmt.Errorf("no key, and %s can be reached from other machines", c.IP)
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// portWait is how long a port that is in use is waited for.
var portWait = 3 * time.Second

// listen binds one port of the connection, exactly at its address. A port in use is waited for: on a restart the kernel
// before this one may still be closing it, and Jupyter found the port free a moment ago.
func (c *Connection) listen(port int) (net.Listener, error) {
	network, address := "tcp", net.JoinHostPort(strings.Trim(c.IP, "[]"), fmt.Sprint(port))
	if c.Transport == "ipc" {
		network, address = "unix", fmt.Sprintf("%s-%d", c.IP, port)
	}
	for deadline := time.Now().Add(portWait); ; time.Sleep(50 * time.Millisecond) {
		l, err := net.Listen(network, address)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		if time.Now().After(deadline) {
			return nil, fault.New(fault.IO, "listen", address, "%w", err).Fix("another program holds this port: start the kernel again, and Jupyter chooses another")
		}
	}
}
