//! `genhash`: fetches a page once and prints the digest that a `digest` line of HTTP_GET would want.
//!
//! What it prints, and that it always exits 0 after a fetch, is the original's: scripts read it.

use super::cli::Genhash;
use crate::check::http::{self, Url, header_end, hex};
use crate::check::{Failure, Target};
use crate::probe::{self, Trust};
use md5::{Digest, Md5};
use std::io::Write as _;
use std::time::Instant;

/// Most bytes read at once, and of a header.
const ROOM: usize = 4095;

/// Fetches and prints; the exit status.
pub(super) fn main(wanted: &Genhash) -> u8 {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{error}");
            return super::EXIT_FATAL;
        }
    };
    let begun = Instant::now();
    let mut page = Page::new(wanted.verbose, wanted.tls);
    let result = runtime.block_on(fetch(wanted, &mut page));
    let (mut out, err) = page.finish(result.as_ref().err().map(|failure| said(failure, wanted)));
    if wanted.verbose {
        out.extend(format!("\nGlobal response time for [{}] = {} usecs\n", wanted.path, begun.elapsed().as_micros()).into_bytes());
    }
    let _ = std::io::stdout().write_all(&out);
    eprint!("{err}");
    0
}

async fn fetch(wanted: &Genhash, page: &mut Page) -> Result<(), Failure> {
    let mut target = Target::new(wanted.server, wanted.port);
    target.fwmark = wanted.fwmark;
    target.connect_timeout = wanted.timeout;
    let url = Url { path: wanted.path.clone(), virtualhost: wanted.virtualhost.clone(), ..Url::default() };
    let request = http::request(wanted.protocol, &url, wanted.server, wanted.port);
    let trust =
        if wanted.tls { Some(Trust::new(&probe::Files::default()).map_err(|error| Failure::Local(error.to_string()))?) } else { None };
    let name = wanted.virtualhost.as_deref();
    let mut connection = probe::open(&target, trust.as_ref().map(|trust| (trust, name, wanted.sni))).await?;
    connection.write(&target, &request).await?;
    let mut buffer = [0; ROOM];
    loop {
        let room = page.room();
        if room == 0 {
            return Ok(());
        }
        match connection.read(&target, buffer.get_mut(..room).unwrap_or_default()).await? {
            0 => return Ok(()),
            length => page.take(buffer.get(..length).unwrap_or_default()),
        }
    }
}

/// A failure in the original's words.
fn said(failure: &Failure, wanted: &Genhash) -> String {
    match failure {
        Failure::Connect(_) => "Connection failed".to_owned(),
        Failure::TimedOut(_) => "Timeout WEB read".to_owned(),
        Failure::Tls(_) => "SSL handshake/communication error connecting to".to_owned(),
        other => format!("{other} ({}:{})", wanted.server, wanted.port),
    }
}

/// What has been read, and what is to be printed of it.
struct Page {
    verbose: bool,
    tls: bool,
    /// The header, as long as it is not whole.
    pending: Vec<u8>,
    whole: bool,
    digest: Md5,
    out: Vec<u8>,
}

impl Page {
    fn new(verbose: bool, tls: bool) -> Self {
        Self { verbose, tls, pending: Vec::new(), whole: false, digest: Md5::new(), out: Vec::new() }
    }

    /// How much may be read at once now; nothing when the header is too long.
    const fn room(&self) -> usize {
        if self.whole { ROOM } else { ROOM.saturating_sub(self.pending.len()) }
    }

    fn title(&mut self, text: &str) {
        if self.verbose {
            let pad = " ".repeat((26 - text.len().min(26)).div_ceil(2));
            let line = format!("-----------------------[{pad}{text}{pad}]-----------------------\n");
            self.out.extend(line.into_bytes());
        }
    }

    fn dump(&mut self, bytes: &[u8]) {
        if self.verbose {
            self.out.extend(dump(bytes).into_bytes());
        }
    }

    /// Bytes as they arrived.
    fn take(&mut self, bytes: &[u8]) {
        if self.whole {
            self.digest.update(bytes);
            return self.dump(bytes);
        }
        self.title("HTTP Header Buffer");
        self.pending.extend_from_slice(bytes);
        let Some((_, end)) = header_end(&self.pending) else { return };
        self.whole = true;
        let mut header = std::mem::take(&mut self.pending);
        let body = header.split_off(end);
        self.dump(&header);
        self.title("HTTP Header Ascii Buffer");
        if self.verbose {
            header.push(b'\n');
            self.out.extend(header);
        }
        if !body.is_empty() {
            self.title("HTML Buffer");
            self.digest.update(&body);
            self.dump(&body);
        }
    }

    /// The last lines for standard output and for standard error.
    fn finish(mut self, failure: Option<String>) -> (Vec<u8>, String) {
        if let Some(text) = failure {
            self.out.extend(format!("{text}\n").into_bytes());
            return (self.out, String::new());
        }
        let digest: [u8; 16] = std::mem::take(&mut self.digest).finalize().into();
        if self.verbose && !self.tls {
            self.out.push(b'\n');
            self.title("HTML hash resulting");
            self.dump(&digest);
            self.title("HTML hash final resulting");
        }
        if !self.whole {
            return (self.out, "no data received from remote webserver\n".to_owned());
        }
        self.out.extend(format!("{}\n", hex(&digest)).into_bytes());
        (self.out, String::new())
    }
}

/// Sixteen bytes a line: the place, the bytes in two halves, and what of them can be printed.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 5);
    for (row, line) in bytes.chunks(16).enumerate() {
        let half = |range: std::ops::Range<usize>| -> String {
            range.map(|at| line.get(at).map_or_else(|| "   ".to_owned(), |byte| format!("{byte:02x} "))).collect()
        };
        let printed: String = line.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }).collect();
        text.push_str(&format!("{:04}  {}- {}  {printed:<16}\n", row * 16, half(0..8), half(8..16)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_has_the_originals_columns() {
        let expect = "0000  48 54 54 50 2f 31 2e 30 - 20 32 30 30 20 4f 4b 0d   HTTP/1.0 200 OK.\n\
                      0016  0a 58 3a                -                           .X:             \n";
        assert_eq!(dump(b"HTTP/1.0 200 OK\r\nX:"), expect);
    }

    #[test]
    fn the_body_alone_counts_however_it_was_cut() {
        for cut in [5, 19, 20, 24] {
            let answer = b"HTTP/1.0 200 OK\r\n\r\nhello\n";
            let mut page = Page::new(false, false);
            let (first, second) = answer.split_at(cut);
            page.take(first);
            page.take(second);
            assert_eq!(page.finish(None), (b"b1946ac92492d2347c6235b4d2611184\n".to_vec(), String::new()), "{cut}");
        }
    }

    #[test]
    fn without_a_header_there_is_no_digest() {
        let mut page = Page::new(false, true);
        page.take(b"just text");
        assert_eq!(page.finish(None), (vec![], "no data received from remote webserver\n".to_owned()));
    }
}
