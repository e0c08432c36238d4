#![forbid(unsafe_code)]
//! A program's TLS request: its checks, its encoding, and its decoding.
//!
//! Once per thread, musl and glibc request a segment whose base is the thread's TLS block, by
//! `set_thread_area` or `clone(CLONE_SETTLS)`, and use it through %gs from then on. The three
//! descriptors live in `thread_struct.tls_array`; `load_TLS` copies them into this CPU's GDT at
//! each switch. The system calls and `copy_thread` call this, on the caller's own kernel stack.
//!
//! Book: ch. 3, "Performing the Process Switch" (`load_TLS`).
//! Linux: `asm/ldt.h` (`struct user_desc`), `kernel/tls.c`; checks as since 3.19.
//! SDM: vol. 3, 3.4.5.1 "Code- and Data-Segment Descriptor Types".

use bitflags::bitflags;

use crate::base::errno::Errno;
use crate::hw::desc::{DescStruct, GDT_ENTRY_TLS_ENTRIES, GDT_ENTRY_TLS_MAX, GDT_ENTRY_TLS_MIN};

/// `entry_number` of a request that leaves the choice of the entry to the kernel.
pub const ANY_ENTRY: u32 = u32::MAX;

bitflags! {
    /// The bit fields of `user_desc`, from bit 0.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    #[repr(transparent)]
    pub struct UserDescFlags: u32 {
        /// 32-bit operands and stack.
        const SEG_32BIT = 1 << 0;
        /// Two bits: 0 data, 1 data growing down, 2 code, 3 conforming code.
        const CONTENTS = 3 << 1;
        /// Data that is read-only, code that is execute-only.
        const READ_EXEC_ONLY = 1 << 3;
        /// The limit counts pages.
        const LIMIT_IN_PAGES = 1 << 4;
        /// The segment is marked as not present.
        const SEG_NOT_PRESENT = 1 << 5;
        /// The AVL bit.
        const USEABLE = 1 << 6;
    }
}

/// The 16 bytes that `set_thread_area`, `get_thread_area`, `clone` and
/// `modify_ldt` exchange with a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct UserDesc {
    /// GDT entry (6–8) or LDT entry; [`ANY_ENTRY`] requests a free one.
    pub entry_number: u32,
    /// Linear address of the segment.
    pub base_addr: u32,
    /// Last valid offset, in bytes or pages; only 20 bits are kept.
    pub limit: u32,
    /// The bit fields.
    pub flags: UserDescFlags,
}

const _: () = assert!(size_of::<UserDesc>() == 16);

impl UserDesc {
    /// Parses the bytes that a program passed; bits outside of all fields are dropped.
    pub fn from_bytes(bytes: &[u8; 16]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |at: usize| {
            words
                .get(at / 4)
                .map_or(0, |word| u32::from_le_bytes(*word))
        };
        UserDesc {
            entry_number: word(0),
            base_addr: word(4),
            limit: word(8),
            flags: UserDescFlags::from_bits_truncate(word(12)),
        }
    }

    /// Returns the bytes for the program.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let words = [
            self.entry_number,
            self.base_addr,
            self.limit,
            self.flags.bits(),
        ];
        for (chunk, word) in bytes.chunks_exact_mut(4).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the `contents` field, 0–3.
    pub const fn contents(&self) -> u32 {
        (self.flags.bits() & UserDescFlags::CONTENTS.bits()) >> 1
    }

    /// Returns whether the request is the pattern that clears an entry: all zero except
    /// `read_exec_only` and `seg_not_present`. An empty entry reads back as this.
    #[doc(alias = "LDT_empty")]
    pub fn ldt_empty(&self) -> bool {
        self.base_addr == 0
            && self.limit == 0
            && self.flags == UserDescFlags::READ_EXEC_ONLY | UserDescFlags::SEG_NOT_PRESENT
    }

    /// Returns whether the request is all zero except the entry number, which is how very old
    /// programs clear an entry.
    #[doc(alias = "LDT_zero")]
    pub fn ldt_zero(&self) -> bool {
        self.base_addr == 0 && self.limit == 0 && self.flags.is_empty()
    }

    /// Returns the descriptor for this request, always of privilege 3. The accessed bit is clear:
    /// the processor sets it in the GDT when %gs is loaded.
    pub fn fill_ldt(&self) -> DescStruct {
        let bit = |flag, shift: u32| (self.flags.contains(flag) as u32) << shift;
        let attributes = (bit(UserDescFlags::READ_EXEC_ONLY, 9) ^ 1 << 9)
            | self.contents() << 10
            | 0x7000 // S, privilege 3
            | (bit(UserDescFlags::SEG_NOT_PRESENT, 15) ^ 1 << 15)
            | bit(UserDescFlags::USEABLE, 20)
            | bit(UserDescFlags::SEG_32BIT, 22)
            | bit(UserDescFlags::LIMIT_IN_PAGES, 23);
        DescStruct::from_parts(self.base_addr, self.limit, attributes)
    }

    /// Returns the description of `desc`, in entry `entry_number`, for a program.
    pub fn fill_user_desc(entry_number: u32, desc: DescStruct) -> Self {
        let mut flags = UserDescFlags::from_bits_retain((desc.segment_type() as u32 >> 2) << 1);
        flags.set(UserDescFlags::SEG_32BIT, desc.is_32bit());
        flags.set(UserDescFlags::READ_EXEC_ONLY, desc.segment_type() & 2 == 0);
        flags.set(UserDescFlags::LIMIT_IN_PAGES, desc.page_granular());
        flags.set(UserDescFlags::SEG_NOT_PRESENT, !desc.present());
        flags.set(UserDescFlags::USEABLE, desc.available());
        UserDesc {
            entry_number,
            base_addr: desc.base(),
            limit: desc.limit_raw(),
            flags,
        }
    }
}

/// A task's three TLS descriptors.
pub type TlsArray = [DescStruct; GDT_ENTRY_TLS_ENTRIES];

/// Writes `info` into `tls_array` and returns the number of its GDT entry (6–8), which the caller
/// writes back if the request was [`ANY_ENTRY`].
///
/// `can_allocate` is false for `CLONE_SETTLS`, which must name its entry. On an error nothing has changed.
///
/// # Errors
/// In this order: EINVAL for anything but a present 32-bit data segment; ESRCH if any entry would do
/// and none is free; EINVAL for an entry outside 6–8.
pub fn do_set_thread_area(
    tls_array: &mut TlsArray,
    info: &UserDesc,
    can_allocate: bool,
) -> Result<u32, Errno> {
    if !tls_desc_okay(info) {
        return Err(Errno::EINVAL);
    }
    let slot = if info.entry_number == ANY_ENTRY && can_allocate {
        get_free_idx(tls_array).ok_or(Errno::ESRCH)?
    } else {
        slot_of(info.entry_number)?
    };
    tls_array[slot] = match info.ldt_empty() || info.ldt_zero() {
        true => DescStruct::EMPTY,
        false => info.fill_ldt(),
    };
    Ok(GDT_ENTRY_TLS_MIN.saturating_add(slot) as u32)
}

/// Returns GDT entry `entry_number` of `tls_array`; EINVAL outside 6–8.
pub fn do_get_thread_area(tls_array: &TlsArray, entry_number: u32) -> Result<UserDesc, Errno> {
    let slot = slot_of(entry_number)?;
    Ok(UserDesc::fill_user_desc(entry_number, tls_array[slot]))
}

/// Returns whether a request is allowed: it may clear its entry, or make it a present 32-bit data
/// segment. A 16-bit stack segment would let `iret` leak the kernel's esp; a code segment or one
/// that is not present has no use here.
fn tls_desc_okay(info: &UserDesc) -> bool {
    if info.ldt_empty() || info.ldt_zero() {
        return true;
    }
    info.flags.contains(UserDescFlags::SEG_32BIT)
        && info.contents() <= 1
        && !info.flags.contains(UserDescFlags::SEG_NOT_PRESENT)
}

fn get_free_idx(tls_array: &TlsArray) -> Option<usize> {
    tls_array.iter().position(|desc| desc.is_empty())
}

fn slot_of(entry_number: u32) -> Result<usize, Errno> {
    match entry_number as usize {
        entry @ GDT_ENTRY_TLS_MIN..=GDT_ENTRY_TLS_MAX => {
            Ok(entry.saturating_sub(GDT_ENTRY_TLS_MIN))
        }
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONE: TlsArray = [DescStruct::EMPTY; 3];

    /// Returns a request like those of glibc and musl.
    fn request(entry_number: u32, base_addr: u32) -> UserDesc {
        let flags =
            UserDescFlags::SEG_32BIT | UserDescFlags::LIMIT_IN_PAGES | UserDescFlags::USEABLE;
        UserDesc {
            entry_number,
            base_addr,
            limit: 0xf_ffff,
            flags,
        }
    }

    fn empty(entry_number: u32) -> UserDesc {
        let flags = UserDescFlags::READ_EXEC_ONLY | UserDescFlags::SEG_NOT_PRESENT;
        UserDesc {
            entry_number,
            flags,
            ..UserDesc::default()
        }
    }

    #[test]
    fn the_c_librarys_request_becomes_linuxs_descriptor() {
        let desc = request(6, 0x0812_3480).fill_ldt();
        assert_eq!(desc.as_u64(), 0x08df_f212_3480_ffff);
        assert_eq!((desc.dpl(), desc.limit_bytes()), (3, u32::MAX));
        assert_eq!(request(6, 0).flags.bits(), 0x51);
    }

    #[test]
    fn any_entry_fills_6_7_8_then_esrch() {
        let mut tls = NONE;
        for entry in 6..=8 {
            assert_eq!(
                do_set_thread_area(&mut tls, &request(ANY_ENTRY, entry), true),
                Ok(entry)
            );
            assert_eq!(tls[entry as usize - 6].base(), entry);
        }
        let full = tls;
        assert_eq!(
            do_set_thread_area(&mut tls, &request(ANY_ENTRY, 0), true),
            Err(Errno::ESRCH)
        );
        assert_eq!(tls, full);
        assert_eq!(do_set_thread_area(&mut tls, &empty(7), true), Ok(7));
        assert_eq!(
            do_set_thread_area(&mut tls, &request(ANY_ENTRY, 1), true),
            Ok(7)
        );
    }

    #[test]
    fn other_entries_are_refused() {
        let mut tls = NONE;
        for entry in [0, 5, 9, 31, 0x33, ANY_ENTRY - 1] {
            assert_eq!(
                do_set_thread_area(&mut tls, &request(entry, 1), true),
                Err(Errno::EINVAL)
            );
            assert_eq!(do_get_thread_area(&tls, entry), Err(Errno::EINVAL));
        }
        assert_eq!(do_get_thread_area(&tls, ANY_ENTRY), Err(Errno::EINVAL));
        assert_eq!(tls, NONE);
    }

    #[test]
    fn clone_must_name_its_entry() {
        let mut tls = NONE;
        assert_eq!(
            do_set_thread_area(&mut tls, &request(ANY_ENTRY, 1), false),
            Err(Errno::EINVAL)
        );
        assert_eq!(do_set_thread_area(&mut tls, &request(8, 1), false), Ok(8));
    }

    #[test]
    fn only_present_32_bit_data_is_accepted() {
        let with = |set: UserDescFlags, clear: UserDescFlags| {
            let mut info = request(6, 0x1000);
            info.flags = (info.flags - clear) | set;
            do_set_thread_area(&mut NONE.clone(), &info, true)
        };
        let none = UserDescFlags::empty();
        let contents = |n: u32| UserDescFlags::from_bits_retain(n << 1);
        assert_eq!(with(none, UserDescFlags::SEG_32BIT), Err(Errno::EINVAL));
        assert_eq!(
            with(UserDescFlags::SEG_NOT_PRESENT, none),
            Err(Errno::EINVAL)
        );
        assert_eq!(with(contents(2), none), Err(Errno::EINVAL));
        assert_eq!(with(contents(3), none), Err(Errno::EINVAL));
        assert_eq!(with(contents(1), none), Ok(6));
        assert_eq!(with(UserDescFlags::READ_EXEC_ONLY, none), Ok(6));
        // The request is checked before its entry: a bad one does not get ESRCH.
        let mut full = [DescStruct::flat_data(3); 3];
        let mut info = request(ANY_ENTRY, 0x1000);
        info.flags.remove(UserDescFlags::SEG_32BIT);
        assert_eq!(
            do_set_thread_area(&mut full, &info, true),
            Err(Errno::EINVAL)
        );
    }

    #[test]
    fn clearing_leaves_the_empty_pattern() {
        let mut tls = NONE;
        assert_eq!(do_get_thread_area(&tls, 6), Ok(empty(6)));
        for clear in [
            empty(7),
            UserDesc {
                entry_number: 7,
                ..UserDesc::default()
            },
        ] {
            assert_eq!(
                do_set_thread_area(&mut tls, &request(7, 0x1000), true),
                Ok(7)
            );
            assert!(!tls[1].is_empty());
            assert_eq!(do_set_thread_area(&mut tls, &clear, true), Ok(7));
            assert!(tls[1].is_empty());
            assert_eq!(do_get_thread_area(&tls, 7), Ok(empty(7)));
        }
    }

    fn any_user_desc() -> impl Strategy<Value = UserDesc> {
        (any::<u32>(), any::<u32>(), any::<u32>(), 0u32..0x80).prop_map(
            |(entry_number, base_addr, limit, bits)| UserDesc {
                entry_number,
                base_addr,
                limit,
                flags: UserDescFlags::from_bits_retain(bits),
            },
        )
    }

    proptest! {
        #[test]
        fn encoding_loses_only_the_high_limit_bits(info in any_user_desc()) {
            let back = UserDesc::fill_user_desc(info.entry_number, info.fill_ldt());
            prop_assert_eq!(back, UserDesc { limit: info.limit & 0xf_ffff, ..info });
            prop_assert_eq!(info.fill_ldt().dpl(), 3);
            prop_assert!(info.fill_ldt().is_code_or_data());
        }

        #[test]
        fn bytes_keep_every_field(raw: [u8; 16]) {
            let info = UserDesc::from_bytes(&raw);
            let mut expected = raw;
            expected[12] &= 0x7f;
            expected[13..].fill(0);
            prop_assert_eq!(info.to_bytes(), expected);
        }

        #[test]
        fn no_request_yields_a_dangerous_descriptor(info in any_user_desc(), entry in 5u32..10) {
            let info = UserDesc { entry_number: entry, ..info };
            let mut tls = NONE;
            let result = do_set_thread_area(&mut tls, &info, true);
            for desc in tls.into_iter().filter(|desc| !desc.is_empty()) {
                prop_assert!(desc.dpl() == 3 && desc.present() && desc.is_32bit());
                prop_assert!(desc.is_code_or_data() && !desc.is_code());
            }
            match result {
                Ok(index) => prop_assert_eq!(do_get_thread_area(&tls, index).unwrap().entry_number, entry),
                Err(errno) => prop_assert!(errno == Errno::EINVAL && tls == NONE),
            }
        }
    }
}
