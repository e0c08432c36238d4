//! tmpfs: files and directories in memory.
//!
//! In reading order:
//! - [`directory`]: the names in a directory (pure)
//! - [`page_index`]: which pages of a file have a frame (pure); `frame_ref`: one of them in use;
//!   `pages`: the contents of a file; [`quota`]: how much all of them may take (pure)
//! - `node`: a file or directory, and its attributes; `file_io`: reading and writing it
//! - `namespace`: names are made, moved and removed; `attributes`: owner, permissions, times, size

#[cfg(target_os = "none")]
pub mod attributes;
pub mod directory;
#[cfg(target_os = "none")]
pub mod file_io;
#[cfg(target_os = "none")]
pub mod frame_ref;
#[cfg(target_os = "none")]
pub mod namespace;
#[cfg(target_os = "none")]
pub mod node;
pub mod page_index;
#[cfg(target_os = "none")]
pub mod pages;
pub mod quota;
