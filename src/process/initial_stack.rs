#![forbid(unsafe_code)]
//! The contents of a program's stack when it starts.
//!
//! ```text
//!   TASK_SIZE - 4   0
//!                   the program's path (AT_EXECFN)
//!                   environment strings, then argument strings
//!                   "i686" (AT_PLATFORM), 16 random bytes (AT_RANDOM)
//!                   auxiliary vector: pairs of words, the last AT_NULL
//!                   pointers to the environment strings, 0
//!                   pointers to the argument strings, 0
//!   esp             argc                                   esp is a multiple of 16
//! ```
//!
//! Called by exec, which copies the bytes into the new address space.
//!
//! Book: ch. 20, "Command-Line Arguments and Shell Environment".
//! Linux: 2.6.38 `fs/binfmt_elf.c` (`create_elf_tables`), `asm/elf.h`. ABI: Intel386 supplement.

use alloc::vec::Vec;
use core::ops::Range;

use crate::base::errno::Errno;
use crate::mm::fallible::TryVec;

/// Most bytes that argument and environment strings take with their pointers: a quarter of the
/// stack's limit.
pub const ARG_MAX: usize = 2 << 20;
/// Longest string with its zero, in bytes (`MAX_ARG_STRLEN`).
pub const MAX_ARG_STRLEN: u32 = 128 << 10;

/// AT_NULL: the end.
pub const AT_NULL: u32 = 0;
/// AT_PHDR: where the program headers are.
pub const AT_PHDR: u32 = 3;
/// AT_PHENT: bytes of one program header.
pub const AT_PHENT: u32 = 4;
/// AT_PHNUM: number of program headers.
pub const AT_PHNUM: u32 = 5;
/// AT_PAGESZ: bytes of a page.
pub const AT_PAGESZ: u32 = 6;
/// AT_BASE: where the dynamic linker is; 0 without one.
pub const AT_BASE: u32 = 7;
/// AT_FLAGS: always 0.
pub const AT_FLAGS: u32 = 8;
/// AT_ENTRY: the program's first instruction.
pub const AT_ENTRY: u32 = 9;
/// AT_UID: real user ID.
pub const AT_UID: u32 = 11;
/// AT_EUID: effective user ID.
pub const AT_EUID: u32 = 12;
/// AT_GID: real group ID.
pub const AT_GID: u32 = 13;
/// AT_EGID: effective group ID.
pub const AT_EGID: u32 = 14;
/// AT_PLATFORM: a string that names the processor.
pub const AT_PLATFORM: u32 = 15;
/// AT_HWCAP: edx of CPUID leaf 1.
pub const AT_HWCAP: u32 = 16;
/// AT_CLKTCK: ticks per second in the unit of times(2).
pub const AT_CLKTCK: u32 = 17;
/// AT_SECURE: the program has rights that its caller did not have.
pub const AT_SECURE: u32 = 23;
/// AT_RANDOM: 16 random bytes.
pub const AT_RANDOM: u32 = 25;
/// AT_EXECFN: the path that was executed.
pub const AT_EXECFN: u32 = 31;
/// AT_SYSINFO: address of `__kernel_vsyscall`.
pub const AT_SYSINFO: u32 = 32;
/// AT_SYSINFO_EHDR: address of the vDSO.
pub const AT_SYSINFO_EHDR: u32 = 33;

/// Strings one after another, each with a zero at its end.
#[derive(Debug, Default)]
pub struct Strings {
    bytes: Vec<u8>,
    count: usize,
}

impl Strings {
    /// Returns an empty list.
    pub const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            count: 0,
        }
    }

    /// Returns the number of strings.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the bytes that the strings and their pointers take on the stack.
    pub fn size(&self) -> usize {
        self.bytes
            .len()
            .saturating_add(self.count.saturating_mul(4))
    }

    /// Adds a string, given without its zero.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn push(&mut self, string: &[u8]) -> Result<(), Errno> {
        // With its zero, and its pointer.
        let bytes = string.len().saturating_add(1);
        if self.size().saturating_add(bytes).saturating_add(4) > ARG_MAX {
            return Err(Errno::E2BIG);
        }
        self.bytes.try_extend_from_slice(string)?;
        if let Err(errno) = self.bytes.try_push(0) {
            self.bytes
                .truncate(self.bytes.len().saturating_sub(string.len()));
            return Err(errno);
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// Returns an iterator over the strings, each without its zero.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split_inclusive(|byte| *byte == 0)
            .map(|string| string.strip_suffix(b"\0").unwrap_or(string))
    }
}

/// Everything that goes onto the stack.
pub struct InitialStack<'a> {
    /// Address of the stack's end.
    pub top: u32,
    /// The path that was executed.
    pub execfn: &'a [u8],
    /// Argument strings.
    pub argv: &'a Strings,
    /// Environment strings.
    pub envp: &'a Strings,
    /// The AT_PLATFORM string without its zero.
    pub platform: &'a [u8],
    /// The bytes that AT_RANDOM points to.
    pub random: [u8; 16],
    /// The auxiliary vector without AT_EXECFN, AT_PLATFORM, AT_RANDOM and AT_NULL, which are added.
    pub auxv: &'a [(u32, u32)],
}

impl InitialStack<'_> {
    fn execfn_address(&self) -> u32 {
        below(below(self.top, 4), self.execfn.len().saturating_add(1))
    }

    /// Returns the addresses of the argument strings; the environment strings follow. They fit if
    /// [`InitialStack::build`] succeeds.
    pub fn arg_range(&self) -> Range<u32> {
        let end = below(self.execfn_address(), self.envp.bytes.len());
        below(end, self.argv.bytes.len())..end
    }

    /// Returns the first address after the environment strings.
    pub fn env_end(&self) -> u32 {
        self.execfn_address()
    }

    /// Returns the stack pointer the program starts with, and the bytes from there to the stack's
    /// end.
    ///
    /// # Errors
    /// E2BIG, ENOMEM.
    pub fn build(&self) -> Result<(u32, Vec<u8>), Errno> {
        if self.argv.size().saturating_add(self.envp.size()) > ARG_MAX {
            return Err(Errno::E2BIG);
        }
        let execfn = self.execfn_address();
        let Range {
            start: arg_start,
            end: env_start,
        } = self.arg_range();
        let platform = below(arg_start, self.platform.len().saturating_add(1));
        let random = below(platform, self.random.len());
        let pointers = self.argv.count.saturating_add(self.envp.count);
        let pairs = self.auxv.len().saturating_add(4);
        // argc, and the zero behind each list of pointers.
        let words = pairs.saturating_mul(2).saturating_add(pointers);
        let words = words.saturating_add(3);
        let sp = below(random, words.saturating_mul(4)) & !15;
        let bytes_to = |end: u32| end.saturating_sub(sp) as usize;

        let mut bytes = Vec::new();
        bytes.try_room(bytes_to(self.top))?;
        put(&mut bytes, self.argv.count as u32)?;
        put_pointers(&mut bytes, arg_start, self.argv)?;
        put_pointers(&mut bytes, env_start, self.envp)?;
        let ours = [
            (AT_RANDOM, random),
            (AT_EXECFN, execfn),
            (AT_PLATFORM, platform),
            (AT_NULL, 0),
        ];
        for (key, value) in self.auxv.iter().chain(&ours) {
            put(&mut bytes, *key)?;
            put(&mut bytes, *value)?;
        }
        bytes.try_resize_with(bytes_to(random), || 0)?;
        for part in [
            &self.random,
            self.platform,
            &[0],
            &self.argv.bytes,
            &self.envp.bytes,
            self.execfn,
        ] {
            bytes.try_extend_from_slice(part)?;
        }
        bytes.try_resize_with(bytes_to(self.top), || 0)?;
        Ok((sp, bytes))
    }
}

/// Returns the address `bytes` below `at`; what [`InitialStack::build`] accepts fits below the
/// stack's end.
fn below(at: u32, bytes: usize) -> u32 {
    u32::try_from(bytes).map_or(0, |bytes| at.saturating_sub(bytes))
}

fn put(bytes: &mut Vec<u8>, word: u32) -> Result<(), Errno> {
    bytes.try_extend_from_slice(&word.to_le_bytes())
}

fn put_pointers(bytes: &mut Vec<u8>, start: u32, strings: &Strings) -> Result<(), Errno> {
    let mut at = start;
    for string in strings.iter() {
        put(bytes, at)?;
        at = at.saturating_add(string.len() as u32).saturating_add(1);
    }
    put(bytes, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOP: u32 = 0xc000_0000;

    fn strings(list: &[Vec<u8>]) -> Strings {
        let mut strings = Strings::new();
        list.iter().for_each(|string| strings.push(string).unwrap());
        strings
    }

    #[test]
    fn too_much_is_e2big() {
        let mut many = Strings::new();
        assert_eq!(many.push(&vec![b'a'; ARG_MAX - 5]), Ok(()));
        assert_eq!(many.push(b""), Err(Errno::E2BIG));
        let one = strings(&[b"a".to_vec()]);
        let stack = InitialStack {
            top: TOP,
            execfn: b"/a",
            argv: &many,
            envp: &one,
            platform: b"i686",
            random: [0; 16],
            auxv: &[],
        };
        assert_eq!(stack.build().err(), Some(Errno::E2BIG));
    }

    proptest! {
        /// The program's start-up code finds everything again.
        #[test]
        fn a_program_finds_its_arguments(
            argv in prop::collection::vec(prop::collection::vec(1u8.., 0..40), 0..10),
            envp in prop::collection::vec(prop::collection::vec(1u8.., 0..40), 0..10),
            auxv in prop::collection::vec((1u32..20, any::<u32>()), 0..8),
        ) {
            let (args, envs) = (strings(&argv), strings(&envp));
            let stack = InitialStack {
                top: TOP, execfn: b"/bin/x", argv: &args, envp: &envs,
                platform: b"i686", random: *b"0123456789abcdef", auxv: &auxv,
            };
            let (sp, bytes) = stack.build().unwrap();
            prop_assert_eq!(sp % 16, 0);
            prop_assert_eq!(sp as usize + bytes.len(), TOP as usize);
            let word = |i: usize| u32::from_le_bytes(bytes[4 * i..4 * i + 4].try_into().unwrap());
            let string = |at: u32| {
                let rest = &bytes[(at - sp) as usize..];
                rest[..rest.iter().position(|byte| *byte == 0).unwrap()].to_vec()
            };
            prop_assert_eq!(word(0) as usize, argv.len());
            let mut at = 1;
            for list in [&argv, &envp] {
                for expected in list {
                    prop_assert_eq!(&string(word(at)), expected);
                    at += 1;
                }
                prop_assert_eq!(word(at), 0);
                at += 1;
            }
            let pairs: Vec<(u32, u32)> = (0..).map(|i| (word(at + 2 * i), word(at + 2 * i + 1)))
                .take_while(|pair| pair.0 != AT_NULL).collect();
            prop_assert_eq!(&pairs[..auxv.len()], &auxv[..]);
            let value = |key| pairs[auxv.len()..].iter().find(|pair| pair.0 == key).unwrap().1;
            prop_assert_eq!(string(value(AT_EXECFN)), b"/bin/x");
            prop_assert_eq!(string(value(AT_PLATFORM)), b"i686");
            let random = (value(AT_RANDOM) - sp) as usize;
            prop_assert_eq!(&bytes[random..random + 16], b"0123456789abcdef");
        }
    }
}
