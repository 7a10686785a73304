package main

import "github.com/lohakit/notebook/kernel/internal/direct"

// table lists the package functions that cells can use without being compiled. The build of the worker replaces this file
// with one that lists those of every package above.
var table []direct.Entry
