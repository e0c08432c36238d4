//! switch_to: an i386 kernel whose process switch is Linux's.
#![no_std]
