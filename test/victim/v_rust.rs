// SPDX-License-Identifier: Apache-2.0
// Rust: a generic function keeps 8 MiB in boxes, another burns CPU time in a thread.
// Prints "ready", lives until stdin ends.
use std::io::Read;
use std::io::Write;

// std::hint::black_box came with Rust 1.66; Debian 12 has 1.63.
fn black_box<T>(value: T) -> T {
    let kept = std::mem::ManuallyDrop::new(value);
    unsafe { std::ptr::read_volatile(&*kept) }
}

mod store {
    #[inline(never)]
    pub fn keep_boxes<T: Clone>(item: T, count: usize) -> Vec<Box<[T]>> {
        let mut kept = Vec::with_capacity(count);
        for _ in 0..count {
            kept.push(vec![item.clone(); 1024].into_boxed_slice());
        }
        kept
    }
}

#[inline(never)]
fn burn_in_rust() -> ! {
    let mut x = 1u64;
    loop {
        for i in 0..10000u64 {
            x = black_box(x.wrapping_mul(6364136223846793005).wrapping_add(i));
        }
    }
}

fn main() {
    let kept = store::keep_boxes(7u8, 8192);
    std::thread::Builder::new()
        .name("burner".to_string())
        .spawn(|| burn_in_rust())
        .unwrap();
    println!("ready");
    std::io::stdout().flush().unwrap();
    let mut rest = String::new();
    std::io::stdin().read_to_string(&mut rest).unwrap();
    black_box(&kept);
}
