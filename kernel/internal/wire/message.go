package wire

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Version is the version of the Jupyter messaging protocol that the kernel speaks.
const Version = "5.5"

// delimiter separates the routing identities from the message proper.
var delimiter = []byte("<IDS|MSG>")

// Header names a message: its type, its own id and the session that sent it.
type Header struct {
	ID       string `json:"msg_id"`
	Session  string `json:"session"`
	Username string `json:"username"`
	Date     string `json:"date"` // ISO 8601
	Type     string `json:"msg_type"`
	Version  string `json:"version"`
	Subshell string `json:"subshell_id,omitempty"` // the subshell that a request is for; empty means the main shell
}

// Message is one Jupyter message.
type Message struct {
	Identities [][]byte        // routing prefix: the client's identity, or the topic on iopub
	Header     Header          // what the message is
	Raw        json.RawMessage // the header's bytes as they came; becomes the parent_header of the answers
	Parent     json.RawMessage // parent_header
	Metadata   json.RawMessage // metadata
	Content    json.RawMessage // content, whose shape depends on Header.Type
	Buffers    [][]byte        // binary attachments
}

// Errors of Parse. The message is dropped; the connection that brought it stays.
var (
	ErrFraming   = errors.New("not a Jupyter message: delimiter or parts missing")
	ErrSignature = errors.New("signature does not match")
	ErrReplay    = errors.New("message was already seen")
)

// Parse checks the signature of the frames and decodes them.
func Parse(frames [][]byte, signer *Signer) (*Message, error) {
	at := -1
	for i, f := range frames {
		if bytes.Equal(f, delimiter) {
			at = i
			break
		}
	}
	if at < 0 || len(frames)-at < 6 {
		return nil, ErrFraming
	}
	body := frames[at+2 : at+6]
	if err := signer.Check(frames[at+1], body); err != nil {
		return nil, err
	}
	m := &Message{
		Identities: frames[:at],
		Raw:        body[0], Parent: body[1], Metadata: body[2], Content: body[3],
		Buffers: frames[at+6:],
	}
	if err := json.Unmarshal(m.Raw, &m.Header); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	for _, part := range []*json.RawMessage{&m.Parent, &m.Metadata, &m.Content} {
		if !json.Valid(*part) {
			return nil, fmt.Errorf("%s: a part is not JSON", m.Header.Type)
		}
		if first := bytes.TrimLeft(*part, " \t\r\n"); first[0] != '{' {
			*part = json.RawMessage("{}")
		}
	}
	if first := bytes.TrimLeft(m.Raw, " \t\r\n"); first[0] != '{' {
		return nil, fmt.Errorf("header is not an object")
	}
	return m, nil
}

// Frames signs the message and returns what goes over the wire.
func (m *Message) Frames(signer *Signer) [][]byte {
	body := [][]byte{m.Raw, m.Parent, m.Metadata, m.Content}
	frames := make([][]byte, 0, len(m.Identities)+6+len(m.Buffers))
	frames = append(frames, m.Identities...)
	frames = append(frames, delimiter, signer.Sign(body))
	frames = append(frames, body...)
	return append(frames, m.Buffers...)
}

// Child returns a new message of the type, caused by parent (nil for none), with content encoded as JSON. It is routed
// to the sender of parent; a message for iopub gets its topic instead, see [Publisher.Publish].
func Child(parent *Message, session, kind string, content any) (*Message, error) {
	body, err := encode(content)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	m := &Message{
		Header: Header{
			ID: NewID(), Session: session, Username: "kernel", Type: kind, Version: Version,
			Date: time.Now().UTC().Format("2006-01-02T15:04:05.000000Z"),
		},
		Parent: json.RawMessage("{}"), Metadata: json.RawMessage("{}"), Content: body,
	}
	if parent != nil {
		m.Identities, m.Parent = parent.Identities, parent.Raw
	}
	if m.Raw, err = encode(m.Header); err != nil {
		return nil, err
	}
	return m, nil
}

// encode is json.Marshal without the escaping of <, > and &, which doubles the size of HTML.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// NewID returns 128 random bits in hexadecimal.
func NewID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
