//! A laboratory for tests: two hosts, which are network namespaces, and a cable between them.

use crate::sys::netns;
use rtnetlink::{LinkUnspec, LinkVeth};
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Name of the interface on our side; the other end is [`FAR`].
pub(crate) const NEAR: &str = "eth0";
/// Name of the interface in the other namespace.
pub(crate) const FAR: &str = "far0";
/// MAC addresses of both ends.
pub(crate) const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
pub(crate) const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Both ends of the cable.
#[derive(Clone)]
pub(crate) struct Lab {
    /// Index of [`NEAR`].
    pub(crate) near: u32,
    /// Index of [`FAR`] in its namespace.
    pub(crate) far: u32,
    far_host: Arc<OwnedFd>,
}

impl Lab {
    /// Does something on the other host, e.g. opens a socket there, within the same runtime.
    pub(crate) fn on_far<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let runtime = tokio::runtime::Handle::current();
        netns::in_netns(&self.far_host, move || {
            let _inside = runtime.enter();
            work()
        })
        .unwrap()
    }
}

/// Runs a test inside a laboratory of its own: a thread, a namespace, a runtime. Without root it runs the same test again in
/// a user namespace; where those are not allowed it is skipped, which `KEEPALIVED_TEST_REQUIRE=all` makes a failure.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce(Lab) -> F + Send) {
    let result = netns::in_new_netns(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // Held until the end: the far host lives as long as its descriptor.
            let lab = build().await;
            tokio::time::timeout(Duration::from_secs(60), test(lab.clone())).await.expect("the test did not end in 60 s");
        });
    });
    match result {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => run_in_user_namespace(),
        result => result.unwrap(),
    }
}

fn run_in_user_namespace() {
    const INSIDE: &str = "KEEPALIVED_TEST_IN_USER_NAMESPACE";
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let fail = |why: &str| {
        println!("SKIPPED: {why}");
        assert!(std::env::var("KEEPALIVED_TEST_REQUIRE").as_deref() != Ok("all"), "skipped: {why}");
    };
    if name == "main" {
        return fail("needs root, or --test-threads above 1: a test that runs on the main thread does not know its name");
    }
    if std::env::var_os(INSIDE).is_some() {
        return fail("no network namespace although in a user namespace");
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).arg(std::env::current_exe().unwrap());
    match command.args([&name, "--exact", "--nocapture"]).env(INSIDE, "1").output() {
        Ok(output) if output.status.success() && !String::from_utf8_lossy(&output.stdout).contains(" 0 passed") => {}
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("unshare failed") => {
            fail("needs root, or user namespaces that ordinary users may make");
        }
        Ok(output) => panic!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        Err(error) => fail(&format!("needs root, or unshare(1): {error}")),
    }
}

async fn build() -> Lab {
    let far_host = netns::create().unwrap();
    let near_net = connect();
    let cable = LinkVeth::new(NEAR, FAR).address(NEAR_MAC.to_vec());
    near_net.link().add(cable.build()).execute().await.unwrap();
    let far = index(FAR);
    near_net.link().set(LinkUnspec::new_with_index(far).address(FAR_MAC.to_vec()).build()).execute().await.unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&far_host);
    near_net.link().set(LinkUnspec::new_with_index(far).setns_by_fd(fd).build()).execute().await.unwrap();
    let near = index(NEAR);
    switch_on(&near_net, &[near, 1]).await;
    let mut lab = Lab { near, far: 0, far_host: Arc::new(far_host) };
    lab.far = lab.on_far(|| index(FAR));
    let far_net = lab.on_far(connect);
    switch_on(&far_net, &[lab.far, 1]).await;
    // Carrier comes a moment later, and IPv6 with its multicast route after it.
    until("the near end has carrier", || has_ipv6(NEAR)).await;
    until("the far end has carrier", || lab.on_far(|| has_ipv6(FAR))).await;
    lab
}

async fn switch_on(net: &rtnetlink::Handle, links: &[u32]) {
    for &link in links {
        net.link().set(LinkUnspec::new_with_index(link).up().build()).execute().await.unwrap();
    }
}

fn has_ipv6(name: &str) -> bool {
    std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap().lines().any(|line| line.ends_with(name))
}

/// A handle to the calling thread's namespace.
pub(crate) fn connect() -> rtnetlink::Handle {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    handle
}

pub(crate) fn index(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// `ip`'s or `nft`'s own words, to compare with.
pub(crate) fn output(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Tries again until it holds, at most 10 s.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// For errors of the system.
pub(crate) fn code(result: io::Result<()>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}
