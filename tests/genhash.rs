//! genhash, byte for byte beside the original where that is installed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const ORIGINAL: &str = "/usr/bin/genhash";

/// A server of these pages, in pieces with a pause between them; the port.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    port
}

fn serve(mut stream: TcpStream) {
    let mut request = [0; 4096];
    let Ok(length) = stream.read(&mut request) else { return };
    let text = String::from_utf8_lossy(request.get(..length).unwrap_or_default()).into_owned();
    let path = text.split(' ').nth(1).unwrap_or_default();
    for (at, piece) in page(path, &text).iter().enumerate() {
        if at > 0 {
            std::thread::sleep(Duration::from_millis(300));
        }
        let _ = stream.write_all(piece);
    }
}

fn page(path: &str, request: &str) -> Vec<Vec<u8>> {
    let whole = |text: &[u8]| vec![text.to_vec()];
    match path {
        "/length" => whole(b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 6\r\n\r\nhello\n"),
        "/chunked" => whole(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        "/empty" => whole(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        "/all" => vec![[b"HTTP/1.0 404 No\r\n\r\n".to_vec(), (0..=255).collect()].concat()],
        "/none" => vec![],
        "/text" => whole(b"just text"),
        "/pieces" => vec![b"HTTP/1.0 200 OK\r\nX: y\r\n".to_vec(), b"\r\n".to_vec(), b"first".to_vec(), b"second\n".to_vec()],
        // The request comes back, so that a difference in it shows in the digest and in the dump. Host names the port.
        _ => vec![[b"HTTP/1.0 200 OK\r\n\r\n", request.as_bytes()].concat()],
    }
}

/// Standard output, standard error and status, without the time that it took and what the usage says of options.
#[expect(clippy::unwrap_used, reason = "part of tests")]
fn run(program: &str, arguments: &[String]) -> (String, String, Option<i32>) {
    let Output { stdout, stderr, status } = Command::new(program).arg0("genhash").args(arguments).output().unwrap();
    let untimed: Vec<String> = String::from_utf8_lossy(&stdout)
        .split('\n')
        .map(|line| line.split_once("] = ").filter(|_| line.starts_with("Global")).map_or(line, |(line, _)| line).to_owned())
        .collect();
    let usage: Vec<String> = String::from_utf8_lossy(&stderr).lines().take_while(|line| *line != "Options:").map(str::to_owned).collect();
    (untimed.join("\n"), usage.join("\n"), status.code())
}

#[test]
fn output_and_exit_status_are_the_originals() {
    if !Path::new(ORIGINAL).exists() {
        assert!(std::env::var("KEEPALIVED_TEST_REQUIRE").as_deref() != Ok("all"), "SKIPPED: {ORIGINAL} is not here");
        println!("SKIPPED: {ORIGINAL} is not here");
        return;
    }
    let port = server();
    let at = |rest: &str| format!("-s 127.0.0.1 -p {port} {rest}");
    let mut lines = vec![
        String::new(),
        "-h".to_owned(),
        "--nonsense".to_owned(),
        "-s name -p 80 -u /".to_owned(),
        "-s 127.0.0.1 -p 0 -u /".to_owned(),
        "-s 127.91.0.1 -p 9 -u /".to_owned(),
        "-v -s 127.91.0.1 -p 9 -u /".to_owned(),
        at("-u / -P 1.1"),
        at("-u / -P 1.0c -V host.test:99"),
        at("-u / -P 2.0"),
        at("-u relative"),
        at("-u / -t x"),
        at("-u / word"),
    ];
    // Pieces may arrive together on a busy machine, which a dump would show.
    lines.push(at("-u /pieces"));
    for path in ["length", "chunked", "empty", "all", "none", "text"] {
        lines.extend([at(&format!("-u /{path}")), at(&format!("-v -u /{path}"))]);
    }
    for line in lines {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let (ours, theirs) = (run(env!("CARGO_BIN_EXE_keepalived"), &arguments), run(ORIGINAL, &arguments));
        assert_eq!(ours, theirs, "genhash {line}");
    }
}

#[test]
fn it_is_an_option_of_keepalived_too() {
    let port = server().to_string();
    let arguments = ["-l", "--genhash", "-s", "127.0.0.1", "-p", &port, "-u", "/length"];
    let output = Command::new(env!("CARGO_BIN_EXE_keepalived")).args(arguments).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b1946ac92492d2347c6235b4d2611184\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("previous options ignored"));
    assert!(output.status.success());
}
