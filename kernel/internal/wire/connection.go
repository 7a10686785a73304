// Package wire carries Jupyter messages over ZeroMQ: it signs and checks them (HMAC-SHA256, replays refused), and serves
// the five sockets of a kernel. What arrives is not trusted: a peer that breaks the framing or the signature loses at most
// its own connection, never the kernel.
package wire

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"

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

// listen binds one port of the connection, exactly at its address.
func (c *Connection) listen(port int) (net.Listener, error) {
	if c.Transport == "ipc" {
		return net.Listen("unix", fmt.Sprintf("%s-%d", c.IP, port))
	}
	return net.Listen("tcp", net.JoinHostPort(strings.Trim(c.IP, "[]"), fmt.Sprint(port)))
}
