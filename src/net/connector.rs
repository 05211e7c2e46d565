//! The kernel's process connector: every fork, exec, change of name and exit of a process, as it happens (linux/cn_proc.h).
//!
//! ```text
//!  nlmsghdr 16 | idx 4  val 4  seq 4  ack 4  len 2  flags 2 | what 4  cpu 4  time 8 | what happened to whom
//!               cn_msg                                        proc_event
//! ```
//!
//! The kernel has it in the first network and process namespace only: elsewhere sending is refused, or nothing ever comes.
//! All integers are in the host's order.

use super::OpenError;
use super::wire::u32_at;
use crate::sys::socket;
use nix::sys::socket::NetlinkAddr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// `process_monitor_rcv_bufs` when it is not written. Only a limit: memory is used while events wait.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// An event is 76 bytes.
const DATAGRAM_BYTES: usize = 1024;
/// CN_IDX_PROC and CN_VAL_PROC.
const PROCESSES: u32 = 1;
/// PROC_CN_MCAST_LISTEN, PROC_CN_MCAST_IGNORE.
const LISTEN: u32 = 1;
const IGNORE: u32 = 2;

/// Offsets in a datagram.
mod at {
    pub(super) const INDEX: usize = 16;
    pub(super) const VALUE: usize = 20;
    pub(super) const ACKNOWLEDGED: usize = 28;
    pub(super) const WHAT: usize = 36;
    pub(super) const DATA: usize = 52;
}

/// PROC_EVENT_*.
mod what {
    pub(super) const NONE: u32 = 0;
    pub(super) const FORK: u32 = 1;
    pub(super) const EXEC: u32 = 2;
    pub(super) const COMM: u32 = 0x200;
    pub(super) const EXIT: u32 = 0x8000_0000;
}

/// What happened to a process; threads other than its first are not told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The answer to [`Connector::open`]: 0, or why not (errno).
    Answered(u32),
    /// A process that is a copy of another, so far.
    Forked(i32),
    /// It is another program now.
    Executed(i32),
    /// It calls itself otherwise.
    Renamed(i32),
    /// It is gone.
    Exited(i32),
    /// Nothing of interest.
    Other,
}

impl Event {
    /// Reads a datagram; `ours` is the number of our own request. The answer to it has the next one.
    pub fn of(datagram: &[u8], ours: u32) -> Self {
        Self::read(datagram, ours).unwrap_or(Self::Other)
    }

    fn read(datagram: &[u8], ours: u32) -> Option<Self> {
        if u32_at(datagram, at::INDEX)? != PROCESSES || u32_at(datagram, at::VALUE)? != PROCESSES {
            return None;
        }
        let word = |number: usize| u32_at(datagram, at::DATA + 4 * number);
        let process = |thread: usize, group: usize| Some((word(thread)? == word(group)?).then_some(word(group)?.cast_signed()));
        Some(match u32_at(datagram, at::WHAT)? {
            what::NONE if u32_at(datagram, at::ACKNOWLEDGED)? == ours.wrapping_add(1) => Self::Answered(word(0)?),
            // parent_pid, parent_tgid, child_pid, child_tgid
            what::FORK => process(2, 3)?.map_or(Self::Other, Self::Forked),
            // process_pid, process_tgid, as in those below
            what::EXEC => process(0, 1)?.map_or(Self::Other, Self::Executed),
            what::COMM => process(0, 1)?.map_or(Self::Other, Self::Renamed),
            what::EXIT => process(0, 1)?.map_or(Self::Other, Self::Exited),
            _ => Self::Other,
        })
    }
}

/// One thing that is read from the subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An event.
    Event(Event),
    /// The buffer was full: what happened is to be looked up.
    Lost,
    /// No more waits.
    Nothing,
}

/// A socket that belongs to the network namespace in which it is made; whoever joins another makes it before.
///
/// # Errors
/// The kernel has no connector.
pub fn socket() -> Result<OwnedFd, OpenError> {
    let kind = socket2::Type::DGRAM.nonblocking().cloexec();
    let protocol = socket2::Protocol::from(libc::NETLINK_CONNECTOR);
    let made = socket2::Socket::new(socket2::Domain::from(libc::AF_NETLINK), kind, Some(protocol));
    made.map(OwnedFd::from).map_err(OpenError::of(WHAT_FOR))
}

const WHAT_FOR: &str = "a netlink socket for process events";

/// The subscription. It needs CAP_NET_ADMIN (Linux 6.6 and newer: nothing) while it is made, and no power afterwards.
#[derive(Debug)]
pub struct Connector {
    fd: AsyncFd<OwnedFd>,
    /// Of our request.
    number: u32,
}

impl Connector {
    /// Subscribes; `buffer` is the receive buffer in bytes. Events come once [`Event::Answered`] with 0 has come: a kernel
    /// that does not give them to this process namespace answers nothing at all. Must be called inside a tokio runtime with
    /// I/O enabled.
    ///
    /// # Errors
    /// A capability is missing; or the kernel gives no events to this network namespace (ECONNREFUSED).
    pub fn open(socket: OwnedFd, buffer: Option<u32>) -> Result<Self, OpenError> {
        let fail = OpenError::of(WHAT_FOR);
        // Without the filter all of them come, and those of threads are passed over when they are read.
        let _ = socket2::SockRef::from(&socket).attach_filter(&filter());
        let bytes = buffer.map_or(RECEIVE_BUFFER_BYTES, |bytes| bytes as usize);
        socket::set_receive_buffer(&socket, bytes).map_err(&fail)?;
        nix::sys::socket::bind(socket.as_raw_fd(), &NetlinkAddr::new(0, PROCESSES)).map_err(|errno| fail(errno.into()))?;
        // Other listeners hear our answer, and we theirs.
        let number = std::process::id();
        socket::netlink_send(&socket, &request(LISTEN, number)).map_err(&fail)?;
        Ok(Self { fd: socket::watch(socket).map_err(&fail)?, number })
    }

    /// Waits until [`Connector::take`] has something to take. Cancel safe.
    ///
    /// # Errors
    /// The runtime ends.
    pub async fn wait(&self) -> io::Result<()> {
        self.fd.readable().await?.retain_ready();
        Ok(())
    }

    /// The next event that waits, without waiting.
    ///
    /// # Errors
    /// The socket is not to be read any more.
    pub fn take(&self) -> io::Result<Heard> {
        let mut buffer = [0; DATAGRAM_BYTES];
        match self.fd.try_io(Interest::READABLE, |fd| socket::netlink_receive(fd, &mut buffer)) {
            Ok(Some(length)) => Ok(Heard::Event(Event::of(buffer.get(..length).unwrap_or_default(), self.number))),
            Ok(None) => Ok(Heard::Event(Event::Other)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Heard::Nothing),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(Heard::Event(Event::Other)),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(Heard::Lost),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Connector {
    /// Kernels before 6.6 go on making events for nobody unless they are told.
    fn drop(&mut self) {
        let _ = socket::netlink_send(self.fd.get_ref(), &request(IGNORE, self.number));
    }
}

/// To the kernel: nlmsghdr, cn_msg and one word.
fn request(operation: u32, number: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(40);
    let mut put = |bytes: &[u8]| message.extend_from_slice(bytes);
    put(&40_u32.to_ne_bytes());
    put(&(libc::NLMSG_DONE as u16).to_ne_bytes());
    put(&[0; 2]);
    put(&[0; 8]);
    put(&PROCESSES.to_ne_bytes());
    put(&PROCESSES.to_ne_bytes());
    put(&[0; 4]);
    put(&number.to_ne_bytes());
    put(&4_u16.to_ne_bytes());
    put(&[0; 2]);
    put(&operation.to_ne_bytes());
    message
}

/// What the kernel lets through: answers, and forks, execs, new names and ends of whole processes. A busy machine starts
/// threads by the thousand; they neither wake us nor fill the buffer.
fn filter() -> [socket2::SockFilter; 16] {
    use libc::{BPF_ABS, BPF_JA, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_MISC, BPF_RET, BPF_TAX, BPF_W, BPF_X};
    let make = |code: u32, yes: u8, no: u8, k: u32| socket2::SockFilter::new(code as u16, yes, no, k);
    // The filter reads in network order what the kernel wrote in its own.
    let load = |offset: usize| make(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset as u32);
    let is = |value: u32, yes: u8, no: u8| make(BPF_JMP | BPF_JEQ | BPF_K, yes, no, u32::from_be_bytes(value.to_ne_bytes()));
    let aside = || make(BPF_MISC | BPF_TAX, 0, 0, 0);
    [
        load(at::WHAT),
        is(what::NONE, 12, 0),
        is(what::EXEC, 11, 0),
        is(what::FORK, 6, 0),
        is(what::COMM, 1, 0),
        is(what::EXIT, 0, 9),
        // 6: whose name or end it is, thread and process
        load(at::DATA),
        aside(),
        load(at::DATA + 4),
        make(BPF_JMP | BPF_JA, 0, 0, 3),
        // 10: the new one, thread and process
        load(at::DATA + 8),
        aside(),
        load(at::DATA + 12),
        // 13: is the thread the first of its process?
        make(BPF_JMP | BPF_JEQ | BPF_X, 0, 1, 0),
        // 14: keep, 15: pass over
        make(BPF_RET | BPF_K, 0, 0, u32::MAX),
        make(BPF_RET | BPF_K, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn datagram(what: u32, words: [u32; 4]) -> Vec<u8> {
        let mut bytes = vec![0; 76];
        let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
        put(at::INDEX, PROCESSES);
        put(at::VALUE, PROCESSES);
        put(at::ACKNOWLEDGED, 8);
        put(at::WHAT, what);
        words.into_iter().enumerate().for_each(|(number, word)| put(at::DATA + 4 * number, word));
        bytes
    }

    #[test]
    fn what_happens_to_a_process_is_told_and_to_a_thread_is_not() {
        let read = |what, words| Event::of(&datagram(what, words), 7);
        assert_eq!(read(what::FORK, [1, 1, 50, 50]), Event::Forked(50));
        assert_eq!(read(what::FORK, [1, 1, 51, 50]), Event::Other);
        assert_eq!(read(what::EXEC, [50, 50, 0, 0]), Event::Executed(50));
        assert_eq!(read(what::COMM, [50, 50, 0, 0]), Event::Renamed(50));
        assert_eq!(read(what::EXIT, [50, 50, 0, 0]), Event::Exited(50));
        assert_eq!(read(what::EXIT, [51, 50, 0, 0]), Event::Other);
        assert_eq!(read(0x4000_0000, [50, 50, 0, 0]), Event::Other);
    }

    #[test]
    fn only_the_answer_to_our_own_request_is_an_answer() {
        assert_eq!(Event::of(&datagram(what::NONE, [0; 4]), 7), Event::Answered(0));
        assert_eq!(Event::of(&datagram(what::NONE, [1, 0, 0, 0]), 7), Event::Answered(1));
        assert_eq!(Event::of(&datagram(what::NONE, [0; 4]), 8), Event::Other);
    }

    #[test]
    fn another_connectors_messages_are_none() {
        let mut bytes = datagram(what::EXIT, [50, 50, 0, 0]);
        bytes[at::INDEX] ^= 2;
        assert_eq!(Event::of(&bytes, 7), Event::Other);
    }

    /// The kernel's own words; where it has none for us (a namespace of our own, no capability) there is nothing to try.
    #[tokio::test]
    async fn the_kernel_tells_of_a_process_from_its_birth_to_its_end() {
        let connector = match socket().and_then(|socket| Connector::open(socket, None)) {
            Ok(connector) => connector,
            Err(error) => return eprintln!("no process events in this network namespace: {error}"),
        };
        let mut heard = Vec::new();
        let mut child = None;
        let limit = std::time::Duration::from_secs(20);
        let run = || {
            let mut process = std::process::Command::new("true").spawn().unwrap();
            process.wait().unwrap();
            process.id().cast_signed()
        };
        let all = tokio::time::timeout(limit, async {
            loop {
                connector.wait().await.unwrap();
                match connector.take().unwrap() {
                    Heard::Event(Event::Answered(0)) => child = Some(run()),
                    Heard::Event(event) => heard.push(event),
                    // A machine with much other work: another one.
                    Heard::Lost => child = child.map(|_| run()),
                    Heard::Nothing => {}
                }
                if let Some(pid) = child
                    && heard.contains(&Event::Exited(pid))
                {
                    return pid;
                }
            }
        });
        match all.await {
            Ok(pid) => assert!(heard.contains(&Event::Forked(pid)) && heard.contains(&Event::Executed(pid)), "{heard:?}"),
            Err(_) if child.is_none() => eprintln!("no process events in this process namespace"),
            Err(_) => panic!("no end of {child:?} in {heard:?}"),
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            Event::of(&bytes, 7);
        }
    }
}
