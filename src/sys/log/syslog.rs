//! syslog(3)'s datagrams, without its blocking: `<182>Nov 21 06:24:11 Keepalived_vrrp[712]: text` (RFC 3164).

use super::queue::Device;
use super::record::Record;
use crate::sys::calendar::Local;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

const SOCKET: &str = "/dev/log";
const JOURNAL_DEVLOG: &str = "/run/systemd/journal/dev-log";

/// Whether syslog's socket is the journal's: then the journal's own protocol carries more, and forwards to syslog itself.
pub(super) fn is_journal() -> bool {
    std::fs::canonicalize(SOCKET).is_ok_and(|path| path == Path::new(JOURNAL_DEVLOG))
}

/// The local syslog, connected anew whenever it was restarted.
pub(super) struct Syslog {
    ident: String,
    facility: u8,
    socket: Option<UnixDatagram>,
    next_try: Option<Instant>,
}

/// After a failed attempt to connect the next line does not try at once again: a busy daemon without a syslog would do little else.
const PAUSE: Duration = Duration::from_millis(50);

impl Syslog {
    pub(super) fn new(ident: &str, facility: u8) -> Self {
        Self { ident: ident.to_owned(), facility, socket: connect().ok(), next_try: None }
    }

    /// Trouble to connect is passing trouble, whatever its kind: the socket may come back.
    fn reconnect(&mut self) -> io::Result<UnixDatagram> {
        let now = Instant::now();
        if self.next_try.is_some_and(|next| now < next) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        connect().map_err(|_| {
            self.next_try = Some(now + PAUSE);
            io::ErrorKind::WouldBlock.into()
        })
    }
}

fn connect() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.connect(SOCKET)?;
    Ok(socket)
}

impl Device for Syslog {
    fn render(&self, record: &Record) -> Vec<u8> {
        let priority = (u32::from(self.facility) << 3) | record.severity as u32;
        format!("<{priority}>{} {}[{}]: {}", Local::now().syslog(), self.ident, std::process::id(), record.message).into_bytes()
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(socket) = &self.socket {
            match socket.send(bytes) {
                Err(error) if is_gone(&error) => self.socket = None,
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => return Err(io::ErrorKind::InvalidInput.into()),
                other => return other,
            }
        }
        let socket = self.reconnect()?;
        let taken = socket.send(bytes).map_err(|_| io::Error::from(io::ErrorKind::WouldBlock));
        self.socket = Some(socket);
        taken
    }

    fn is_there(&self) -> bool {
        self.socket.is_some()
    }
}

/// The server went away: the socket is of no more use.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ECONNREFUSED | libc::ENOTCONN | libc::ECONNRESET | libc::EPIPE | libc::EDESTADDRREQ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::log::Severity;

    #[test]
    fn local6_info_is_182() {
        let syslog = Syslog { ident: "Keepalived_vrrp".to_owned(), facility: 22, socket: None, next_try: None };
        let text = String::from_utf8(syslog.render(&Record::new(Severity::Info, "(VI_1) Entering MASTER STATE".to_owned()))).unwrap();
        assert!(text.starts_with("<182>"), "{text}");
        assert!(text.ends_with(&format!(" Keepalived_vrrp[{}]: (VI_1) Entering MASTER STATE", std::process::id())), "{text}");
    }
}
