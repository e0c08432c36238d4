//! Runtime of the ring-3 test programs.
#![no_std]
