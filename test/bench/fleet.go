// SPDX-License-Identifier: Apache-2.0

// The small service of test/bench/b_fleet.c with Go's own profiles, at the address of its argument.
package main

import (
	"io"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"sync"
	"time"
)

const (
	kept       = 64
	goroutines = 3
	pause      = 500 * time.Millisecond
)

var (
	shelfLock sync.Mutex
	shelf     [kept][]byte
	stages    []func(step, depth uint)
)

//go:noinline
func put(step uint, bytes int) {
	fresh := make([]byte, bytes)
	for i := range fresh {
		fresh[i] = 1
	}
	shelfLock.Lock()
	shelf[step%kept] = fresh
	time.Sleep(100 * time.Microsecond)
	shelfLock.Unlock()
}

func stage(step, depth uint, bytes int) {
	if depth == 0 {
		put(step, bytes)
	} else {
		walk(step, depth-1)
	}
}

func parseOrder(step, depth uint) { stage(step, depth, 2000) }
func priceOrder(step, depth uint) { stage(step, depth, 9000) }
func bookOrder(step, depth uint)  { stage(step, depth, 30000) }
func renderPage(step, depth uint) { stage(step, depth, 70000) }
func writeLog(step, depth uint)   { stage(step, depth, 500) }
func loadUser(step, depth uint)   { stage(step, depth, 15000) }
func checkStock(step, depth uint) { stage(step, depth, 4000) }
func sendMail(step, depth uint)   { stage(step, depth, 40000) }

//go:noinline
func walk(step, depth uint) {
	stages[(step>>(depth%8))%8](step, depth)
}

func work() {
	for step := uint(1); ; step++ {
		walk(step, step%12)
		time.Sleep(pause)
	}
}

func main() {
	runtime.SetBlockProfileRate(1)
	runtime.SetMutexProfileFraction(1)
	stages = []func(step, depth uint){parseOrder, priceOrder, bookOrder, renderPage, writeLog,
		loadUser, checkStock, sendMail}
	for i := 0; i < goroutines; i++ {
		go work()
	}
	go func() {
		if err := http.ListenAndServe(os.Args[1], nil); err != nil {
			os.Exit(1)
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}
