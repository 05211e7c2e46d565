//! The header of an Ethernet II frame (RFC 894).

use crate::types::MacAddr;

/// Bytes of the header.
pub(super) const HEADER: usize = 14;

/// Writes the header at the front of a frame; nothing into one that has no room for it.
pub(super) fn put_header(frame: &mut [u8], to: MacAddr, from: MacAddr, ethertype: u16) {
    if let Some(header) = frame.first_chunk_mut::<HEADER>() {
        header[..6].copy_from_slice(&to.0);
        header[6..12].copy_from_slice(&from.0);
        header[12..].copy_from_slice(&ethertype.to_be_bytes());
    }
}
