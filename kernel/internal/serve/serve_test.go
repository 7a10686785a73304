package serve

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/lohakit/notebook/kernel/internal/direct"
	"github.com/lohakit/notebook/kernel/internal/live"
)

// A worker takes orders and tells what becomes of them.
func ExampleServe() {
	program, _ := json.Marshal(direct.Program{Statements: []*direct.Node{
		{Op: direct.Show, Args: []*direct.Node{{Op: direct.Const, Text: "42", Type: &direct.Type{Kind: "int"}}}},
	}})
	orders, in := io.Pipe()
	out, events := io.Pipe()
	streams = nil // the marks are not for the reader of this example
	go Serve(orders, events, func(func() context.Context) {}, nil)
	dec := gob.NewDecoder(out)
	var ready, ended live.Event
	_ = dec.Decode(&ready)
	var b bytes.Buffer
	_ = gob.NewEncoder(&b).Encode(live.Order{ID: 7, Do: live.Run, Direct: program})
	go in.Write(b.Bytes())
	_ = dec.Decode(&ended)
	in.Close()
	fmt.Println(ready.Is == live.Ready, ended.ID, ended.Bundle[0].Text)
	// Output: true 7 42
}

// A front that is killed in the middle of an order has ended like any other.
func TestHalfAnOrder(t *testing.T) {
	var b bytes.Buffer
	_ = gob.NewEncoder(&b).Encode(live.Order{ID: 7, Do: live.Mark})
	for n := range b.Len() {
		if err := Serve(bytes.NewReader(b.Bytes()[:n]), io.Discard, func(func() context.Context) {}, nil); err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}
