// SPDX-License-Identifier: Apache-2.0
// The program that the agent is measured against: net/http/pprof with something to profile.
// test/conformance/victim.c does the same with threads, under the agent, and knows the same
// commands.
//
//	reference ADDRESS [quiet] [heap-rate=N] [custom=NAME] [write-timeout-ms=N] [ANYTHING]...
//
// It listens on ADDRESS (port 0: any), prints "ready PORT" and obeys lines on its stdin; each is
// answered by one line when it is done. It ends with its stdin.
//
//	keep N SIZE            keeper allocates N blocks and keeps them          -> kept
//	drop                   what was kept is gone                             -> dropped
//	churn N SIZE           churner allocates N blocks and drops them         -> churned
//	contend WHO MS N       WHO (first or second) holds a lock for MS after N have come to wait for
//	                       it; NS is what they had waited by then, in all    -> contended NS
//	burn MS                burner uses the CPU, with labels                  -> burning, and later
//	                                                                            burnt
//	park N                 N goroutines wait for good                        -> parked
//	where NAME             address of keeper, churner, burner or first       -> where 0xPC
//
// Only what every Go since 1.19 has may be used here.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"reflect"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	kept [][]byte
	sink []byte
	spun uint64
)

//go:noinline
func keeper(count, size int) {
	for i := 0; i < count; i++ {
		kept = append(kept, make([]byte, size))
	}
}

//go:noinline
func churner(count, size int) {
	for i := 0; i < count; i++ {
		sink = make([]byte, size)
	}
	sink = nil
}

//go:noinline
func burner(until time.Time) {
	for time.Now().Before(until) {
		for i := uint64(0); i < 100000; i++ {
			spun += i * i
		}
	}
}

//go:noinline
func parker(never chan bool) {
	<-never
}

//go:noinline
func leaver(lock *sync.Mutex) {
	lock.Unlock()
}

//go:noinline
func taker(lock *sync.Mutex) {
	lock.Lock()
}

// One critical section. The result is what the waiters had waited when it ended.
func hold(leave func(*sync.Mutex), length time.Duration, waiters int) int64 {
	var lock sync.Mutex
	var waiting int32
	var since int64 // sum of the times when they came, from start on
	var done sync.WaitGroup
	start := time.Now()
	lock.Lock()
	for i := 0; i < waiters; i++ {
		done.Add(1)
		go func() {
			atomic.AddInt64(&since, int64(time.Since(start)))
			atomic.AddInt32(&waiting, 1)
			taker(&lock)
			leaver(&lock)
			done.Done()
		}()
	}
	for atomic.LoadInt32(&waiting) < int32(waiters) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(length)
	waited := int64(waiters)*int64(time.Since(start)) - atomic.LoadInt64(&since)
	leave(&lock)
	done.Wait()
	return waited
}

//go:noinline
func first(lock *sync.Mutex) {
	lock.Unlock()
}

//go:noinline
func second(lock *sync.Mutex) {
	lock.Unlock()
}

//go:noinline
func member(profile *pprof.Profile, value int) {
	profile.Add(value, 0)
}

// Room first: the list itself is nobody's block.
func keep(count, size int) {
	kept = append(make([][]byte, 0, len(kept)+count), kept...)
	keeper(count, size)
}

func burn(milliseconds int) {
	labels := pprof.Labels("worker", "burner", "k2", "v 2")
	go pprof.Do(context.Background(), labels, func(context.Context) {
		burner(time.Now().Add(time.Duration(milliseconds) * time.Millisecond))
		fmt.Println("burnt")
	})
}

func park(count int) {
	never := make(chan bool)
	labels := pprof.Labels("worker", "parker", "k2", "v 2")
	for i := 0; i < count; i++ {
		go pprof.Do(context.Background(), labels, func(context.Context) {
			parker(never)
		})
	}
}

func where(name string) uintptr {
	functions := map[string]interface{}{"keeper": keeper, "churner": churner, "burner": burner,
		"first": first}
	return runtime.FuncForPC(reflect.ValueOf(functions[name]).Pointer()).Entry()
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func obey(words []string) {
	switch words[0] {
	case "keep":
		keep(number(words[1]), number(words[2]))
		fmt.Println("kept")
	case "drop":
		kept = nil
		runtime.GC()
		runtime.GC() // the first one only finds them
		fmt.Println("dropped")
	case "churn":
		churner(number(words[1]), number(words[2]))
		fmt.Println("churned")
	case "contend":
		leave := map[string]func(*sync.Mutex){"first": first, "second": second}[words[1]]
		length := time.Duration(number(words[2])) * time.Millisecond
		fmt.Println("contended", hold(leave, length, number(words[3])))
	case "burn":
		burn(number(words[1]))
		fmt.Println("burning")
	case "park":
		park(number(words[1]))
		fmt.Println("parked")
	case "where":
		fmt.Printf("where %#x\n", where(words[1]))
	default:
		panic(words[0])
	}
}

func main() {
	server := &http.Server{}
	quiet := false
	for _, argument := range os.Args[2:] {
		switch {
		case argument == "quiet":
			quiet = true
		case strings.HasPrefix(argument, "heap-rate="):
			runtime.MemProfileRate = number(strings.TrimPrefix(argument, "heap-rate="))
		case strings.HasPrefix(argument, "custom="):
			profile := pprof.NewProfile(strings.TrimPrefix(argument, "custom="))
			member(profile, 1)
			member(profile, 2)
		case strings.HasPrefix(argument, "write-timeout-ms="):
			ms := number(strings.TrimPrefix(argument, "write-timeout-ms="))
			server.WriteTimeout = time.Duration(ms) * time.Millisecond
		}
	}
	if !quiet {
		runtime.SetBlockProfileRate(1)
		runtime.SetMutexProfileFraction(1)
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		panic(err)
	}
	go server.Serve(listener)
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		obey(strings.Fields(lines.Text()))
	}
}
