package serve

// readCall is the number of the read system call on Linux.
const readCall = "63"
