//! Who exists: the data of a task, and its names.
//!
//! In reading order:
//!
//! - [`user_desc`] — the TLS request: validity, encoding
//! - [`io_bitmap`] — the ports a task may use, and what a switch copies

pub mod io_bitmap;
pub mod user_desc;
