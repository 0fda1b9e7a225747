// SPDX-License-Identifier: Apache-2.0
// Rust whose functions disappear into each other: generics, closures, iterators of the standard
// library, boxed traits. Each path ends in allocations. Prints "ready" after each round; a line on
// stdin begins the next, the end of stdin ends the program.
use std::collections::BTreeMap;
use std::io::{BufRead, Write};

mod shelf {
    pub struct Shelf<T> {
        kept: Vec<Box<T>>,
    }

    impl<T: Clone> Shelf<T> {
        pub fn new() -> Self {
            Shelf { kept: Vec::new() }
        }

        pub fn put(&mut self, value: &T) -> &T {
            self.kept.push(Box::new(value.clone()));
            self.kept.last().unwrap()
        }

        pub fn sum(&self, measure: impl Fn(&T) -> usize) -> usize {
            self.kept.iter().map(|item| measure(item)).sum()
        }
    }
}

trait Shape {
    fn name(&self) -> String;
}

struct Circle(usize);
struct Square(String);

impl Shape for Circle {
    fn name(&self) -> String {
        "c".repeat(self.0)
    }
}

impl Shape for Square {
    fn name(&self) -> String {
        format!("{}{}", self.0, self.0)
    }
}

#[inline(never)]
fn shelves(count: usize) -> usize {
    let mut texts = shelf::Shelf::new();
    let mut lists = shelf::Shelf::new();
    for i in 0..count {
        texts.put(&"x".repeat(40 + i));
        lists.put(&vec![i; 20]);
    }
    texts.sum(|text| (text.clone() + text).len()) + lists.sum(|list| list.len())
}

#[inline(never)]
fn shapes(count: usize) -> usize {
    let all: Vec<Box<dyn Shape>> = (0..count)
        .map(|i| -> Box<dyn Shape> {
            if i % 2 == 0 { Box::new(Circle(30 + i)) } else { Box::new(Square("s".repeat(i))) }
        })
        .collect();
    let mut names = BTreeMap::new();
    for shape in &all {
        *names.entry(shape.name()).or_insert(0) += 1;
    }
    names.len()
}

#[inline(always)]
fn half(text: &str) -> String {
    text.chars().take(text.len() / 2).collect()
}

#[inline(never)]
fn recursive(depth: usize) -> usize {
    let text = half(&"r".repeat(60 + depth));
    if depth == 0 { text.len() } else { recursive(depth - 1) + half(&text).len() }
}

fn main() {
    let mut sum = 0;
    let mut line = String::new();
    loop {
        for _ in 0..30 {
            sum += shelves(20) + shapes(20) + recursive(8);
        }
        println!("ready {}", sum);
        std::io::stdout().flush().unwrap();
        line.clear();
        if std::io::stdin().lock().read_line(&mut line).unwrap() == 0 {
            return;
        }
    }
}
