//! Length-framed postcard over a stream socketpair.

use super::pipe::{self, Reader, Writer};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::marker::PhantomData;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, mpsc};
use tokio_util::codec::{Encoder, FramedRead, LengthDelimitedCodec, LengthDelimitedCodecError};

/// Longest message, in bytes: a configuration of 8,000 instances is about 2 MB.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

/// Bytes that may wait for a peer that does not read; beyond it the peer counts as lost.
const MAX_BACKLOG_BYTES: usize = 2 * MAX_FRAME_BYTES;

/// A buffer that grew beyond this for one large message is given back once it is empty.
const KEPT_BUFFER_BYTES: usize = 64 * 1024;

/// Why nothing more can be read from a peer.
#[derive(Debug, thiserror::Error)]
pub enum IpcError {
    /// The stream broke, or announced a frame longer than `MAX_FRAME_BYTES`.
    #[error("cannot read from the peer process: {0}")]
    Read(#[source] io::Error),
    /// A whole frame arrived that is no message of this direction.
    #[error("the peer process sent {length} bytes that are no message: {cause}")]
    Unknown {
        /// Length of the frame.
        length: usize,
        /// Where decoding gave up.
        cause: postcard::Error,
    },
}

/// Both ends of a stream: what is sent and what is received have their own types. Must be called inside a tokio runtime.
///
/// # Errors
/// The runtime cannot watch the stream: no descriptor or memory is left.
pub fn channel<S: Serialize, R: DeserializeOwned>(stream: UnixStream) -> io::Result<(Outbox<S>, Inbox<R>)> {
    let (read, write) = pipe::split(stream)?;
    let shared = Arc::new(Shared::default());
    tokio::spawn(drain(shared.clone(), write));
    let (interrupt, interrupts) = mpsc::unbounded_channel();
    let inbox = Inbox { frames: FramedRead::new(read, codec()), interrupts, interrupt };
    Ok((Outbox { hold: Arc::new(Hold(shared.clone())), shared, message: PhantomData }, inbox))
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME_BYTES).new_codec()
}

/// The sending end. Clones share one stream, in the order of their posts; the stream's sending half is shut when the last is dropped.
pub struct Outbox<S> {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
    message: PhantomData<fn(S)>,
}

impl<S> Clone for Outbox<S> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone(), hold: self.hold.clone(), message: PhantomData }
    }
}

/// Ends the draining task with the last outbox.
struct Hold(Arc<Shared>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.lock().closing = true;
        self.0.posted.notify_one();
    }
}

impl<S: Serialize> Outbox<S> {
    /// Puts a message in line. Never blocks, never fails: what cannot be sent because the peer is gone is dropped, and `lost` says so.
    pub fn post(&self, message: &S) {
        let mut state = self.shared.lock();
        if state.lost || state.closing {
            return;
        }
        if state.append(message).is_err() || state.waiting.len() > MAX_BACKLOG_BYTES {
            state.lose();
        }
        drop(state);
        self.shared.posted.notify_one();
    }
}

impl<S> Outbox<S> {
    /// Whether the peer is gone, or too far behind to be worth talking to.
    pub fn lost(&self) -> bool {
        self.shared.lock().lost
    }

    /// Returns once everything posted so far is in the kernel's hands, or the peer is lost.
    pub async fn flushed(&self) {
        loop {
            let drained = self.shared.drained.notified();
            {
                let state = self.shared.lock();
                if state.lost || (state.waiting.is_empty() && !state.writing) {
                    return;
                }
            }
            drained.await;
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    posted: Notify,
    drained: Notify,
}

#[derive(Default)]
struct State {
    waiting: BytesMut,
    writing: bool,
    lost: bool,
    closing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append<S: Serialize>(&mut self, message: &S) -> Result<(), ()> {
        let body = postcard::to_stdvec(message).map_err(|_| ())?;
        codec().encode(Bytes::from(body), &mut self.waiting).map_err(|_| ())
    }

    fn lose(&mut self) {
        self.lost = true;
        self.waiting = BytesMut::new();
    }
}

/// What the drain task does next.
enum Next {
    Write(BytesMut),
    Wait,
    End,
}

fn next(shared: &Shared) -> Next {
    let mut state = shared.lock();
    state.writing = false;
    if state.lost {
        Next::End
    } else if !state.waiting.is_empty() {
        state.writing = true;
        Next::Write(state.waiting.split())
    } else if state.closing {
        Next::End
    } else {
        if state.waiting.capacity() > KEPT_BUFFER_BYTES {
            state.waiting = BytesMut::new();
        }
        Next::Wait
    }
}

async fn drain(shared: Arc<Shared>, stream: Writer) {
    loop {
        match next(&shared) {
            Next::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    shared.lock().lose();
                }
            }
            Next::Wait => {
                shared.drained.notify_waiters();
                shared.posted.notified().await;
            }
            Next::End => break,
        }
    }
    shared.drained.notify_waiters();
}

/// The receiving end.
pub struct Inbox<R> {
    frames: FramedRead<Reader, LengthDelimitedCodec>,
    interrupts: mpsc::UnboundedReceiver<R>,
    interrupt: mpsc::UnboundedSender<R>,
}

/// Puts messages of this process's own making (a signal that arrived) among those of the peer.
pub struct Interrupt<R>(mpsc::UnboundedSender<R>);

impl<R> Interrupt<R> {
    /// Nothing happens when the inbox is gone.
    pub fn post(&self, message: R) {
        let _ = self.0.send(message);
    }
}

impl<R: DeserializeOwned> Inbox<R> {
    /// The next message; `None` when the peer is gone. Cancel-safe: a call that is dropped loses nothing.
    ///
    /// # Errors
    /// The stream broke, or the peer sent bytes that are no message; nothing sensible can be read after either.
    pub async fn next(&mut self) -> Result<Option<R>, IpcError> {
        tokio::select! {
            biased;
            frame = self.frames.next() => match frame {
                None => Ok(None),
                Some(Ok(bytes)) => {
                    self.give_back(bytes.len());
                    decode(&bytes).map(Some)
                }
                Some(Err(error)) if is_loss(&error) => Ok(None),
                Some(Err(error)) => Err(IpcError::Read(error)),
            },
            Some(message) = self.interrupts.recv() => Ok(Some(message)),
        }
    }

    /// A buffer that grew for one large message goes with it.
    fn give_back(&mut self, length: usize) {
        if length > KEPT_BUFFER_BYTES {
            let buffer = self.frames.read_buffer_mut();
            *buffer = BytesMut::from(&buffer[..]);
        }
    }

    /// A way to put own messages among the peer's.
    pub fn interrupt(&self) -> Interrupt<R> {
        Interrupt(self.interrupt.clone())
    }
}

/// A peer that was killed may leave a reset or half a frame: that is its death, not a protocol error.
fn is_loss(error: &io::Error) -> bool {
    let too_long = error.get_ref().is_some_and(|inner| inner.is::<LengthDelimitedCodecError>());
    !too_long && (error.kind() == io::ErrorKind::ConnectionReset || error.kind() == io::ErrorKind::Other)
}

fn decode<R: DeserializeOwned>(frame: &[u8]) -> Result<R, IpcError> {
    match postcard::take_from_bytes(frame) {
        Ok((message, [])) => Ok(message),
        Ok((_, _)) => Err(IpcError::Unknown { length: frame.len(), cause: postcard::Error::DeserializeBadEncoding }),
        Err(cause) => Err(IpcError::Unknown { length: frame.len(), cause }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::messages::{Dump, FromVrrp, ToVrrp};
    use proptest::prelude::*;
    use std::io::Write as _;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn pair() -> (Outbox<FromVrrp>, Inbox<ToVrrp>, Outbox<ToVrrp>, Inbox<FromVrrp>) {
        let (a, b) = UnixStream::pair().unwrap();
        let (to_parent, from_parent) = channel(a).unwrap();
        let (to_child, from_child) = channel(b).unwrap();
        (to_parent, from_parent, to_child, from_child)
    }

    #[test]
    fn messages_arrive_in_order_in_both_directions() {
        runtime().block_on(async {
            let (to_parent, mut from_parent, to_child, mut from_child) = pair();
            for n in 0..1000 {
                to_child.post(&ToVrrp::Ping(n));
                to_parent.post(&FromVrrp::Pong(n));
            }
            for n in 0..1000 {
                assert_eq!(from_parent.next().await.unwrap(), Some(ToVrrp::Ping(n)));
                assert_eq!(from_child.next().await.unwrap(), Some(FromVrrp::Pong(n)));
            }
        });
    }

    #[test]
    fn a_message_larger_than_the_socket_buffer_arrives_whole() {
        runtime().block_on(async {
            let (to_parent, _from_parent, _to_child, mut from_child) = pair();
            let text = "x".repeat(5_000_000);
            to_parent.post(&FromVrrp::Dumped { dump: Dump::Data, text: text.clone() });
            assert_eq!(from_child.next().await.unwrap(), Some(FromVrrp::Dumped { dump: Dump::Data, text }));
            to_parent.flushed().await;
        });
    }

    #[test]
    fn dropping_every_outbox_is_end_of_file_after_what_was_posted() {
        runtime().block_on(async {
            let (to_parent, from_parent, _to_child, mut from_child) = pair();
            to_parent.post(&FromVrrp::Stopped);
            drop((to_parent, from_parent));
            assert_eq!(from_child.next().await.unwrap(), Some(FromVrrp::Stopped));
            assert_eq!(from_child.next().await.unwrap(), None);
        });
    }

    #[test]
    fn losing_the_peer_is_noticed_and_posting_goes_on_without_harm() {
        runtime().block_on(async {
            let (to_parent, _from_parent, to_child, from_child) = pair();
            drop((to_child, from_child));
            for n in 0..10_000 {
                to_parent.post(&FromVrrp::Pong(n));
                tokio::task::yield_now().await;
            }
            to_parent.flushed().await;
            assert!(to_parent.lost());
        });
    }

    #[test]
    fn an_interrupt_comes_out_of_the_same_inbox() {
        runtime().block_on(async {
            let (_to_parent, mut from_parent, _to_child, _from_child) = pair();
            from_parent.interrupt().post(ToVrrp::Stop);
            assert_eq!(from_parent.next().await.unwrap(), Some(ToVrrp::Stop));
        });
    }

    #[test]
    fn a_frame_with_bytes_left_over_is_refused() {
        let mut bytes = postcard::to_stdvec(&ToVrrp::Stop).unwrap();
        bytes.push(0);
        assert!(matches!(decode::<ToVrrp>(&bytes), Err(IpcError::Unknown { .. })));
    }

    proptest! {
        #[test]
        fn decoding_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode::<ToVrrp>(&bytes);
            let _ = decode::<FromVrrp>(&bytes);
        }

        #[test]
        fn any_stream_of_bytes_ends_in_end_or_error(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            runtime().block_on(async {
                let (ours, theirs) = UnixStream::pair().unwrap();
                (&theirs).write_all(&bytes).unwrap();
                drop(theirs);
                let (_outbox, mut inbox) = channel::<FromVrrp, ToVrrp>(ours).unwrap();
                while let Ok(Some(_)) = inbox.next().await {}
            });
        }
    }
}
