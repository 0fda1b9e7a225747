// SPDX-License-Identifier: Apache-2.0

// The works of `make bench PEERS=1` as a Go program, with Go's own profilers: BENCH_HEAP_RATE is
// runtime.MemProfileRate, BENCH_CPU the file of a CPU profile with BENCH_HZ.
package main

import (
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"time"
)

const (
	least  = 16
	spread = 1009
	queued = 10000
	live   = 1000000
)

var sink []byte

func random(state *uint64) uint64 {
	*state = *state*6364136223846793005 + 1442695040888963407
	return *state >> 20
}

func pairs(count int) {
	state := uint64(1)
	for i := 0; i < count; i++ {
		sink = make([]byte, least+random(&state)%spread)
	}
}

func fifo(count int) {
	state, queue := uint64(1), make([][]byte, queued)
	for i := 0; i < count; i++ {
		queue[i%queued] = make([]byte, least+random(&state)%spread)
	}
}

func replace(count int) {
	state, kept := uint64(1), make([][]byte, live)
	for i := range kept {
		kept[i] = make([]byte, least+random(&state)%241)
	}
	for i := 0; i < count; i++ {
		kept[random(&state)%live] = make([]byte, least+random(&state)%241)
	}
}

func spinUntil(end time.Time) uint64 {
	sum := uint64(0)
	for time.Now().Before(end) {
		for i := uint64(0); i < 100000; i++ {
			sum = sum*31 + i
		}
	}
	return sum
}

//go:noinline
func spin0(end time.Time) uint64 { return spinUntil(end) }

//go:noinline
func spin1(end time.Time) uint64 { return spinUntil(end) }

//go:noinline
func spin2(end time.Time) uint64 { return spinUntil(end) }

//go:noinline
func spin3(end time.Time) uint64 { return spinUntil(end) }

// On as many processors as threads all of them would use the same time; here they share them.
func spin(threads int, milliseconds int) {
	end := time.Now().Add(time.Duration(milliseconds*threads/runtime.NumCPU()) * time.Millisecond)
	var wait sync.WaitGroup
	for _, f := range []func(time.Time) uint64{spin0, spin1, spin2, spin3}[:threads] {
		wait.Add(1)
		go func(f func(time.Time) uint64) {
			defer wait.Done()
			f(end)
		}(f)
	}
	wait.Wait()
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	if rate := os.Getenv("BENCH_HEAP_RATE"); rate != "" {
		runtime.MemProfileRate = number(rate)
	}
	if path := os.Getenv("BENCH_CPU"); path != "" {
		file, err := os.Create(path)
		if err != nil {
			panic(err)
		}
		runtime.SetCPUProfileRate(number(os.Getenv("BENCH_HZ")))
		if err := pprof.StartCPUProfile(file); err != nil {
			panic(err)
		}
		defer pprof.StopCPUProfile()
	}
	count := number(os.Args[2])
	switch os.Args[1] {
	case "pairs":
		pairs(count)
	case "fifo":
		fifo(count)
	case "replace":
		replace(count)
	case "spin":
		spin(count, number(os.Args[3]))
	}
	if os.Getenv("BENCH_HEAP_RATE") != "" {
		pprof.Lookup("heap") // the runtime records only when a program can ask for it
	}
}
