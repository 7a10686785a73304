package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lohakit/notebook/kernel/internal/session"
	"github.com/lohakit/notebook/kernel/internal/worker"
)

// run serves one notebook until it is shut down. SIGINT interrupts the cell, as the interrupt message does; SIGTERM and the
// end of the process that started the kernel shut it down.
func run(connectionFile string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if goTool := os.Getenv(goVariable); goTool != "" {
		os.Setenv("PATH", filepath.Dir(goTool)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	signals := make(chan os.Signal, 16) // one that comes while the session begins waits, so that nothing is left behind
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	dir := workerDir(filepath.Dir(self))
	s, err := session.New(connectionFile, func(env session.WorkerEnv) (session.Engine, error) {
		return worker.New(worker.Options{Dir: dir, Env: env})
	})
	if err != nil {
		return err
	}
	go func() {
		for sig := range signals {
			if sig == os.Interrupt {
				s.Interrupt()
			} else {
				s.End()
			}
		}
	}()
	go func() {
		for parent := os.Getppid(); os.Getppid() == parent; {
			time.Sleep(time.Second)
		}
		if os.Getenv("JPY_PARENT_PID") != "" {
			s.End()
		}
	}()
	s.Serve()
	return nil
}
