//! The command line of genhash(1): its own program, or `keepalived --genhash`.

use super::getopt::{self, Found, Spelling, Takes};
use super::options::OPTIONS;
use crate::check::http::Protocol;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

/// What genhash is to fetch, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Genhash {
    /// `-s`.
    pub server: IpAddr,
    /// `-p`.
    pub port: u16,
    /// `-u`, as it stands in the request.
    pub path: String,
    /// `-S`.
    pub tls: bool,
    /// `-I`: the virtual host is the name in the TLS greeting.
    pub sni: bool,
    /// `-V`.
    pub virtualhost: Option<String>,
    /// `-P`.
    pub protocol: Protocol,
    /// `-m`.
    pub fwmark: u32,
    /// `-t`: to connect, and then for every answer.
    pub timeout: Duration,
    /// `-v`.
    pub verbose: bool,
}

/// Values as they were written.
#[derive(Default)]
struct Written<'a> {
    server: Option<&'a str>,
    port: Option<&'a str>,
    url: Option<&'a str>,
    tls: bool,
    sni: bool,
    virtualhost: Option<&'a str>,
    protocol: Option<&'a str>,
    fwmark: Option<&'a str>,
    timeout: Option<&'a str>,
    verbose: bool,
    help: bool,
}

struct Row {
    short: char,
    long: &'static str,
    takes: Takes,
    help: &'static str,
    set: for<'a> fn(&mut Written<'a>, &'a str),
}

impl Spelling for Row {
    fn short(&self) -> Option<char> {
        Some(self.short)
    }
    fn long(&self) -> &'static str {
        self.long
    }
    fn takes(&self) -> Takes {
        self.takes
    }
}

const fn row(short: char, long: &'static str, takes: Takes, help: &'static str, set: for<'a> fn(&mut Written<'a>, &'a str)) -> Row {
    Row { short, long, takes, help, set }
}

const ROWS: &[Row] = &[
    row('S', "use-ssl", Takes::Nothing, "Speak TLS with the server.", |to, _| to.tls = true),
    row('I', "use-sni", Takes::Nothing, "Send the virtual host as server name in the TLS greeting.", |to, _| to.sni = true),
    row('s', "server", Takes::Value("ADDRESS"), "Address of the server.", |to, value| to.server = Some(value)),
    row('p', "port", Takes::Value("PORT"), "Its port.", |to, value| to.port = Some(value)),
    row('u', "url", Takes::Value("PATH"), "Path to ask for.", |to, value| to.url = Some(value)),
    row('V', "use-virtualhost", Takes::Value("HOST"), "Host of the request.", |to, value| to.virtualhost = Some(value)),
    row('v', "verbose", Takes::Nothing, "Show header, body and time as well.", |to, _| to.verbose = true),
    row('h', "help", Takes::Nothing, "Show this.", |to, _| to.help = true),
    row('m', "fwmark", Takes::Value("MARK"), "Firewall mark of the connection.", |to, value| to.fwmark = Some(value)),
    row('P', "protocol", Takes::Value("VERSION"), "HTTP version: '1.0', '1.0c' (with 'Connection: close') or '1.1'.", |to, value| {
        to.protocol = Some(value);
    }),
    row('t', "timeout", Takes::Value("SECONDS"), "Longest wait for a connection or an answer (5).", |to, value| to.timeout = Some(value)),
];

/// How this program is to be called, with its name.
fn usage(name: &str) -> String {
    let mut text = format!(
        "Usage: {name} COMMAND [OPTIONS]\nCommands:\n   -s server-address -p port -u url\n   -S -s server-address -p port -u url\n   -h\n\n\
         Options:\nEither long or short options are allowed.\n"
    );
    for row in ROWS {
        let _ = writeln!(text, "   {:<17} -{}       {}", format!("--{}", row.long), row.short, row.help);
    }
    text
}

/// The arguments of `--genhash` when it is among keepalived's, and whether others stood before it.
pub fn among(arguments: &[String]) -> Option<(Vec<String>, bool)> {
    let genhash = OPTIONS.iter().position(|option| option.short() == Some('T'))?;
    for (at, argument) in arguments.iter().enumerate() {
        // A word that is the value of the one before it is no option.
        let complete = getopt::read(OPTIONS, arguments.get(..at)?).is_ok();
        let found =
            || getopt::read(OPTIONS, std::slice::from_ref(argument)).is_ok_and(|found| found.contains(&Found::Option(genhash, None)));
        let bundled = argument.strip_prefix("-T");
        if argument == "--" || (complete && (bundled.is_some() || found())) {
            let more = bundled.filter(|more| !more.is_empty()).map(|more| format!("-{more}"));
            let rest = more.into_iter().chain(arguments.get(at + 1..)?.iter().cloned()).collect();
            return (argument != "--").then_some((rest, at > 0));
        }
    }
    None
}

/// Reads the arguments, without the program's name.
///
/// # Errors
/// What is wrong, with the usage, for standard error.
pub fn parse(name: &str, arguments: &[String]) -> Result<Genhash, String> {
    let refuse = |why: String| format!("{why}{}", usage(name));
    let found = getopt::read(ROWS, arguments).map_err(|_| refuse(String::new()))?;
    let (mut written, mut words) = (Written::default(), Vec::new());
    for item in found {
        match item {
            Found::Word(word) => words.push(word),
            Found::Option(index, value) => {
                if let Some(row) = ROWS.get(index) {
                    (row.set)(&mut written, value.unwrap_or_default());
                }
            }
        }
    }
    if written.help {
        return Err(refuse(String::new()));
    }
    if !words.is_empty() {
        return Err(refuse(format!("Unexpected argument(s): {}\n", words.join(" "))));
    }
    values(&written).map_err(refuse)
}

fn values(written: &Written<'_>) -> Result<Genhash, String> {
    fn number<T: std::str::FromStr>(what: &str, text: Option<&str>) -> Result<Option<T>, String> {
        text.map(|text| text.parse().map_err(|_| format!("invalid {what} '{text}'\n"))).transpose()
    }
    let server = written.server.map(|text| text.parse().map_err(|_| format!("server should be an IP, not {text}\n"))).transpose()?;
    let port = number("port number", written.port)?;
    if let (Some(0), Some(text)) = (port, written.port) {
        return Err(format!("invalid port number '{text}'\n"));
    }
    let protocol = match written.protocol {
        None | Some("1.0") => Protocol::V1_0,
        Some("1.0c" | "1.0C") => Protocol::V1_0Close,
        Some("1.1") => Protocol::V1_1,
        Some(other) => return Err(format!("invalid HTTP protocol version '{other}'\n")),
    };
    let fwmark = number("fwmark", written.fwmark)?.unwrap_or(0);
    let timeout = number("timeout", written.timeout)?.map_or(Duration::from_secs(5), |seconds: u32| Duration::from_secs(seconds.into()));
    let (Some(server), Some(port), Some(url)) = (server, port, written.url) else { return Err(String::new()) };
    Ok(Genhash {
        server,
        port,
        path: url.to_owned(),
        tls: written.tls,
        sni: written.sni,
        virtualhost: written.virtualhost.map(str::to_owned),
        protocol,
        fwmark,
        timeout,
        verbose: written.verbose,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn read(line: &str) -> Result<Genhash, String> {
        parse("genhash", &words(line))
    }

    /// The first line of a refusal.
    fn refusal(line: &str) -> String {
        read(line).unwrap_err().lines().next().unwrap().to_owned()
    }

    #[test]
    fn server_port_and_url_are_needed_and_the_rest_has_defaults() {
        let got = read("-s 192.0.2.1 -p 80 -u /x").unwrap();
        assert_eq!((got.port, got.path.as_str(), got.timeout, got.protocol), (80, "/x", Duration::from_secs(5), Protocol::V1_0));
        for line in ["", "-s 192.0.2.1", "-s 192.0.2.1 -p 80", "-h", "-z", "-s"] {
            assert_eq!(refusal(line), "Usage: genhash COMMAND [OPTIONS]", "{line}");
        }
    }

    #[test]
    fn refusals_are_the_originals() {
        let rest = "-s 127.0.0.1 -p 80 -u /";
        assert_eq!(refusal("-s foo -p 80 -u /"), "server should be an IP, not foo");
        assert_eq!(refusal("-s 127.0.0.1 -p 0 -u /"), "invalid port number '0'");
        assert_eq!(refusal("-s 127.0.0.1 -p 70000 -u /"), "invalid port number '70000'");
        assert_eq!(refusal(&format!("{rest} -P 2.0")), "invalid HTTP protocol version '2.0'");
        assert_eq!(refusal(&format!("{rest} -t 0.5")), "invalid timeout '0.5'");
        assert_eq!(refusal(&format!("{rest} -m x")), "invalid fwmark 'x'");
        assert_eq!(refusal(&format!("word {rest}")), "Unexpected argument(s): word");
    }

    #[test]
    fn keepalived_becomes_genhash_at_its_option_wherever_that_stands() {
        let rest = |line: &str| among(&words(line)).map(|(rest, others)| (rest.join(" "), others));
        assert_eq!(rest("-T -s 1.2.3.4"), Some(("-s 1.2.3.4".to_owned(), false)));
        assert_eq!(rest("--genhash -h"), Some(("-h".to_owned(), false)));
        assert_eq!(rest("-Ts 1.2.3.4"), Some(("-s 1.2.3.4".to_owned(), false)));
        assert_eq!(rest("-l -T -v"), Some(("-v".to_owned(), true)));
        assert_eq!(rest("-f -T"), None, "a file of that name");
        assert_eq!(rest("-f/tmp/T -l"), None);
        assert_eq!(rest("-l -- -T"), None);
    }
}
