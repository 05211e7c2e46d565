//! Balancing on a kernel with IPVS: this machine's, or that of a virtual machine in which this program runs again.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "../common/mod.rs"]
mod common;

mod beside;
mod changes;
mod checkers;
mod elsewhere;
mod health;
mod house;
mod orders;
mod rhythm;
mod seeds;
mod sessions;
mod unbroken;

use common::*;
use house::*;

#[test]
fn without_ipvs_in_the_kernel_the_cure_is_named_once_and_vrrp_goes_on() {
    if !promised_by_ours() || vm::has_ipvs() {
        return;
    }
    laboratory(&["ka1"], |lab| {
        let balancer = virtual_server("172.25.254.100 80", OFTEN, &real_server("172.25.254.110 80", TCP_CHECK));
        let daemon = start(lab.host("ka1"), &format!("{}{balancer}", fast(100)));
        only(lab, "ka1", VIP, secs(5));
        wait_log(lab, &daemon, "Lost quorum", secs(10));
        lab.wait("the second look for IPVS", secs(15), || daemon.log().contains("IPVS: ")).unwrap();
        assert_eq!(daemon.log().matches(": IPVS: ").count(), 1, "{}", daemon.log());
        assert!(daemon.log().contains("modprobe ip_vs") || daemon.log().contains("CAP_NET_ADMIN"), "{}", daemon.log());
        assert_eq!(daemon.children().len(), 2, "both children live");
    });
}
