package worker

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// measure runs a cell b.N times; text gets the number of the run.
func measure(b *testing.B, setup string, text func(i int) string) {
	e := newEngine(b)
	ctx := context.Background()
	if got := run(ctx, e, 1, setup); strings.Contains(got, "!") {
		b.Fatal(got)
	}
	run(ctx, e, 2, text(-1))
	before := resident(e.PID())
	for i := 0; b.Loop(); i++ {
		if got := run(ctx, e, i, text(i)); strings.Contains(got, "!") {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(resident(e.PID())-before)/1e6/float64(b.N), "MB/op")
}

// resident returns the memory that a process holds, in bytes.
func resident(pid int) int {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	pages, _ := strconv.Atoi(strings.Fields(string(text) + " 0 0")[1])
	return pages * os.Getpagesize()
}

func BenchmarkOnePlusOne(b *testing.B) {
	measure(b, "x := 1", func(int) string { return "1+1" })
}

func BenchmarkCallAndShow(b *testing.B) {
	measure(b, "import \"strings\"\nx := 1", func(i int) string { return fmt.Sprintf("s := strings.Repeat(\"a\", %d)\nlen(s)", i+2) })
}

func BenchmarkUnchangedCell(b *testing.B) {
	measure(b, "x := 1", func(int) string { return "for i := range 10 {\n\tx += i\n}\nx" })
}

func BenchmarkNewCell(b *testing.B) {
	measure(b, "x := 1", func(i int) string { return fmt.Sprintf("for i := range %d {\n\tx += i\n}\nfmt.Sprint(x)", i+10) })
}

func BenchmarkNewFunction(b *testing.B) {
	measure(b, "import \"sort\"", func(i int) string {
		return fmt.Sprintf("func f(n int) []int {\n\tlist := make([]int, n)\n\tfor i := range list {\n\t\tlist[i] = %d - i\n\t}\n"+
			"\tsort.Ints(list)\n\treturn list\n}\nf(5)", i)
	})
}

func BenchmarkNewGraph(b *testing.B) {
	measure(b, "import . \"github.com/gomlx/gomlx/pkg/core/graph\"", func(i int) string {
		return fmt.Sprintf("square%d := func(x *Node) *Node { return ReduceAllSum(Mul(x, AddScalar(x, %d))) }", i+1, i)
	})
}

func BenchmarkComplete(b *testing.B) {
	e := newEngine(b)
	run(context.Background(), e, 1, "import \"strings\"\nx := 1")
	for b.Loop() {
		if len(e.Complete(context.Background(), "strings.", 8).Matches) == 0 {
			b.Fatal("nothing")
		}
	}
}
