//! How a checker reaches its target: TCP, TLS, UDP, ICMP. A probe ends within its total deadline, however lively the peer is.

mod connection;
mod crowd;
mod flow;
mod icmp;
mod tcp;
mod tls;
mod udp;

pub use crate::check::tls::Files;
pub use connection::{Connection, open};
pub use crowd::Crowd;
pub use tls::{Trust, TrustError};

use crate::check::http::{self, Http, OddLength, Request, Url};
use crate::check::patience::Patience;
use crate::check::regex::{Expression, Regex};
use crate::check::smtp::Smtp;
use crate::check::tcp::Tcp;
use crate::check::{Checker, Dialogue, Failure, Kind, Step, Target};
use crate::sys::clock;
use flow::Talk;
use futures_util::FutureExt;
use socket2::SockRef;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

/// One checker ready to be made again and again: its requests worded, its expressions compiled.
#[derive(Debug)]
pub struct Probe {
    checker: Arc<Checker>,
    /// One for each URL; nothing for one whose expression is wrong.
    pages: Vec<Option<Arc<Request>>>,
}

/// A panic is our defect: it says nothing of the server, and whoever waits for the outcome must get one.
async fn unbroken(check: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let outcome = AssertUnwindSafe(check).catch_unwind().await;
    outcome.unwrap_or_else(|_| Err(Failure::Local("the check panicked, which is a defect of this program".to_owned())))
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Whether the server is well, or why not.
    pub result: Result<(), Failure>,
    /// When the certificate that it showed ends, in seconds since 1970.
    pub certificate_ends: Option<i64>,
    /// A page that is not as long as its header says.
    pub odd_length: Option<OddLength>,
}

impl Outcome {
    /// With nothing beside the result.
    pub const fn new(result: Result<(), Failure>) -> Self {
        Self { result, certificate_ends: None, odd_length: None }
    }
}

impl Probe {
    /// `compiled` answers the expression of a URL; equal ones may be shared.
    pub fn new(checker: Arc<Checker>, mut compiled: impl FnMut(&Regex) -> Option<Arc<Expression>>) -> Self {
        let pages = match &checker.kind {
            Kind::Http(settings) => {
                let page = |url: &Url| {
                    let expression = match &url.regex {
                        None => None,
                        Some(regex) => Some(compiled(regex)?),
                    };
                    let target = &checker.target;
                    Some(Arc::new(Request::new(settings, url, target.address, target.port, expression)))
                };
                settings.urls.iter().map(page).collect()
            }
            _ => Vec::new(),
        };
        Self { checker, pages }
    }

    /// Whether it is a conversation over plain TCP, which a [`Crowd`] carries; anything else is [made](Self::make) in a task of its own.
    pub fn is_plain(&self) -> bool {
        match &self.checker.kind {
            Kind::Tcp | Kind::Smtp(_) => true,
            Kind::Http(settings) => !settings.tls,
            Kind::Dns(_) | Kind::Udp(_) | Kind::Ping | Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => false,
        }
    }

    /// What is said over plain TCP; for HTTP about the URL at that place.
    fn talk(&self, url: usize) -> Result<Talk, Failure> {
        match &self.checker.kind {
            Kind::Tcp => Ok(Talk::Tcp(Tcp)),
            Kind::Smtp(settings) => Ok(Talk::Smtp(Smtp::new(settings))),
            Kind::Http(_) => Ok(Talk::Http(Http::new(self.page(url)?.clone()))),
            Kind::Dns(_) | Kind::Udp(_) | Kind::Ping | Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => Err(unmade()),
        }
    }

    fn page(&self, url: usize) -> Result<&Arc<Request>, Failure> {
        self.pages.get(url).and_then(Option::as_ref).ok_or_else(|| Failure::Local("the regex is wrong".to_owned()))
    }

    /// Makes one check that is not [plain](Self::is_plain); for HTTP of the URL at that place in the block.
    pub async fn make(&self, url: usize, trust: Option<&Arc<Trust>>) -> Outcome {
        let total = total(&self.checker);
        let mut seen = Outcome::new(Err(Failure::TooSlow(total)));
        let result = in_time(total, unbroken(self.unlimited(url, trust, &mut seen))).await;
        if let Some(result) = result {
            seen.result = result;
        }
        seen
    }

    /// A page over TLS.
    async fn sealed(&self, settings: &http::Settings, url: usize, trust: Option<&Arc<Trust>>, seen: &mut Outcome) -> Result<(), Failure> {
        let target = &self.checker.target;
        let Some(page) = settings.urls.get(url) else { return Ok(()) };
        let request = self.page(url)?;
        let Some(trust) = trust else { return Err(Failure::Local("TLS is not set up".to_owned())) };
        let mut connection = open(target, Some((trust, settings.tls_name(page), settings.sni))).await?;
        connection.compliant(page.tls_compliant);
        seen.certificate_ends = connection.certificate_ends();
        let mut dialogue = Http::new(request.clone());
        let result = carry(target, &mut connection, &mut dialogue).await;
        seen.odd_length = dialogue.odd_length();
        result
    }

    async fn unlimited(&self, url: usize, trust: Option<&Arc<Trust>>, seen: &mut Outcome) -> Result<(), Failure> {
        let target = &self.checker.target;
        match &self.checker.kind {
            // In a place of its own: what TLS needs is ten times what the others do.
            Kind::Http(settings) if settings.tls => Box::pin(self.sealed(settings, url, trust, seen)).await,
            Kind::Dns(settings) => udp::resolve(target, settings).await,
            Kind::Udp(settings) => udp::exchange(target, settings).await,
            Kind::Ping => icmp::ping(target).await,
            Kind::Tcp | Kind::Smtp(_) | Kind::Http(_) | Kind::Misc(_) | Kind::File(_) | Kind::Bfd(_) => Err(unmade()),
        }
    }
}

/// A check of another kind.
fn unmade() -> Failure {
    Failure::Local("this check is not made this way".to_owned())
}

/// The most that a check may take: a peer that trickles bytes holds nothing up longer.
fn total(checker: &Checker) -> Duration {
    (checker.target.connect_timeout * 3).max(checker.timing.delay_loop)
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

/// `bindto`, `bind_port`, `bind_if`, `fwmark`. Without one of them the check is not made: it would test another path.
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

/// Waits for `what` that long, and longer by what we ourselves were late. `None` when it did not come.
async fn in_time<T>(length: Duration, what: impl Future<Output = T>) -> Option<T> {
    let mut what = std::pin::pin!(what);
    let mut patience = Patience::new(clock::now(), length);
    let mut rest = length;
    loop {
        if let Ok(value) = tokio::time::timeout(rest, &mut what).await {
            return Some(value);
        }
        let now = clock::now();
        if patience.is_over(now) {
            return None;
        }
        rest = patience.due().since(now);
    }
}

/// Waits for `what` as long as the target allows.
async fn within<T>(target: &Target, what: impl Future<Output = std::io::Result<T>>) -> Result<T, Failure> {
    match in_time(target.connect_timeout, what).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(Failure::Broken(error.to_string())),
        None => Err(Failure::TimedOut(target.connect_timeout)),
    }
}

/// Carries a conversation's bytes.
async fn carry(target: &Target, connection: &mut Connection, dialogue: &mut impl Dialogue) -> Result<(), Failure> {
    let mut step = dialogue.connected();
    loop {
        match step {
            Step::Done(result) => return result,
            Step::Send(bytes) => connection.write(target, &bytes).await?,
            Step::Read => {}
        }
        step = connection.read_into(target, dialogue).await?;
    }
}

#[cfg(test)]
mod crowd_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
