//! The socket: requests in batches, one acknowledgement a batch. The kernel works on a request inside `sendmsg`, so nothing here waits.

use super::wire::{self, Connections, Info, Message, Messages, Mode, WireError};
use crate::lvs::plan::Change;
use crate::lvs::settings::{SyncDaemon, Timeouts};
use crate::lvs::table::{Destination, DestinationKey, Entry, Service, ServiceKey, Table};
use netlink_sys::{Socket as Netlink, SocketAddr, protocols::NETLINK_GENERIC};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use thiserror::Error;

/// Number of the generic netlink controller.
const CONTROLLER: u16 = 16;
/// Requests in one `sendmsg`: their errors must fit the receive buffer.
const BATCH: usize = 64;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

/// Why the kernel's balancer could not be used.
#[derive(Debug, Error)]
pub enum IpvsError {
    /// The kernel has no IPVS.
    #[error("the kernel has no IPVS: run `modprobe ip_vs` (in a container: ask the host's administrator to)")]
    Absent,
    /// No permission.
    #[error("no permission to use IPVS: CAP_NET_ADMIN in the machine's own user namespace is needed")]
    NotPermitted,
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// The kernel refused.
    #[error("{what}: {}", explain(*errno))]
    Refused {
        /// What was asked.
        what: String,
        /// Its errno.
        errno: i32,
    },
    /// The kernel's answer could not be read.
    #[error("unreadable answer: {0}")]
    Wire(#[from] WireError),
    /// There was none.
    #[error("no answer from the kernel")]
    Silent,
}

/// What ipvsadm and the original say about an errno of IPVS.
pub fn explain(errno: i32) -> String {
    match errno {
        libc::ENOENT => "No such destination or scheduler".to_owned(),
        libc::ESRCH => "No such service".to_owned(),
        libc::EEXIST => "already exists".to_owned(),
        libc::EINVAL => "Invalid operation.  Possibly wrong module version, address not unicast, ...".to_owned(),
        errno => nix::errno::Errno::from_raw(errno).desc().to_owned(),
    }
}

/// A way to the kernel, of the network namespace in which it was opened: whoever has dropped its powers since may still go it.
#[derive(Clone)]
pub struct Way(Arc<Netlink>);

impl Way {
    /// Opens one in the current network namespace.
    pub fn open() -> Result<Self, IpvsError> {
        let mut socket = Netlink::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // An error would otherwise repeat the whole request.
        socket.set_cap_ack(true)?;
        Ok(Self(Arc::new(socket)))
    }

    /// What was said to somebody before is not for who comes now.
    fn drain(&self, buffer: &mut Vec<u8>) -> io::Result<()> {
        loop {
            buffer.clear();
            match self.0.recv(buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The kernel had to throw answers away: there may be more behind it.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// A connection to the kernel's balancer.
pub struct Socket {
    way: Way,
    info: Info,
    family: u16,
    seq: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens it in the current network namespace.
    pub fn open() -> Result<Self, IpvsError> {
        Self::over(Way::open()?)
    }

    /// Finds out whether there is a balancer and whether we may use it.
    pub fn over(way: Way) -> Result<Self, IpvsError> {
        let mut buffer = Vec::with_capacity(65_536);
        way.drain(&mut buffer)?;
        let mut socket = Self { way, info: Info::default(), family: CONTROLLER, seq: 0, buffer };
        let mut family = None;
        let asked = socket.ask(0, wire::resolve_family(), |attributes| {
            family = Some(wire::family_id(attributes)?);
            Ok(())
        });
        match (asked, family) {
            (Ok(()), Some(family)) => socket.family = family,
            (Ok(()), None) | (Err(IpvsError::Refused { errno: libc::ENOENT, .. }), _) => return Err(IpvsError::Absent),
            (Err(error), _) => return Err(error),
        }
        let mut info = None;
        socket.ask(0, wire::get_info(), |attributes| {
            info = Some(wire::read_info(attributes)?);
            Ok(())
        })?;
        socket.info = info.ok_or(IpvsError::Silent)?;
        Ok(socket)
    }

    /// What the balancer is.
    pub fn info(&self) -> Info {
        self.info
    }

    /// Carries out the changes in their order. Answers those that the kernel refused, by place, with the errno.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Vec<(usize, i32)>, IpvsError> {
        let mut refused = Vec::new();
        for (number, batch) in changes.chunks(BATCH).enumerate() {
            let first = self.seq.wrapping_add(1);
            let mut bytes = Vec::with_capacity(batch.len() * 192);
            for (at, change) in batch.iter().enumerate() {
                let acknowledge = if at + 1 == batch.len() { ACK } else { 0 };
                self.message(&mut bytes, acknowledge, &wire::change(change));
            }
            self.send(&bytes)?;
            self.until_ended(self.seq, |message| {
                if let Message::Ended { seq, errno } = message
                    && errno != 0
                {
                    let at = usize::try_from(seq.wrapping_sub(first)).unwrap_or(usize::MAX);
                    refused.push((number * BATCH + at, errno));
                }
                Ok(())
            })?;
        }
        Ok(refused)
    }

    /// The whole table.
    pub fn table(&mut self) -> Result<Table, IpvsError> {
        let mut services = Vec::new();
        self.services(|key, service| services.push((key, service)))?;
        let entry = |(key, service)| Ok((key, Arc::new(Entry { service, destinations: self.destinations(&key)? })));
        services.into_iter().map(entry).collect()
    }

    /// All services, one by one.
    pub fn services(&mut self, mut each: impl FnMut(ServiceKey, Service)) -> Result<(), IpvsError> {
        self.ask(DUMP, wire::dump_services(), |attributes| {
            // Somebody else's service of a kind that we do not know is not ours to read.
            if let Ok((key, service)) = wire::read_service(attributes) {
                each(key, service);
            }
            Ok(())
        })
    }

    /// Whether the kernel shows a service when it is asked for it; an error when it says that there is none.
    pub fn shows(&mut self, key: &ServiceKey) -> Result<bool, IpvsError> {
        let mut shown = false;
        self.ask(ACK, wire::get_service(key), |attributes| {
            shown = wire::read_service(attributes).is_ok_and(|(found, _)| found == *key);
            Ok(())
        })?;
        Ok(shown)
    }

    /// The destinations of a service; none when it does not exist.
    pub fn destinations(&mut self, key: &ServiceKey) -> Result<BTreeMap<DestinationKey, Destination>, IpvsError> {
        let mut destinations = BTreeMap::new();
        self.ask(DUMP, wire::dump_destinations(key), |attributes| {
            let (place, destination) = wire::read_destination(attributes, key.family())?;
            destinations.insert(place, destination);
            Ok(())
        })?;
        Ok(destinations)
    }

    /// The connections of a service's destinations; none when it does not exist.
    pub fn connections(&mut self, key: &ServiceKey) -> Result<BTreeMap<DestinationKey, Connections>, IpvsError> {
        let mut connections = BTreeMap::new();
        self.ask(DUMP, wire::dump_destinations(key), |attributes| {
            connections.extend([wire::read_connections(attributes, key.family())?]);
            Ok(())
        })?;
        Ok(connections)
    }

    /// Empties the whole table.
    pub fn flush(&mut self) -> Result<(), IpvsError> {
        self.order("flush the table", wire::flush())
    }

    /// The connection timeouts as they are.
    pub fn timeouts(&mut self) -> Result<Timeouts, IpvsError> {
        let mut timeouts = None;
        self.ask(0, wire::get_config(), |attributes| {
            timeouts = Some(wire::read_timeouts(attributes)?);
            Ok(())
        })?;
        timeouts.ok_or(IpvsError::Silent)
    }

    /// Sets the connection timeouts.
    pub fn set_timeouts(&mut self, timeouts: Timeouts) -> Result<(), IpvsError> {
        self.order("set the connection timeouts", wire::set_timeouts(timeouts))
    }

    /// Starts one half of connection synchronisation.
    pub fn start_daemon(&mut self, mode: Mode, settings: &SyncDaemon) -> Result<(), IpvsError> {
        self.order("start the sync daemon", wire::start_daemon(mode, settings))
    }

    /// Stops it; one that does not run is no error. Nor is it one when nothing is answered: the kernel says EINTR of a thread
    /// that was stopped before it ever ran (`kthread_stop`), and netlink passes that word on to nobody.
    pub fn stop_daemon(&mut self, mode: Mode) -> Result<(), IpvsError> {
        match self.order("stop the sync daemon", wire::stop_daemon(mode)) {
            Err(IpvsError::Refused { errno: libc::ESRCH, .. } | IpvsError::Silent) => Ok(()),
            other => other,
        }
    }

    fn order(&mut self, what: &str, payload: Vec<u8>) -> Result<(), IpvsError> {
        self.ask(ACK, payload, |_| Ok(())).map_err(|error| match error {
            IpvsError::Refused { errno, .. } => IpvsError::Refused { what: what.to_owned(), errno },
            other => other,
        })
    }

    /// One request; every answer's attributes go to `answer`.
    fn ask(&mut self, flags: u16, payload: Vec<u8>, mut answer: impl FnMut(&[u8]) -> Result<(), WireError>) -> Result<(), IpvsError> {
        let mut bytes = Vec::with_capacity(payload.len() + 16);
        let flags = if flags == 0 { ACK } else { flags };
        self.message(&mut bytes, flags, &payload);
        self.send(&bytes)?;
        let mut refused = 0;
        self.until_ended(self.seq, |message| match message {
            Message::Answer { attributes, .. } => answer(attributes),
            Message::Ended { errno, .. } | Message::Done { errno, .. } => {
                refused = errno;
                Ok(())
            }
        })?;
        match refused {
            0 => Ok(()),
            libc::EPERM => Err(IpvsError::NotPermitted),
            errno => Err(IpvsError::Refused { what: "IPVS request".to_owned(), errno }),
        }
    }

    /// Appends one message with the next number.
    fn message(&mut self, out: &mut Vec<u8>, flags: u16, payload: &[u8]) {
        self.seq = self.seq.wrapping_add(1);
        let length = u32::try_from(payload.len() + 16).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_ne_bytes());
        out.extend_from_slice(&self.family.to_ne_bytes());
        out.extend_from_slice(&(REQUEST | flags).to_ne_bytes());
        out.extend_from_slice(&self.seq.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }

    fn send(&self, bytes: &[u8]) -> Result<(), IpvsError> {
        self.way.0.send(bytes, 0)?;
        Ok(())
    }

    /// Reads until the request `last` has ended. What belongs to an older request (one that was given up) is passed over.
    fn until_ended(&mut self, last: u32, mut each: impl FnMut(Message<'_>) -> Result<(), WireError>) -> Result<(), IpvsError> {
        loop {
            self.buffer.clear();
            match self.way.0.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(IpvsError::Silent),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            let mut over = false;
            for message in Messages::new(&self.buffer) {
                let message = message?;
                let (Message::Ended { seq, .. } | Message::Done { seq, .. } | Message::Answer { seq, .. }) = message;
                // Numbers of this batch are at most BATCH behind its last.
                if last.wrapping_sub(seq) >= u32::try_from(BATCH).unwrap_or(u32::MAX) {
                    continue;
                }
                over |= seq == last && !matches!(message, Message::Answer { .. });
                each(message)?;
            }
            if over {
                return Ok(());
            }
        }
    }
}
