//! Rust's regions and its table of keys, in the workloads of benchmarks/cpp/arena.cpp and
//! benchmarks/cpp/handle_pool.cpp: bumpalo for blocks of any size, typed-arena for equal ones, slab
//! for keys. malloc is measured in both languages, so that the two programs can be compared.

use bumpalo::Bump;
use slab::Slab;
use std::alloc::{alloc, dealloc, Layout};
use std::arch::asm;
use std::mem::MaybeUninit;
use std::time::Instant;
use typed_arena::Arena;

/// 64 bytes that are never written.
#[repr(align(16))]
struct Bytes(#[allow(dead_code)] [u8; 64]);
type Object = MaybeUninit<Bytes>;

/// The compiler must assume that this memory is read.
fn used<T>(block: *const T) {
    unsafe { asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags)) }
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}
extern "C" {
    fn clock_gettime(clock: i32, now: *mut Timespec) -> i32;
}

/// The processor's time of this thread.
fn thread_nanoseconds() -> f64 {
    const CLOCK_THREAD_CPUTIME_ID: i32 = 3;
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &mut now) };
    now.seconds as f64 * 1e9 + now.nanoseconds as f64
}

/// As in turns.hpp: contenders take turns, medians of many short rounds.
struct Contest<'a> {
    title: &'a str,
    times: usize,
    contenders: Vec<(&'a str, Box<dyn FnMut(usize) + 'a>, Vec<f64>)>,
}

impl<'a> Contest<'a> {
    fn new(title: &'a str, times: usize) -> Self {
        Contest { title, times, contenders: Vec::new() }
    }

    fn add(&mut self, name: &'a str, mut once: impl FnMut() + 'a) {
        let work = move |times| (0..times).for_each(|_| once());
        self.contenders.push((name, Box::new(work), Vec::new()));
    }

    fn run(mut self) {
        const ROUNDS: usize = 41;
        for _ in 0..ROUNDS {
            for (_, work, nanoseconds) in &mut self.contenders {
                let start = thread_nanoseconds();
                work(self.times);
                nanoseconds.push((thread_nanoseconds() - start) / self.times as f64);
            }
        }
        println!("{:<46} {:>9} {:>9}", self.title, "ns", "spread");
        for (name, _, nanoseconds) in &mut self.contenders {
            nanoseconds.sort_by(f64::total_cmp);
            let spread = nanoseconds[ROUNDS * 3 / 4] - nanoseconds[ROUNDS / 4];
            println!("{:<46} {:>9.2} {:>9.2}", name, nanoseconds[ROUNDS / 2], spread);
        }
    }
}

/// The sizes of arena.cpp, from the generator of measure.hpp.
fn mixed_sizes(count: usize) -> Vec<usize> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64.wrapping_add(1);
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    (0..count).map(|_| 16 + { let most = 16 << below(8); below(most) } as usize).collect()
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes, 16).unwrap()
}

fn malloc_and_free(sizes: &[usize], blocks: &mut Vec<*mut u8>) {
    for &bytes in sizes {
        let block = unsafe { alloc(layout(bytes)) };
        used(block);
        blocks.push(block);
    }
    for (block, &bytes) in blocks.drain(..).zip(sizes) {
        unsafe { dealloc(block, layout(bytes)) }
    }
}

fn blocks_and_their_end() {
    let sizes = mixed_sizes(1000);
    let mut bump = Bump::with_capacity(1 << 20);
    let mut kept = vec![std::ptr::null_mut(); sizes.len()];
    let mut blocks = Vec::with_capacity(sizes.len());
    let mut contest = Contest::new("1000 blocks of 16-2048 bytes and their end", 20);
    contest.add("bumpalo, ended by reset", || {
        for (block, &bytes) in kept.iter_mut().zip(&sizes) {
            *block = bump.alloc_layout(layout(bytes)).as_ptr();
            used(*block);
        }
        bump.reset();
    });
    contest.add("malloc and free", || malloc_and_free(&sizes, &mut blocks));
    contest.run();

    let equal = vec![64; 1000];
    let mut bump = Bump::with_capacity(1 << 20);
    let mut blocks = Vec::with_capacity(equal.len());
    let mut contest = Contest::new("1000 blocks of 64 bytes and their end", 20);
    contest.add("typed-arena, made for as many", || {
        let arena = Arena::<Object>::with_capacity(equal.len());
        for _ in &equal {
            used(arena.alloc(Object::uninit()));
        }
    });
    contest.add("typed-arena, that grows", || {
        let arena = Arena::<Object>::new();
        for _ in &equal {
            used(arena.alloc(Object::uninit()));
        }
    });
    contest.add("bumpalo, ended by reset", || {
        for _ in &equal {
            used(bump.alloc_with(Object::uninit));
        }
        bump.reset();
    });
    contest.add("malloc and free", || malloc_and_free(&equal, &mut blocks));
    contest.run();
}

fn requests() {
    let sizes = mixed_sizes(200);
    let mut blocks = Vec::with_capacity(sizes.len());
    let mut contest = Contest::new("a region for a request of 200 blocks", 50);
    contest.add("bumpalo", || {
        let bump = Bump::with_capacity(64 << 10);
        for &bytes in &sizes {
            used(bump.alloc_layout(layout(bytes)).as_ptr());
        }
    });
    contest.add("malloc and free, no region", || malloc_and_free(&sizes, &mut blocks));
    contest.run();
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The end of so many blocks of 64 bytes, timed by itself, by a clock as in arena.cpp.
fn the_end_of(count: usize, cold: bool) {
    let mut other = vec![0_u8; if cold { 80 << 20 } else { 0 }];
    let mut timed = |work: &mut dyn FnMut()| {
        other.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        used(other.as_ptr());
        let start = Instant::now();
        work();
        start.elapsed().as_nanos() as f64
    };
    let (mut resets, mut drops) = (Vec::new(), Vec::new());
    let mut bump = Bump::with_capacity(64 << 10);
    for _ in 0..31 {
        for _ in 0..count {
            used(bump.alloc_with(Object::uninit));
        }
        resets.push(timed(&mut || bump.reset()));
        let mut arena = Some(Arena::<Object>::new());
        for _ in 0..count {
            used(arena.as_ref().unwrap().alloc(Object::uninit()));
        }
        drops.push(timed(&mut || arena = None));
    }
    println!(
        "the end of {:<8} blocks, {}: bumpalo's reset {:>7.0} ns, typed-arena's drop {:>9.0}",
        count,
        if cold { "cold" } else { "warm" },
        median(&mut resets),
        median(&mut drops)
    );
}

/// std::minstd_rand, as in handle_pool.cpp.
fn minstd(state: &mut u64) -> usize {
    *state = *state * 48271 % 2147483647;
    *state as usize
}

fn keys() {
    const LIVE: usize = 1000;
    const TIMES: usize = 20_000;
    let filled = || {
        let mut slab = Slab::with_capacity(LIVE + 1);
        let keys: Vec<usize> = (0..LIVE).map(|_| slab.insert(Object::uninit())).collect();
        (slab, keys)
    };
    let (mut slab, mut keys) = filled();
    let mut random = 1;
    let block = || unsafe { alloc(layout(64)) };
    let mut blocks: Vec<*mut u8> = (0..LIVE).map(|_| block()).collect();
    let mut other_random = 1;
    let mut contest = Contest::new("free one of 1000 at random, acquire one", TIMES);
    contest.add("slab (keys without versions)", || {
        let key = &mut keys[minstd(&mut random) % LIVE];
        slab.remove(*key);
        *key = slab.insert(Object::uninit());
    });
    contest.add("malloc and free (pointers, unchecked)", || {
        let one = &mut blocks[minstd(&mut other_random) % LIVE];
        unsafe { dealloc(*one, layout(64)) };
        *one = block();
    });
    contest.run();

    let (slab, keys) = filled();
    let mut random = 1;
    let mut contest = Contest::new("find one of 1000 at random", TIMES);
    contest.add("slab (keys without versions)", || {
        if let Some(found) = slab.get(keys[minstd(&mut random) % LIVE]) {
            used(found);
        }
    });
    contest.run();
}

fn main() {
    blocks_and_their_end();
    requests();
    for count in [1, 1000, 1_000_000] {
        the_end_of(count, false);
        the_end_of(count, true);
    }
    keys();
}
