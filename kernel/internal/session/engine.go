package session

import "context"

// Engine runs the cells. It is the border between the front, which speaks Jupyter and never runs user code, and the
// worker process, which does. Every method may be called at any time from any goroutine.
type Engine interface {
	// Execute runs one cell to its end. Cancelling ctx is the interrupt, which may precede the call: the cell stops or does not
	// begin, the session's state stays, and the result carries an error named Interrupted. Calls overlap only when a subshell executes while a cell runs; an engine may
	// serialise them. Goroutines of the cell may go on using out after Execute has returned. Everything the cell itself
	// printed has been passed to out before Execute returns.
	Execute(ctx context.Context, req Request, out Output) Result
	// Complete lists what may stand at the cursor, a byte offset into code. It keeps to ctx's deadline, about a second.
	Complete(ctx context.Context, code string, cursor int) Completion
	// Inspect describes what stands at the cursor, a byte offset into code, as a MIME bundle; false where nothing is known.
	// Detail is 0 for the signature and first sentence, 1 for everything, sources included.
	Inspect(ctx context.Context, code string, cursor, detail int) (map[string]any, bool)
	// IsComplete says whether code could be run now: "complete", "incomplete", "invalid" or "unknown", and for an
	// incomplete cell the indent of its next line.
	IsComplete(code string) (status, indent string)
	// Drain returns once all that the worker had printed before the call has been passed to the cell's Output.
	Drain()
	// Feed appends text to the worker's standard input: the answer to a gonbui.RequestInput.
	Feed(text string)
	// Kill ends the worker at once, for a cell that no interrupt can stop; the Execute under way returns with Died set, and
	// reason in its error. A new worker is started.
	Kill(reason string)
	// PID is the process number of the living worker, 0 while there is none.
	PID() int
	// Close ends the worker and removes what it left on disk, except what a restart would use again.
	Close(restart bool) error
}

// Request is one cell to run.
type Request struct {
	Code        string            // the cell's text
	Count       int               // the execution count, the n of In[n]; 0 for a cell that is not counted
	Silent      bool              // show no value
	Expressions map[string]string // user_expressions: evaluated after the cell, label to Go expression
}

// Result is how a cell ended.
type Result struct {
	Value       map[string]any        // MIME bundle of the cell's last expression (string, []byte or JSON value per MIME type); nil without one
	Metadata    map[string]any        // metadata of Value, per MIME type; may be nil
	Err         *CellError            // nil after a cell that ran to its end
	Page        map[string]any        // MIME bundle for the pager, as of %help; usually nil
	Expressions map[string]Expression // the evaluated user_expressions, by label
	Died        bool                  // the worker ended: the session's values are lost, and a new worker is (or is being) started
}

// Expression is the outcome of one user expression: Value or Err.
type Expression struct {
	Value map[string]any
	Err   *CellError
}

// CellError is an error as Jupyter shows it.
type CellError struct {
	Name      string   // the class: "CompileError", "Panic", "Interrupted", "WorkerDied" …
	Value     string   // one sentence
	Traceback []string // the lines shown, with ANSI colours; cell line and column first
}

// Error returns the class and the sentence.
func (e *CellError) Error() string { return e.Name + ": " + e.Value }

// Completion is what may stand at the cursor. Start and End are byte offsets of the text that a match replaces.
type Completion struct {
	Start, End int
	Matches    []Match
}

// Match is one completion.
type Match struct {
	Text      string // what is inserted
	Type      string // Jupyter's icon name: function, class, instance, module, keyword, property …
	Signature string // the Go type or signature; may be empty
}

// Output receives what one cell shows. It stays usable after the cell has ended, for its goroutines; all methods may be
// called concurrently, and none waits for a slow client except Input, and Display where 64 MB wait to be shown.
type Output interface {
	// Begin is called when the cell's turn has come: what the worker displays from now on is the cell's.
	Begin()
	// Stream shows text; name is "stdout" or "stderr".
	Stream(name, text string)
	// Display shows a MIME bundle (string, []byte or JSON value per MIME type). A display with an id can be replaced later:
	// update replaces every display of that id instead of adding one.
	Display(bundle, metadata map[string]any, id string, update bool)
	// Clear removes the cell's output so far; wait delays that until the next output.
	Clear(wait bool)
	// Input asks the user for a line that the cell waits for; an error where the front end cannot ask or the cell was
	// interrupted, and ErrFed where the line comes by Feed.
	Input(prompt string, password bool) (string, error)
}

// WorkerEnv is called by an engine before it starts a worker process, each time, and returns the variables to add to its
// environment ("NAME=value"). The front opens fresh front-end pipes (GONB_PIPE, GONB_PIPE_BACK) in it.
type WorkerEnv func() ([]string, error)
