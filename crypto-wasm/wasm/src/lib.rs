//! The Talos core as one WebAssembly module.
