package session

import (
	"encoding/json"
	"sync"

	"github.com/lohakit/notebook/kernel/internal/display"
	"github.com/lohakit/notebook/kernel/internal/wire"
)

// comms are the open comms, by id, with the name of their target.
type comms struct {
	mu   sync.Mutex
	open map[string]string
}

type commContent struct {
	ID     string          `json:"comm_id"`
	Target string          `json:"target_name"`
	Data   json.RawMessage `json:"data"`
}

// comm handles comm_open, comm_msg and comm_close. They are not queued behind cells: a slider reaches the cell that runs.
func (s *Session) comm(m *wire.Message) {
	var c commContent
	if json.Unmarshal(m.Content, &c) != nil || c.ID == "" {
		return
	}
	switch m.Header.Type {
	case "comm_open":
		if c.Target != display.Target {
			s.publish(m, "comm_close", map[string]any{"comm_id": c.ID, "data": map[string]any{}})
			return
		}
		for _, old := range s.comms.replace(c.ID, c.Target) {
			s.publish(m, "comm_close", map[string]any{"comm_id": old, "data": map[string]any{}})
		}
		s.gonb.Opened(c.ID)
	case "comm_msg":
		var data struct {
			Address string `json:"address"`
			Value   any    `json:"value"`
		}
		if json.Unmarshal(c.Data, &data) == nil && data.Address != "" {
			s.gonb.Message(c.ID, data.Address, data.Value)
		}
	case "comm_close":
		s.comms.remove(c.ID)
		s.gonb.Closed(c.ID)
	}
}

// replace adds a comm and removes those of the same target, which it returns: a page that was loaded again has left its old
// comm open.
func (c *comms) replace(id, target string) (old []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open == nil {
		c.open = map[string]string{}
	}
	for other, t := range c.open {
		if t == target && other != id {
			old = append(old, other)
			delete(c.open, other)
		}
	}
	c.open[id] = target
	return old
}

func (c *comms) remove(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, id)
}

// info is the content of a comm_info_reply; target narrows it unless empty.
func (c *comms) info(target string) map[string]any {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := map[string]any{}
	for id, t := range c.open {
		if target == "" || t == target {
			list[id] = map[string]string{"target_name": t}
		}
	}
	return map[string]any{"status": "ok", "comms": list}
}
