// What a Go program needs of a kernel: goroutines on several threads, channels, timers, the
// collector.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

func main() {
	fmt.Println("main: Go on", runtime.GOOS, runtime.GOARCH, "with", runtime.NumCPU(), "processors")
	sums := make(chan int)
	var wg sync.WaitGroup
	for i := 0; i < 8; i++ {
		wg.Add(1)
		go func(n int) {
			defer wg.Done()
			sums <- fib(n)
		}(10 + i)
	}
	go func() { wg.Wait(); close(sums) }()
	total := 0
	for sum := range sums {
		total += sum
	}
	fmt.Println("goroutines: sum", total)
	start := time.Now()
	ticker := time.NewTicker(5 * time.Millisecond)
	for i := 0; i < 4; i++ {
		<-ticker.C
	}
	ticker.Stop()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-sums:
		if time.Since(start) < 0 {
			os.Exit(2)
		}
	}
	fmt.Println("timers: ok", time.Since(start) >= 20*time.Millisecond)
	// A loop without calls is preempted by SIGURG.
	stop := false
	go func() { time.Sleep(10 * time.Millisecond); stop = true }()
	for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
		_ = stop
	}
	spin := make(chan int)
	go func() {
		x := 0
		for i := 0; i < 30000000; i++ {
			x += i ^ x
		}
		spin <- x
	}()
	var keep [][]byte
	for i := 0; i < 200; i++ {
		keep = append(keep[:i%20], make([]byte, 64<<10))
	}
	runtime.GC()
	<-spin
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Println("collector: ran", stats.NumGC > 0, len(keep) > 0)
	fmt.Println("go: all done")
}
