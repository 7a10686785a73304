// Package session is one notebook session: it answers the messages of the Jupyter protocol, version 5.5, keeps the
// queue of cells, the history and the comms, and has an [Engine] run the cells.
package session
