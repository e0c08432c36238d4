#![forbid(unsafe_code)]
//! The word of FUTEX_WAKE_OP that encodes how another word changes and how its old value is tested.
//!
//! ```text
//!   31   28 27   24 23         12 11          0
//!   +------+-------+-------------+-------------+
//!   |  op  |  cmp  |    oparg    |   cmparg    |   both arguments are signed
//!   +------+-------+-------------+-------------+
//! ```
//!
//! Bit 31, FUTEX_OP_OPARG_SHIFT, stands for 1 << oparg in place of oparg.
//!
//! Linux: 5.4 `futex_atomic_op_inuser`; futex(2).

use crate::base::errno::Errno;

/// A decoded operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FutexOp {
    op: u32,
    cmp: u32,
    oparg: i32,
    cmparg: i32,
}

impl FutexOp {
    /// Decodes the word of a program.
    pub fn decode(encoded: u32) -> Self {
        // 12 bits, the highest of which is the sign.
        let signed = |low: u32| ((encoded.wrapping_shr(low) << 20) as i32) >> 20;
        let oparg = match encoded >> 31 {
            0 => signed(12),
            // Linux takes the low five bits of an invalid shift count.
            _ => 1_i32.wrapping_shl(signed(12) as u32 & 31),
        };
        Self {
            op: encoded >> 28 & 7,
            cmp: encoded >> 24 & 15,
            oparg,
            cmparg: signed(0),
        }
    }

    /// Returns the new value of a word that was `old`.
    ///
    /// # Errors
    /// ENOSYS for an unknown operation.
    pub fn apply(self, old: u32) -> Result<u32, Errno> {
        let oparg = self.oparg as u32;
        match self.op {
            0 => Ok(oparg),
            1 => Ok(old.wrapping_add(oparg)),
            2 => Ok(old | oparg),
            3 => Ok(old & !oparg),
            4 => Ok(old ^ oparg),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Returns whether a word that was `old` passes the test, and the second word's sleepers wake
    /// too.
    ///
    /// # Errors
    /// ENOSYS for an unknown comparison.
    pub fn compare(self, old: u32) -> Result<bool, Errno> {
        let (old, cmparg) = (old as i32, self.cmparg);
        match self.cmp {
            0 => Ok(old == cmparg),
            1 => Ok(old != cmparg),
            2 => Ok(old < cmparg),
            3 => Ok(old <= cmparg),
            4 => Ok(old > cmparg),
            5 => Ok(old >= cmparg),
            _ => Err(Errno::ENOSYS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(op: u32, oparg: u32, cmp: u32, cmparg: u32) -> FutexOp {
        FutexOp::decode(op << 28 | cmp << 24 | (oparg & 0xfff) << 12 | cmparg & 0xfff)
    }

    #[test]
    fn each_operation_makes_another_word() {
        let apply = |number, oparg| op(number, oparg, 0, 0).apply(0b1100);
        assert_eq!(apply(0, 0b1010), Ok(0b1010));
        assert_eq!(apply(1, 0b1010), Ok(0b1_0110));
        assert_eq!(apply(2, 0b1010), Ok(0b1110));
        assert_eq!(apply(3, 0b1010), Ok(0b0100));
        assert_eq!(apply(4, 0b1010), Ok(0b0110));
        assert_eq!(apply(5, 0), Err(Errno::ENOSYS));
        assert_eq!(apply(1, -1i32 as u32), Ok(0b1011), "an argument is signed");
        assert_eq!(apply(8, 5), Ok(32), "and may be a number of a bit");
        assert_eq!(apply(8, 37), Ok(32), "of 32");
        assert_eq!(op(1, 1, 0, 0).apply(u32::MAX), Ok(0));
    }

    #[test]
    fn each_comparison_tells_less_equal_and_more_apart() {
        let compare =
            |cmp| [-6i32, -5, -4].map(|old| op(0, 0, cmp, -5i32 as u32).compare(old as u32));
        for (cmp, expected) in [
            (0, [false, true, false]),
            (1, [true, false, true]),
            (2, [true, false, false]),
            (3, [true, true, false]),
            (4, [false, false, true]),
            (5, [false, true, true]),
        ] {
            assert_eq!(compare(cmp), expected.map(Ok), "{cmp}");
        }
        assert_eq!(compare(6), [Err(Errno::ENOSYS); 3]);
    }
}
