// SPDX-License-Identifier: Apache-2.0
// What the standard library of Rust waits in by syscall(SYS_futex). For each line on stdin
//
//   KIND HOLD_MS WAITERS
//
// main lets WAITERS threads wait, goes on HOLD_MS after the last has come, and ends their waits.
// Prints "KIND waited NS charged NS": the time that they measured around their calls, and how much
// of it had passed when main ended them. Ends with status 0 with its stdin.
//
// Calls: turn -> end_KIND, waiter -> wait_KIND.
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard, Once, RwLock, RwLockReadGuard,
                RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

static MUTEX: Mutex<u64> = Mutex::new(0);
static RWLOCK: RwLock<u64> = RwLock::new(0);
static FLAG: Mutex<bool> = Mutex::new(false);
static CONDVAR: Condvar = Condvar::new();
static ENDED: AtomicUsize = AtomicUsize::new(0);

// Last in functions that would end in a jump, and be in no stack.
#[inline(always)]
fn note_end() {
    ENDED.fetch_add(1, Ordering::SeqCst);
}

#[inline(never)]
fn wait_mutex() {
    *MUTEX.lock().unwrap() += 1;
}

#[inline(never)]
fn end_mutex(guard: MutexGuard<u64>) {
    drop(guard);
    note_end();
}

#[inline(never)]
fn wait_read() -> u64 {
    *RWLOCK.read().unwrap()
}

#[inline(never)]
fn end_read(guard: RwLockWriteGuard<u64>) {
    drop(guard);
    note_end();
}

#[inline(never)]
fn wait_write() {
    *RWLOCK.write().unwrap() += 1;
}

#[inline(never)]
fn end_write(guard: RwLockReadGuard<u64>) {
    drop(guard);
    note_end();
}

#[inline(never)]
fn wait_condvar() {
    let mut flag = FLAG.lock().unwrap();
    while !*flag {
        flag = CONDVAR.wait(flag).unwrap();
    }
}

#[inline(never)]
fn end_condvar() {
    *FLAG.lock().unwrap() = true;
    CONDVAR.notify_all();
    note_end();
}

#[inline(never)]
fn wait_park() {
    thread::park();
    note_end();
}

#[inline(never)]
fn end_park(threads: &[thread::Thread]) {
    for thread in threads {
        thread.unpark();
    }
    note_end();
}

#[inline(never)]
fn wait_mpsc(receiver: &Receiver<u64>) -> u64 {
    receiver.recv().unwrap()
}

#[inline(never)]
fn end_mpsc(senders: &[Sender<u64>]) {
    for sender in senders {
        sender.send(1).unwrap();
    }
    note_end();
}

#[inline(never)]
fn wait_barrier(barrier: &Barrier) {
    barrier.wait();
    note_end();
}

#[inline(never)]
fn end_barrier(barrier: &Barrier) {
    barrier.wait();
    note_end();
}

#[inline(never)]
fn wait_once(once: &Once) {
    once.call_once(|| ());
    note_end();
}

// The waiters: start() makes them, each with what it waits in; end() waits for their ends.
struct Round {
    arrived: AtomicUsize,
    waiters: usize,
    hold: Duration,
}

type Threads = Vec<thread::JoinHandle<(Instant, Instant)>>;

impl Round {
    fn start<F: Fn(usize) + Send + Sync + 'static>(self: &Arc<Self>, wait: F) -> Threads {
        let wait = Arc::new(wait);
        (0..self.waiters)
            .map(|i| {
                let (round, wait) = (self.clone(), wait.clone());
                thread::spawn(move || {
                    let start = Instant::now();
                    round.arrived.fetch_add(1, Ordering::SeqCst);
                    wait(i);
                    (start, Instant::now())
                })
            })
            .collect()
    }

    fn hold(&self) -> Instant {
        while self.arrived.load(Ordering::SeqCst) < self.waiters {
            thread::yield_now();
        }
        thread::sleep(self.hold);
        Instant::now()
    }

    fn end(&self, name: &str, threads: Threads, end: Instant) {
        let (mut waited, mut charged) = (Duration::ZERO, Duration::ZERO);
        for thread in threads {
            let (start, stop) = thread.join().unwrap();
            waited += stop - start;
            charged += end - start;
        }
        println!("{} waited {} charged {}", name, waited.as_nanos(), charged.as_nanos());
        std::io::stdout().flush().unwrap();
    }
}

// The closure of the first call is what the others wait for.
#[inline(never)]
fn turn_once(round: &Arc<Round>) -> (Threads, Instant) {
    let once: &'static Once = Box::leak(Box::new(Once::new()));
    let mut result = None;
    once.call_once(|| {
        let threads = round.start(move |_| wait_once(once));
        let end = round.hold();
        result = Some((threads, end));
    });
    result.unwrap()
}

fn turn(name: &str, round: &Arc<Round>) {
    let n = round.waiters;
    let (threads, end) = match name {
        "mutex" => {
            let guard = MUTEX.lock().unwrap();
            let threads = round.start(|_| wait_mutex());
            let end = round.hold();
            end_mutex(guard);
            (threads, end)
        }
        "read" => {
            let guard = RWLOCK.write().unwrap();
            let threads = round.start(|_| { wait_read(); });
            let end = round.hold();
            end_read(guard);
            (threads, end)
        }
        "write" => {
            let guard = RWLOCK.read().unwrap();
            let threads = round.start(|_| wait_write());
            let end = round.hold();
            end_write(guard);
            (threads, end)
        }
        "once" => turn_once(round),
        "condvar" => {
            *FLAG.lock().unwrap() = false;
            let threads = round.start(|_| wait_condvar());
            let end = round.hold();
            end_condvar();
            (threads, end)
        }
        "park" => {
            let threads = round.start(|_| wait_park());
            let end = round.hold();
            end_park(&threads.iter().map(|t| t.thread().clone()).collect::<Vec<_>>());
            (threads, end)
        }
        "mpsc" => {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..n).map(|_| channel()).map(|(s, r)| (s, Mutex::new(r))).unzip();
            let threads = round.start(move |i| {
                wait_mpsc(&receivers[i].lock().unwrap());
            });
            let end = round.hold();
            end_mpsc(&senders);
            (threads, end)
        }
        "barrier" => {
            let barrier: &'static Barrier = Box::leak(Box::new(Barrier::new(n + 1)));
            let threads = round.start(move |_| wait_barrier(barrier));
            let end = round.hold();
            end_barrier(barrier);
            (threads, end)
        }
        _ => panic!("no kind {}", name),
    };
    round.end(name, threads, end);
}

fn main() {
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let round = Arc::new(Round {
            arrived: AtomicUsize::new(0),
            hold: Duration::from_millis(words[1].parse().unwrap()),
            waiters: words[2].parse().unwrap(),
        });
        turn(words[0], &round);
    }
}
