//! Servers for checks: they answer on every address of their host, and write down when they were asked.

use super::contest::Problem;
use keepalived_rs::ctl::lab::{Host, now};
use keepalived_rs::types::Instant;
use socket2::{Domain, SockAddr, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// Addresses on which datagrams are answered.
const EARS: usize = 1000;

/// What it speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Speech {
    /// Nothing: a connection is enough.
    Silence,
    /// One page.
    Http,
    /// The same over TLS.
    Https,
    /// Datagrams come back, marked as an answer of the DNS.
    Datagrams,
}

/// One server; it is gone, and its port closed, when it is dropped.
pub(crate) struct Farm {
    asked: Arc<Mutex<Vec<(Instant, IpAddr)>>>,
    broken: Arc<AtomicBool>,
    over: watch::Sender<bool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Farm {
    pub(crate) fn start(host: &Host, port: u16, speech: Speech) -> Result<Self, Problem> {
        let failed = |error: io::Error| Problem::new(format!("cannot serve port {port}: {error}"));
        let sockets = host.run(move || if speech == Speech::Datagrams { ears(port) } else { bound(port).map(|socket| vec![socket]) })?;
        let sockets = sockets.map_err(failed)?;
        let server = Server { asked: Arc::default(), broken: Arc::default(), speech, tls: acceptor()? };
        let (asked, broken) = (server.asked.clone(), server.broken.clone());
        let (over, mut end) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let thread = thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = server.serve(sockets) => drop(result.inspect_err(|error| println!("port {port}: {error}"))),
                    _ = end.changed() => {}
                }
            });
        });
        Ok(Self { asked, broken, over, thread: Some(thread) })
    }

    fn asked(&self) -> MutexGuard<'_, Vec<(Instant, IpAddr)>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it was asked.
    pub(crate) fn count(&self) -> usize {
        self.asked().len()
    }

    /// When it was asked last before then.
    pub(crate) fn last_before(&self, then: Instant) -> Option<Instant> {
        self.asked().iter().rev().map(|(at, _)| *at).find(|at| *at < then)
    }

    /// Pauses between two questions to one address, from then on: the shortest and the longest, ms.
    pub(crate) fn pauses(&self, from: Instant) -> Option<(f64, f64)> {
        let mut last: HashMap<IpAddr, Instant> = HashMap::new();
        let mut pauses: Vec<f64> = Vec::new();
        for (at, address) in self.asked().iter() {
            if let Some(before) = last.insert(*address, *at).filter(|_| *at >= from) {
                pauses.push(super::contest::ms(at.since(before)));
            }
        }
        pauses.sort_by(f64::total_cmp);
        Some((*pauses.first()?, *pauses.last()?))
    }

    /// From now on pages are errors, or pages again.
    pub(crate) fn breaks(&self, broken: bool) {
        self.broken.store(broken, Ordering::Relaxed);
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        let _ = self.over.send(true);
        self.thread.take().map(thread::JoinHandle::join);
    }
}

fn bound(port: u16) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))))?;
    socket.listen(65_535)?;
    Ok(socket)
}

/// The address of a server on this host.
pub(crate) fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x7f01_0001 + number as u32)
}

/// A socket an address: an answer must come from where the question went.
fn ears(port: u16) -> io::Result<Vec<Socket>> {
    let ear = |number| {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM.nonblocking(), None)?;
        socket.bind(&SockAddr::from(SocketAddr::from((address(number), port))))?;
        Ok(socket)
    };
    (0..EARS).map(ear).collect()
}

fn acceptor() -> Result<TlsAcceptor, Problem> {
    let failed = |error: &dyn std::fmt::Display| Problem::new(format!("no certificate: {error}"));
    let made = rcgen::generate_simple_self_signed(["farm".to_owned()]).map_err(|error| failed(&error))?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|error| failed(&error))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .map_err(|error| failed(&error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Server {
    asked: Arc<Mutex<Vec<(Instant, IpAddr)>>>,
    broken: Arc<AtomicBool>,
    speech: Speech,
    tls: TlsAcceptor,
}

impl Server {
    fn note(&self, address: IpAddr) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((now(), address));
    }

    async fn serve(self, sockets: Vec<Socket>) -> io::Result<()> {
        let server = Arc::new(self);
        let mut tasks = JoinSet::new();
        for socket in sockets {
            let server = server.clone();
            match server.speech {
                Speech::Datagrams => tasks.spawn(async move { server.echo(UdpSocket::from_std(socket.into())?).await }),
                Speech::Silence | Speech::Http | Speech::Https => {
                    tasks.spawn(async move { server.accept(TcpListener::from_std(socket.into())?).await })
                }
            };
        }
        match tasks.join_next().await {
            Some(Ok(result)) => result,
            Some(Err(_)) | None => Ok(()),
        }
    }

    async fn accept(&self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            let broken = self.broken.load(Ordering::Relaxed);
            if !broken {
                self.note(stream.local_addr()?.ip());
            }
            match self.speech {
                Speech::Http => drop(tokio::spawn(page(stream, broken))),
                Speech::Https => drop(tokio::spawn(sealed(self.tls.clone(), stream, broken))),
                Speech::Silence | Speech::Datagrams => {}
            }
        }
    }

    async fn echo(&self, socket: UdpSocket) -> io::Result<()> {
        let mut datagram = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut datagram).await?;
            self.note(socket.local_addr()?.ip());
            // QR, and one answer record (RFC 1035 §4.1.1): the record itself nobody reads.
            datagram[2] |= 0x80;
            datagram[7] = 1;
            socket.send_to(&datagram[..length], from).await?;
        }
    }
}

async fn page(mut stream: impl AsyncRead + AsyncWrite + Unpin, broken: bool) -> io::Result<()> {
    let mut request = [0; 1024];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    let status = if broken { "500 No" } else { "200 OK" };
    stream.write_all(format!("HTTP/1.0 {status}\r\nContent-Length: 2\r\n\r\nok").as_bytes()).await?;
    stream.shutdown().await
}

async fn sealed(tls: TlsAcceptor, stream: TcpStream, broken: bool) -> io::Result<()> {
    page(tls.accept(stream).await?, broken).await
}
