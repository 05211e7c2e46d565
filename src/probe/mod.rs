//! How a checker reaches its target: TCP, TLS, UDP, ICMP. A probe ends within its total deadline, however lively the peer is.

mod icmp;
mod tcp;
mod tls;
mod udp;

pub use tls::Trust;

use crate::check::http::{Http, Request};
use crate::check::smtp::Smtp;
use crate::check::tcp::Tcp;
use crate::check::{Checker, Dialogue, Failure, Kind, Target};
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// Makes one check; for HTTP of the URL at that place in the block.
///
/// # Errors
/// Why the server is not well.
pub async fn probe(checker: &Checker, url: usize, trust: Option<&Arc<Trust>>) -> Result<(), Failure> {
    let total = total(checker);
    tokio::time::timeout(total, unlimited(checker, url, trust)).await.unwrap_or(Err(Failure::TooSlow(total)))
}

/// The most that a check may take: a peer that trickles bytes holds nothing up longer.
fn total(checker: &Checker) -> Duration {
    (checker.target.connect_timeout * 3).max(checker.timing.delay_loop)
}

async fn unlimited(checker: &Checker, url: usize, trust: Option<&Arc<Trust>>) -> Result<(), Failure> {
    let target = &checker.target;
    match &checker.kind {
        Kind::Tcp => tcp::converse(target, &mut Tcp).await,
        Kind::Smtp(settings) => tcp::converse(target, &mut Smtp::new(settings)).await,
        Kind::Http(settings) => {
            let Some(page) = settings.urls.get(url) else { return Ok(()) };
            let mut dialogue = Http::new(Request::new(settings, page, target.address, target.port));
            match trust {
                _ if !settings.tls => tcp::converse(target, &mut dialogue).await,
                Some(trust) => {
                    // Without enable_sni no name is sent, as the original.
                    tls::converse(target, trust, settings.sni.as_deref(), &mut dialogue).await
                }
                None => Err(Failure::Local("TLS is not set up".to_owned())),
            }
        }
        Kind::Dns(settings) => udp::resolve(target, settings).await,
        Kind::Udp(settings) => udp::exchange(target, settings).await,
        Kind::Ping => icmp::ping(target).await,
        Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => Err(Failure::Local("not a network check".to_owned())),
    }
}

/// Where to, with the interface's index for a link-local address.
fn address(target: &Target) -> Result<SocketAddr, Failure> {
    let mut address = SocketAddr::new(target.address, target.port);
    if let (SocketAddr::V6(six), Some(interface)) = (&mut address, &target.bind_if)
        && six.ip().is_unicast_link_local()
    {
        let index = nix::net::if_::if_nametoindex(interface.as_str()).map_err(|error| Failure::Local(format!("{interface}: {error}")))?;
        six.set_scope_id(index);
    }
    Ok(address)
}

/// `bindto`, `bind_port`, `bind_if`, `fwmark`. What cannot be set makes the check fail: it would test another path.
fn prepare(socket: &impl AsFd, target: &Target) -> Result<(), Failure> {
    let local = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| Failure::Local(format!("{what}: {error}"))
    };
    let socket = SockRef::from(socket);
    if let Some(interface) = &target.bind_if {
        socket.bind_device(Some(interface.as_bytes())).map_err(local(interface))?;
    }
    if target.fwmark != 0 {
        socket.set_mark(target.fwmark).map_err(local("fwmark"))?;
    }
    if target.bind.is_some() || target.bind_port != 0 {
        let any = || match target.address {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let from = SocketAddr::new(target.bind.unwrap_or_else(any), target.bind_port);
        socket.set_reuse_address(true).map_err(local("bindto"))?;
        socket.bind(&from.into()).map_err(local(&format!("bindto {from}")))?;
    }
    Ok(())
}

/// Waits for `what` as long as the target allows.
async fn within<T>(target: &Target, what: impl Future<Output = std::io::Result<T>>) -> Result<T, Failure> {
    match tokio::time::timeout(target.connect_timeout, what).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Failure::Connect(error.to_string())),
        Err(_) => Err(Failure::TimedOut(target.connect_timeout)),
    }
}

/// Carries a conversation's bytes over whatever reads and writes.
async fn carry(target: &Target, stream: &mut impl Bytes, dialogue: &mut impl Dialogue) -> Result<(), Failure> {
    let mut step = dialogue.connected();
    loop {
        step = match step {
            crate::check::Step::Done(result) => return result,
            crate::check::Step::Send(bytes) => {
                within(target, stream.write(&bytes)).await?;
                stream.read_into(target, dialogue).await?
            }
            crate::check::Step::Read => stream.read_into(target, dialogue).await?,
        }
    }
}

/// A stream of either kind.
trait Bytes {
    async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Reads once and tells the dialogue.
    async fn read_into(&mut self, target: &Target, dialogue: &mut impl Dialogue) -> Result<crate::check::Step, Failure>;
}

#[cfg(test)]
mod tests;
