//! Values that a victim passes to the kernel: numbers, flags, addresses, file descriptors.

use rt::{
    dice::Dice,
    good_calls::{self, ROWS, Row},
    memory::{MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE, mmap_anonymous, munmap},
    process,
};

/// Words in the pool.
const POOL_WORDS: usize = 512;

/// Numbers at which the kernel's behaviour changes.
const CORNERS: &[u32] = &[
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    12,
    15,
    16,
    17,
    20,
    24,
    31,
    32,
    33,
    48,
    63,
    64,
    100,
    127,
    128,
    255,
    256,
    1023,
    1024,
    4095,
    4096,
    4097,
    8191,
    8192,
    65535,
    65536,
    65537,
    0xf_ffff,
    0x10_0000,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0001,
    0xffff_f000,
    0xffff_fffe,
    0xffff_ffff,
    1_000_000,
    999_999_999,
    1_000_000_000,
];

/// Addresses that do not belong to a program, or barely.
const ADDRESSES: &[u32] = &[
    0,
    1,
    0xfff,
    0x1000,
    0x0804_7fff,
    0x0804_8000,
    0xbfff_effc,
    0xbfff_ffff,
    0xbfff_fffc,
    0xc000_0000,
    0xc010_0000,
    0xf000_0000,
    0xffff_e000,
    0xffff_f000,
    0xffff_fffc,
    0xffff_ffff,
];

/// A file that victims make and write; the run removes it.
pub const NEW_FILE: &core::ffi::CStr = c"/tmp/fuzz";

/// Paths that can be opened, and some that cannot.
pub const PATHS: &[&core::ffi::CStr] = &[
    c"/",
    c"/dev/null",
    c"/dev/zero",
    c"/tests/fuzz",
    c"/tests",
    NEW_FILE,
    c"/proc/self/maps",
    c"/proc/self/stat",
    c"/proc/self/status",
    c"/proc/1/stat",
    c"/proc/stat",
    c"/proc/meminfo",
    c"/proc/cpuinfo",
    c"/proc/self",
    c"/proc",
    c"/proc/switch_to",
    c"/dev/urandom",
    c"/bin/busybox",
    c"/bin",
    c"",
    c"x",
    c"/proc/self/task",
    c"/proc/self/mem",
    c"/sys/kernel/debug/kcov",
    c"/dev/null/x",
];

/// A victim's own properties, and memory for its arguments.
pub struct Victim {
    /// It runs as root, so its signals and ports could affect others.
    pub is_root: bool,
    pool: u32,
    /// The last page of memory before a page that is not mapped.
    edge: u32,
    /// A page that cannot be written.
    constant: u32,
    calls: Option<[Row; ROWS]>,
}

impl Victim {
    /// Maps the victim's memory.
    pub fn new(is_root: bool) -> Self {
        let page = |prot| mmap_anonymous(PAGE_SIZE, prot, MAP_PRIVATE).unwrap_or(0);
        let pair = mmap_anonymous(2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE).unwrap_or(0);
        if pair != 0 {
            let _ = munmap(pair + PAGE_SIZE, PAGE_SIZE);
        }
        Self {
            is_root,
            pool: page(PROT_READ | PROT_WRITE),
            edge: pair + PAGE_SIZE,
            constant: page(PROT_READ),
            calls: None,
        }
    }

    /// Returns a call, all of whose arguments but `POINTER` are good, if the victim has the files
    /// for it.
    pub fn good_call(&mut self, dice: &mut Dice) -> Option<Row> {
        if self.calls.is_none() {
            self.calls = good_calls::rows().ok();
        }
        Some(dice.one_of(self.calls.as_ref()?))
    }

    /// Fills memory with `words` random words; returns its address.
    pub fn filled(&self, dice: &mut Dice, words: usize) -> u32 {
        let first = dice.throw((POOL_WORDS - words) as u32);
        let at = self.pool + 4 * first;
        for word in 0..words as u32 {
            let value = small_or_any(dice);
            self.store(at + 4 * word, value);
        }
        at
    }

    /// Stores `words` in memory; returns their address.
    pub fn words(&self, words: &[u32]) -> u32 {
        let at = self.pool + 4 * (POOL_WORDS as u32);
        for (&value, word) in words.iter().zip(0..) {
            self.store(at + 4 * word, value);
        }
        at
    }

    fn store(&self, address: u32, value: u32) {
        if self.pool != 0 {
            rt::insn::write(address, value);
        }
    }

    /// Returns an address, good or bad.
    pub fn address(&self, dice: &mut Dice) -> u32 {
        match dice.throw(10) {
            0..=4 => self.filled(dice, 24),
            5 => self.edge.wrapping_sub(dice.throw(64)),
            6 => self.constant + dice.throw(PAGE_SIZE),
            7 => self.pool + dice.throw(PAGE_SIZE),
            8 => dice.one_of(PATHS).as_ptr() as u32,
            _ => dice.one_of(ADDRESSES),
        }
    }

    /// Returns an argument for a system call.
    pub fn argument(&self, dice: &mut Dice) -> u32 {
        match dice.throw(8) {
            0 | 1 => dice.throw(24),
            2 | 3 => self.address(dice),
            4 => dice.one_of(CORNERS),
            5 => 1 << dice.throw(32),
            6 => dice.throw(2) << dice.throw(31) | dice.throw(256),
            _ => dice.word(),
        }
    }

    /// Returns a process to signal or to change: for root always the victim itself.
    pub fn process(&self, dice: &mut Dice) -> u32 {
        match dice.throw(if self.is_root { 5 } else { 8 }) {
            0 => 0,
            1 | 2 => process::getpid(),
            3 => process::getpid().wrapping_neg(),
            4 => dice.one_of(&[0x8000_0000, 0x7fff_ffff, 99_999, 0xffff_0000]),
            5 => u32::MAX,
            6 => 1,
            _ => dice.throw(64),
        }
    }
}

/// Returns a word that may well mean something.
pub fn small_or_any(dice: &mut Dice) -> u32 {
    match dice.throw(5) {
        0 | 1 => dice.throw(32),
        2 => dice.one_of(CORNERS),
        3 => 1 << dice.throw(32),
        _ => dice.word(),
    }
}
