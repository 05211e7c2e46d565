//! The journal's native protocol: `KEY=value` lines in one datagram (systemd, "Native Journal Protocol").

use super::queue::Device;
use super::record::Record;
use nix::sys::stat::fstat;
use std::io;
use std::os::unix::net::UnixDatagram;

const SOCKET: &str = "/run/systemd/journal/socket";

/// Whether there is a journal to talk to.
pub(super) fn available() -> bool {
    std::fs::metadata(SOCKET).is_ok()
}

/// Whether standard error already goes to the journal (systemd.exec(5), `JOURNAL_STREAM`: device and inode).
pub(super) fn is_stderr() -> bool {
    let Ok(value) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stat| value == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// The journal. `sendto` by path needs no connection, so a restart of journald goes unnoticed.
pub(super) struct Journal {
    ident: String,
    facility: u8,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(super) fn new(ident: &str, facility: u8) -> Self {
        Self { ident: ident.to_owned(), facility, socket: open().ok() }
    }
}

fn open() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

impl Device for Journal {
    fn render(&self, record: &Record) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(160 + record.message.len());
        put(&mut bytes, "MESSAGE", &record.message);
        put(&mut bytes, "PRIORITY", &(record.severity as u8).to_string());
        put(&mut bytes, "SYSLOG_IDENTIFIER", &self.ident);
        put(&mut bytes, "SYSLOG_FACILITY", &self.facility.to_string());
        put(&mut bytes, "SYSLOG_PID", &std::process::id().to_string());
        for (name, value) in &record.fields {
            let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
            put(&mut bytes, &format!("KEEPALIVED_{name}"), value);
        }
        bytes
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(socket) = &self.socket else { return Err(io::ErrorKind::BrokenPipe.into()) };
        match socket.send_to(bytes, SOCKET) {
            Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => Err(io::ErrorKind::InvalidInput.into()),
            Err(_) => Err(io::ErrorKind::WouldBlock.into()),
            taken => taken,
        }
    }
}

/// `NAME=value`, or for a value of several lines the name, its length as 64 bits little-endian, and the bytes.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::log::Severity;

    #[test]
    fn fields_can_be_selected_by_and_values_cannot_smuggle_fields() {
        let journal = Journal { ident: "Keepalived_vrrp".to_owned(), facility: 3, socket: None };
        let mut record = Record::new(Severity::Warning, "text".to_owned());
        record.fields.push(("instance", "VI_1\nPRIORITY=0".to_owned()));
        let bytes = journal.render(&record);
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("MESSAGE=text\nPRIORITY=4\nSYSLOG_IDENTIFIER=Keepalived_vrrp\nSYSLOG_FACILITY=3\n"), "{text}");
        assert!(bytes.windows(28).any(|window| window == b"KEEPALIVED_INSTANCE\n\x0f\0\0\0\0\0\0\0"), "{text}");
    }
}
