package live

// Order is what the front asks of the worker. Orders and events travel as gob over two pipes.
type Order struct {
	ID     int    // names the run, in the events too
	Do     Do     // what to do
	Object string // Run: the plugin to load first; "" if package N is loaded
	N      int    // Run: the package whose cell is run
	Direct []byte // Run: in place of N a program of package direct, as JSON
}

// Do is the verb of an order.
type Do int

// The verbs.
const (
	Run  Do = iota // load and run a cell; answered by Ended
	Stop           // interrupt a run
	Mark           // write the marks of ID to standard output and error
	Fed            // the front has written to standard input
)

// Event is what the worker tells the front.
type Event struct {
	ID      int
	Is      Is
	Failure *Failure // Ended: why the cell failed; nil after one that did not
	Bundle  []Item   // Ended: the value of the cell's last expression
	Reached int      // Ended: statements whose variables are assigned; -1 if the cell has not begun
	Problem string   // Ended: why the cell could not be loaded
}

// Is says what has happened.
type Is int

// The happenings.
const (
	Ready Is = iota // the worker takes orders
	Ended           // a run has ended
	Stdin           // the cell waits for input
)

// Item is one form of a value: text, data, or JSON.
type Item struct {
	MIME string
	Text string
	Data []byte
	JSON []byte
}

// Sync returns the text that the worker writes to standard output and error once everything before it is written.
func Sync(id int) string { return "\x00\x02" + itoa(id) + "\x03\x00" }

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}
