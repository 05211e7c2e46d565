//! `vrrp_instance` and `vrrp_sync_group`.

use super::K;
use crate::config::read::{Row, group, instance as read, links, lists, lvs, notify, tracked, vmac, watched};

/// Inside `vrrp_instance`.
pub(super) const INSTANCE: &[Row] = &[
    // identity and protocol
    K::value("state", "MASTER|BACKUP", "what it wants to be at start").default("BACKUP; MASTER with priority 255").act(read::state),
    K::value("interface", "NAME", "the interface adverts travel on")
        .default("required, but for unicast with unicast_src_ip")
        .act(read::interface),
    K::value("virtual_router_id", "1..255", "number of the virtual router on its network").default("required").act(read::virtual_router_id),
    K::value("priority", "1..255", "the highest is master; 255 owns the addresses")
        .default("100; 255 with state MASTER")
        .act(read::priority),
    K::value("advert_int", "SECONDS", "time between adverts")
        .range("version 2: 1..255, whole; version 3: 0.01..40.95")
        .default("1")
        .act(read::advert_int),
    K::list("virtual_ipaddress", "ADDRESS[/LEN] [brd A] [dev IF] [scope S] [label L] …", "the addresses that move")
        .act(lists::virtual_ipaddress),
    K::list("virtual_ipaddress_excluded", "ADDRESS[/LEN] …", "addresses that move without being advertised")
        .act(lists::virtual_ipaddress_excluded),
    K::block("authentication", "the password of version 2", &[AUTHENTICATION]).act(read::authentication),
    K::flag("nopreempt", "a master of lower priority keeps the addresses").act(read::nopreempt),
    K::flag("preempt", "a higher priority takes over").act(read::preempt),
    K::value("preempt_delay", "SECONDS", "wait before taking over").range("0..1000").default("0").act(read::preempt_delay),
    K::value("unicast_src_ip", "ADDRESS", "source of unicast adverts").default("the interface's first address").act(read::unicast_src_ip),
    K::list("unicast_peer", "ADDRESS [min_ttl N] [max_ttl N] …", "send adverts to these, not to a group").act(lists::unicast_peer),
    K::value("mcast_src_ip", "ADDRESS", "source of multicast adverts").default("the interface's first address").act(read::mcast_src_ip),
    K::list("track_interface", "INTERFACE [weight N [reverse]] …", "interfaces that must be up").act(lists::track_interface),
    K::list("track_script", "NAME [weight N [reverse]] …", "scripts that must succeed").act(watched::track_script),
    K::values("version", "2|3", 1, 1, "VRRP version").default("vrrp_version; 3 for IPv6").act(read::version),
    K::value("vrf", "INTERFACE", "VRF for unicast without interface").default("none"),
    K::flag("native_ipv6", "the family is IPv6 (the addresses tell)").act(read::native_ipv6),
    K::switch("strict_mode", "nothing that the RFCs do not have").default("vrrp_strict").act(read::strict_mode),
    K::value("debug", "0..4", "without effect").default("0").act(read::debug),
    K::switch("v3_checksum_as_v2", "no pseudo header in IPv4 checksums of version 3")
        .default("what global_defs says")
        .since("2.2.9")
        .act(read::v3_checksum_as_v2),
    K::values("old_unicast_checksum", "[never]", 0, 1, "checksums as releases before 1.3.6 made them").default("found out from the peers"),
    // addressing
    K::value("mcast_dst_ip", "ADDRESS", "multicast group of this instance")
        .default("vrrp_mcast_group4 or vrrp_mcast_group6")
        .act(read::mcast_dst_ip),
    K::flag("track_src_ip", "losing the source address is a fault").act(read::track_src_ip),
    K::flag("unicast_fault_no_peer", "no peer is a fault").act(read::unicast_fault_no_peer),
    K::flag("check_unicast_src", "accept adverts of the peers only").act(read::check_unicast_src),
    K::value("unicast_ttl", "0..255", "TTL of unicast adverts").default("255; for IPv6 the kernel's").act(read::unicast_ttl),
    K::flag("no_virtual_ipaddress", "no address is meant").since("2.3.0").act(read::no_virtual_ipaddress),
    K::flag("promote_secondaries", "the kernel keeps secondary addresses").act(read::promote_secondaries),
    K::list("virtual_routes", "ROUTE …", "routes that move").act(tracked::virtual_routes),
    K::list("virtual_rules", "RULE …", "routing rules that move").act(tracked::virtual_rules),
    K::values("use_vmac", "[[name] IFNAME] [MAC]", 0, 6, "a virtual MAC address")
        .default("none; named vmac_prefix.VRID, MAC 00:00:5e:00:01:VRID (IPv6: 02)")
        .act(vmac::use_vmac),
    K::flag("use_vmac_addr", "VMACs for the addresses of other interfaces").act(vmac::use_vmac_addr),
    K::flag("vmac_xmit_base", "adverts from the interface, not the VMAC").act(vmac::vmac_xmit_base),
    K::values("use_ipvlan", "[[name] IFNAME] [ADDRESS] [bridge|private|vepa]", 0, 6, "an ipvlan interface").default("none"),
    K::flag("linkbeat_use_polling", "poll the link state").act(links::poll_own),
    K::flag("dont_track_primary", "the own interface going down is no fault").act(read::dont_track_primary),
    K::switch("skip_check_adv_addr", "do not compare the addresses in the master's adverts")
        .default("vrrp_skip_check_adv_addr")
        .act(read::skip_check_adv_addr),
    // tracking
    K::list("track_file", "NAME [weight N [reverse]] …", "files whose content counts").act(watched::track_file),
    K::list("track_process", "NAME [weight N [reverse]] …", "processes that must run").act(watched::track_process),
    K::list("track_bfd", "NAME [weight N [reverse]] …", "BFD sessions that must be up").act(watched::track_bfd),
    // behaviour
    K::value("down_timer_adverts", "1..100", "adverts missed before the master counts as down")
        .default("vrrp_down_timer_adverts; 3 in strict mode")
        .act(read::down_timer_adverts),
    K::values("timer_expired_backup", "[1..254]", 0, 1, "what a late timer does").default("off; 254 when written alone").since("2.3.2"),
    K::values("thread_timer_expired", "[1..254]", 0, 1, "what a late timer does").default("off; 254 when written alone").since("2.3.2"),
    K::switch("lower_prio_no_advert", "do not answer an advert of lower priority at once")
        .default("vrrp_lower_prio_no_advert; on in strict mode")
        .act(read::lower_prio_no_advert),
    K::switch("higher_prio_send_advert", "one more advert before yielding")
        .default("vrrp_higher_prio_send_advert")
        .act(read::higher_prio_send_advert),
    K::switch("owner_ignore_adverts", "an owner listens to nobody")
        .default("vrrp_owner_ignore_adverts; on in strict mode")
        .since("2.3.2")
        .act(read::owner_ignore_adverts),
    K::flag("accept", "answer on the virtual addresses").act(read::accept),
    K::flag("no_accept", "do not answer on the virtual addresses").act(read::no_accept),
    K::value("garp_master_delay", "SECONDS", "second batch of gratuitous ARP after becoming master")
        .range("0..4294")
        .default("vrrp_garp_master_delay")
        .act(read::garp_master_delay),
    K::value("garp_master_repeat", "COUNT", "gratuitous ARPs a batch")
        .range("1..4294967295")
        .default("vrrp_garp_master_repeat")
        .act(read::garp_master_repeat),
    K::value("garp_master_refresh", "SECONDS", "period of gratuitous ARP while master")
        .range("0..4294")
        .default("vrrp_garp_master_refresh")
        .act(read::garp_master_refresh),
    K::value("garp_master_refresh_repeat", "COUNT", "gratuitous ARPs a refresh")
        .range("1..4294967295")
        .default("vrrp_garp_master_refresh_repeat")
        .act(read::garp_master_refresh_repeat),
    K::value("garp_lower_prio_delay", "SECONDS", "second batch after an advert of lower priority")
        .range("0..4294")
        .default("vrrp_garp_lower_prio_delay")
        .act(read::garp_lower_prio_delay),
    K::value("garp_lower_prio_repeat", "COUNT", "gratuitous ARPs after an advert of lower priority")
        .range("0..4294967295")
        .default("vrrp_garp_lower_prio_repeat")
        .act(read::garp_lower_prio_repeat),
    K::values("garp_extra_if", "[all] SECONDS", 1, 2, "gratuitous ARP on other interfaces")
        .range("0..86400")
        .default("vrrp_garp_extra_if")
        .lenient()
        .act(read::garp_extra_if),
    K::values("vmac_garp_intvl", "[all] SECONDS", 1, 2, "the old name of garp_extra_if")
        .renamed("garp_extra_if")
        .lenient()
        .act(read::garp_extra_if),
    K::value("kernel_rx_buf_size", "BYTES", "receive buffer of its sockets")
        .range("0..4294967295")
        .default("vrrp_rx_bufs_policy")
        .lenient()
        .act(read::kernel_rx_buf_size),
    K::value("lvs_sync_daemon_interface", "INTERFACE", "IPVS connection synchronisation (deprecated: lvs_sync_daemon)")
        .default("none")
        .act(lvs::sync_interface),
    // notification
    K::values("notify_master", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it becomes master").default("none").act(notify::notify_master),
    K::values("notify_backup", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it becomes backup").default("none").act(notify::notify_backup),
    K::values("notify_fault", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it is unfit").default("none").act(notify::notify_fault),
    K::values("notify_stop", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it stops").default("none").act(notify::notify_stop),
    K::values("notify", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run at every change").default("none").act(notify::notify),
    K::values("notify_deleted", "[SCRIPT [USER [[:]GROUP]]]", 0, 255, "run when a reload removes it")
        .default("notify_fault is run instead")
        .act(notify::notify_deleted),
    K::values("notify_master_rx_lower_pri", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when a master sees a lower priority")
        .default("none")
        .act(notify::notify_lower_priority),
    K::switch("smtp_alert", "mail about changes").default("smtp_alert_vrrp").act(notify::smtp_alert),
    K::switch("notify_priority_changes", "tell the FIFO about priorities")
        .default("the sync group's, else vrrp_notify_priority_changes")
        .act(notify::notify_priority_changes),
    K::block("auth_hmac", "authentication by HMAC", &[AUTH_HMAC]).since("2.4.0"),
];

/// Inside `authentication`.
const AUTHENTICATION: &[Row] = &[
    K::value("auth_type", "PASS|AH", "simple password, or IPsec header").default("none").act(read::auth_type),
    K::value("auth_pass", "PASSWORD", "up to 8 characters").range("1..8 bytes").default("required").act(read::auth_pass),
];

/// Inside `auth_hmac`.
const AUTH_HMAC: &[Row] = &[
    K::values("key", "ID VALUE", 2, 2, "a key")
        .range("ID 1..255; VALUE 32..64 bytes: text, hex:… or file:PATH")
        .default("required")
        .since("2.4.0"),
    K::value("active_key", "ID", "the key to send with").range("1..255").default("required").since("2.4.0"),
    K::value("time_window", "SECONDS", "seconds an advert is valid")
        .range("1..300")
        .default("3 adverts, at least 5, at most 300")
        .since("2.4.0"),
    K::value("anti_replay", "time|monotonic", "how replays are seen").default("time").since("2.4.0"),
    K::value("mode", "enforce|permissive|receive-only", "what an advert without it means").default("enforce").since("2.4.0"),
];

/// Inside `vrrp_sync_group`.
pub(super) const SYNC_GROUP: &[Row] = &[
    K::list("group", "INSTANCE …", "the members").act(group::members),
    K::list("track_interface", "INTERFACE [weight N [reverse]] …", "interfaces that must be up").act(lists::track_interface),
    K::list("track_script", "NAME [weight N [reverse]] …", "scripts that must succeed").act(watched::track_script),
    K::list("track_file", "NAME [weight N [reverse]] …", "files whose content counts").act(watched::track_file),
    K::list("track_process", "NAME [weight N [reverse]] …", "processes that must run").act(watched::track_process),
    K::list("track_bfd", "NAME [weight N [reverse]] …", "BFD sessions that must be up").act(watched::track_bfd),
    K::values("notify_master", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it becomes master").default("none").act(notify::notify_master),
    K::values("notify_backup", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it becomes backup").default("none").act(notify::notify_backup),
    K::values("notify_fault", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it is unfit").default("none").act(notify::notify_fault),
    K::values("notify_stop", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run when it stops").default("none").act(notify::notify_stop),
    K::values("notify", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run at every change").default("none").act(notify::notify),
    K::switch("smtp_alert", "mail about changes").default("smtp_alert_vrrp").act(notify::smtp_alert),
    K::switch("notify_priority_changes", "tell the FIFO about priorities of members")
        .default("vrrp_notify_priority_changes")
        .act(notify::notify_priority_changes),
    K::flag("sync_group_tracking_weight", "members may have weighted trackers").act(group::tracking_weight),
    K::flag("global_tracking", "the old name of sync_group_tracking_weight")
        .renamed("sync_group_tracking_weight")
        .act(group::global_tracking),
];
