//! Host side: what builds the image, runs it under QEMU and reads its log.
