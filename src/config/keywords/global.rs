//! `global_defs`.

use super::K;
use crate::config::read::{Row, daemon, global as read, lvs, mail, notify, vmac};

/// Inside `global_defs`.
pub(super) const GLOBAL: &[Row] = &[
    // processes and files
    K::flag("process_names", "name processes after what they do").act(daemon::process_names),
    K::value("process_name", "NAME", "name of the supervisor's process").default("keepalived").act(daemon::process_name),
    K::value("vrrp_process_name", "NAME", "name of the VRRP process")
        .default("keepalived; keepalived_vrrp with process_names")
        .act(daemon::vrrp_process_name),
    K::value("checker_process_name", "NAME", "name of the checker process")
        .default("keepalived; keepalived_ipvs with process_names")
        .act(daemon::checker_process_name),
    K::value("lvs_process_name", "NAME", "the old name of checker_process_name")
        .renamed("checker_process_name")
        .act(daemon::checker_process_name),
    K::value("bfd_process_name", "NAME", "name of the BFD process")
        .default("keepalived; keepalived_bfd with process_names")
        .act(daemon::bfd_process_name),
    K::switch("use_symlink_paths", "keep symbolic links in script paths").default("off").since("2.3.2").act(daemon::use_symlink_paths),
    K::switch("set_supplementary_groups", "scripts get the groups of their user")
        .default("off")
        .since("2.3.2")
        .act(daemon::set_supplementary_groups),
    K::value("tmp_config_directory", "DIRECTORY", "where a copy of the configuration is kept")
        .once()
        .default("memory")
        .lenient()
        .act(read::nothing_to_do),
    K::value("config_save_dir", "DIRECTORY", "where copies of configurations are saved").default("none").act(daemon::config_save_dir),
    K::values("umask", "0177 | IRUSR|IWGRP|…", 1, 255, "file mode creation mask").range("0..0777").default("0177").act(daemon::umask),
    K::value("random_seed", "NUMBER", "seed of ${_RANDOM}").range("0..4294967295").default("the time").act(daemon::random_seed),
    K::values("include_check", "[[+-]read|match|wildcard_match|brace_match …]", 0, 255, "what makes an include fail")
        .default("no check; all of them when written alone")
        .act(daemon::include_check),
    K::values("reload_check_config", "[LOGFILE]", 0, 1, "check a configuration before a reload")
        .default("/dev/null")
        .act(daemon::reload_check_config),
    K::value("reload_time_file", "PATH", "file with the time of a planned reload").default("none").lenient().act(daemon::reload_time_file),
    K::flag("reload_repeat", "a planned reload repeats").act(daemon::reload_repeat),
    K::values("reload_file", "[PATH]", 0, 1, "a file that is there while a reload is under way")
        .default("the pid file with .reload for .pid")
        .act(daemon::reload_file),
    K::switch("data_use_instance", "instance names in the names of dumps").default("off").act(daemon::data_use_instance),
    K::value("state_dump_file", "PATH", "where SIGUSR1 writes")
        .default("/tmp/keepalived.data")
        .lenient()
        .since("2.3.0")
        .act(daemon::state_dump_file),
    K::value("stats_dump_file", "PATH", "where SIGUSR2 writes")
        .default("/tmp/keepalived.stats")
        .lenient()
        .since("2.3.0")
        .act(daemon::stats_dump_file),
    K::value("json_dump_file", "PATH", "where the JSON signal writes")
        .default("/tmp/keepalived.json")
        .lenient()
        .since("2.3.0")
        .act(daemon::json_dump_file),
    K::value("json_version", "1|2", "form of the JSON").default("1").lenient().since("2.3.0"),
    K::value("iproute_usr_dir", "DIRECTORY", "where iproute2's names are").default("/usr/share/iproute2").lenient().since("2.3.2"),
    K::value("iproute_etc_dir", "DIRECTORY", "where iproute2's names are").default("/etc/iproute2").lenient().since("2.3.2"),
    // mail
    K::list("notification_email", "ADDRESS …", "who gets mail").act(mail::to),
    K::value("notification_email_from", "ADDRESS", "who sends mail").default("the user at the host").lenient().act(mail::from),
    K::values("smtp_server", "HOST [PORT]", 1, 2, "the mail server")
        .range("PORT 1..65535")
        .default("none: no mail; port 25 (587 with smtp_tls starttls, 465 with smtp_tls tls)")
        .act(mail::server),
    K::values("smtp_tls", "[off|starttls|tls]", 0, 1, "encrypt mail, and verify who the server is; alone it means starttls")
        .default("off")
        .lenient()
        .since("keepalived-rs")
        .act(mail::tls),
    K::value("smtp_tls_ca", "FILE", "PEM file of the authorities that may sign the mail server's certificate")
        .default("the system's authorities")
        .lenient()
        .since("keepalived-rs")
        .act(mail::authority),
    K::value("smtp_user", "NAME", "log in at the mail server (AUTH PLAIN or LOGIN), only with smtp_tls")
        .default("none: no login")
        .lenient()
        .since("keepalived-rs")
        .act(mail::user),
    K::value("smtp_password_file", "FILE", "file whose first line is the password; not readable for everybody")
        .default("none")
        .lenient()
        .since("keepalived-rs")
        .act(mail::password_file),
    K::values("smtp_helo_name", "[NAME]", 0, 1, "what we call ourselves").default("the host's name").act(mail::helo),
    K::value("smtp_connect_timeout", "SECONDS", "how long a connection may take").range("1..4294").default("30").act(mail::timeout),
    K::switch("smtp_alert", "mail about everything").default("off, but on for real servers").act(notify::global_smtp_alert),
    K::switch("smtp_alert_vrrp", "mail about instances").default("what smtp_alert says").act(notify::global_smtp_alert_vrrp),
    K::switch("smtp_alert_checker", "mail about real servers").default("what smtp_alert says").act(notify::global_smtp_alert_checker),
    K::flag("no_email_faults", "no mail about faults").act(notify::no_email_faults),
    K::switch("no_checker_emails", "mail only when a real server changes").default("off").act(notify::no_checker_emails),
    K::switch("checker_log_all_failures", "log every failed check").default("off").act(lvs::log_all),
    K::value("router_id", "NAME", "name of this host in mail and SNMP").default("the host's name").lenient().act(daemon::router_id),
    // scripts and notification
    K::values("startup_script", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run before everything").default("none").lenient().act(notify::startup),
    K::value("startup_script_timeout", "SECONDS", "seconds it may take")
        .range("1..1000")
        .default("10")
        .lenient()
        .act(notify::startup_timeout),
    K::values("shutdown_script", "SCRIPT [USER [[:]GROUP]]", 1, 255, "run after everything")
        .default("none")
        .lenient()
        .act(notify::shutdown),
    K::value("shutdown_script_timeout", "SECONDS", "seconds it may take")
        .range("1..1000")
        .default("10")
        .lenient()
        .act(notify::shutdown_timeout),
    K::values("script_user", "USER [GROUP]", 1, 2, "who runs scripts")
        .default("keepalived_script when there is such a user, else root")
        .lenient()
        .act(daemon::script_user),
    K::flag("enable_script_security", "run no script as root that others can write").act(daemon::enable_script_security),
    K::values("notify_fifo", "NAME [USER [GROUP]]", 1, 3, "pipe that hears of every change")
        .default("none")
        .lenient()
        .act(notify::fifo_all),
    K::values("notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", 1, 255, "reader of that pipe")
        .default("none")
        .lenient()
        .act(notify::fifo_all_reader),
    K::values("vrrp_notify_fifo", "NAME [USER [GROUP]]", 1, 3, "pipe that hears of instances")
        .default("none")
        .lenient()
        .act(notify::fifo_vrrp),
    K::values("vrrp_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", 1, 255, "reader of that pipe")
        .default("none")
        .lenient()
        .act(notify::fifo_vrrp_reader),
    K::values("lvs_notify_fifo", "NAME [USER [GROUP]]", 1, 3, "pipe that hears of servers").default("none").lenient().act(notify::fifo_lvs),
    K::values("lvs_notify_fifo_script", "SCRIPT [USER [[:]GROUP]]", 1, 255, "reader of that pipe")
        .default("none")
        .lenient()
        .act(notify::fifo_lvs_reader),
    K::switch("vrrp_notify_priority_changes", "tell the pipe about priorities").default("off").act(notify::global_priority_changes),
    K::flag("fifo_write_vrrp_states_on_reload", "tell the pipe every state after a reload").act(notify::states_on_reload),
    K::switch("rs_init_notifies", "notify about real servers at start").default("off").act(lvs::init_notifies),
    // defaults of instances
    K::values("dynamic_interfaces", "[allow_if_changes]", 0, 1, "interfaces may appear later").default("off").act(read::dynamic_interfaces),
    K::value("default_interface", "INTERFACE", "interface of static addresses").default("eth0").lenient().act(daemon::default_interface),
    K::flag("disable_local_igmp", "no IGMP for the group").act(read::disable_local_igmp),
    K::flag("v3_checksum_as_v2", "no pseudo header in IPv4 checksums of version 3").since("2.2.9").act(read::v3_checksum_as_v2),
    K::value("vrrp_mcast_group4", "ADDRESS", "IPv4 multicast group").default("224.0.0.18").act(read::vrrp_mcast_group4),
    K::value("vrrp_mcast_group6", "ADDRESS", "IPv6 multicast group").default("ff02::12").act(read::vrrp_mcast_group6),
    K::value("vrrp_garp_master_delay", "SECONDS", "second batch of gratuitous ARP after becoming master")
        .range("0..4294")
        .default("5")
        .act(read::garp_delay),
    K::value("vrrp_garp_master_repeat", "COUNT", "gratuitous ARPs a batch").range("1..4294967295").default("5").act(read::garp_repeat),
    K::value("vrrp_garp_master_refresh", "SECONDS", "period of gratuitous ARP while master")
        .range("0..4294")
        .default("0: none")
        .act(read::garp_refresh),
    K::value("vrrp_garp_master_refresh_repeat", "COUNT", "gratuitous ARPs a refresh")
        .range("1..4294967295")
        .default("1")
        .act(read::garp_refresh_repeat),
    K::value("vrrp_garp_lower_prio_delay", "SECONDS", "second batch after an advert of lower priority")
        .range("0..4294")
        .default("vrrp_garp_master_delay")
        .act(read::garp_lower_delay),
    K::value("vrrp_garp_lower_prio_repeat", "COUNT", "gratuitous ARPs after an advert of lower priority")
        .range("0..2147483647")
        .default("vrrp_garp_master_repeat")
        .act(read::garp_lower_repeat),
    K::value("vrrp_garp_interval", "SECONDS", "least time between gratuitous ARPs")
        .range("0.000001..4294")
        .default("no limit")
        .act(read::garp_interval),
    K::value("vrrp_gna_interval", "SECONDS", "least time between neighbour advertisements")
        .range("0.000001..4294")
        .default("no limit")
        .act(read::gna_interval),
    K::switch("vrrp_min_garp", "one gratuitous ARP and no more").default("off").act(read::min_garp),
    K::values("vrrp_garp_extra_if", "[all] SECONDS", 1, 2, "gratuitous ARP on other interfaces")
        .range("1..86400")
        .default("none")
        .lenient()
        .act(read::garp_extra_if),
    K::values("vrrp_vmac_garp_intvl", "[all] SECONDS", 1, 2, "the old name of vrrp_garp_extra_if")
        .renamed("vrrp_garp_extra_if")
        .lenient()
        .act(read::garp_extra_if),
    K::value("vrrp_down_timer_adverts", "1..100", "adverts missed before the master counts as down")
        .default("3")
        .act(read::down_timer_adverts),
    K::switch("vrrp_lower_prio_no_advert", "do not answer an advert of lower priority at once")
        .default("off; on in strict mode")
        .act(read::lower_prio_no_advert),
    K::switch("vrrp_higher_prio_send_advert", "one more advert before yielding").default("off").act(read::higher_prio_send_advert),
    K::switch("vrrp_owner_ignore_adverts", "an owner listens to nobody").default("off").since("2.3.2").act(read::owner_ignore_adverts),
    K::value("vrrp_version", "2|3", "VRRP version of IPv4 instances").default("2").act(read::version),
    K::flag("vrrp_check_unicast_src", "accept adverts of the peers only").act(read::check_unicast_src),
    K::switch("vrrp_skip_check_adv_addr", "do not compare the addresses in the master's adverts")
        .default("off")
        .act(read::skip_check_adv_addr),
    K::switch("vrrp_strict", "nothing that the RFCs do not have").default("off").act(read::strict),
    K::value("vrrp_startup_delay", "SECONDS", "wait before the instances start")
        .range("0.001..4294.967295")
        .default("0")
        .act(read::startup_delay),
    K::value("vrrp_delay_after_boot", "SECONDS", "wait until the host is up so long")
        .range("0.001..4294.967295")
        .default("0")
        .lenient()
        .since("2.3.2"),
    K::flag("log_unknown_vrids", "log adverts of unknown virtual routers").act(read::log_unknown_vrids),
    K::value("vmac_prefix", "PREFIX", "names of VMAC interfaces").once().default("vrrp").act(vmac::vmac_prefix),
    K::value("vmac_addr_prefix", "PREFIX", "names of VMAC interfaces of addresses")
        .once()
        .default("vmac_prefix")
        .act(vmac::vmac_addr_prefix),
    K::value("vrrp_rx_bufs_policy", "MTU|ADVERT|BYTES", "size of receive buffers")
        .range("0..4294967295")
        .default("the system's")
        .lenient()
        .act(read::rx_bufs_policy),
    K::value("vrrp_rx_bufs_multiplier", "COUNT", "how often an MTU or advert fits the receive buffers")
        .range("1..4294967295")
        .default("3")
        .lenient()
        .act(read::rx_bufs_multiplier),
    // firewall
    K::values("vrrp_iptables", "[IN [OUT]]", 0, 2, "iptables chains (nftables is used)").default("INPUT OUTPUT").act(read::vrrp_iptables),
    K::values("vrrp_ipsets", "[NAME …]", 0, 6, "ipsets (nftables is used)").default("keepalived …").act(read::vrrp_iptables),
    K::values("nftables", "[TABLE]", 0, 1, "nftables table").once().default("keepalived").act(read::nftables),
    K::value("nftables_priority", "NUMBER", "priority of the chains")
        .range("-2147483648..2147483647")
        .default("-1")
        .act(read::nftables_priority),
    K::flag("nftables_ifindex", "interface by index, not by name").act(read::nothing_to_do),
    K::flag("nftables_counters", "count in the rules").act(read::nftables_counters),
    K::values("nftables_ipvs", "[TABLE]", 0, 1, "nftables table of IPVS").once().default("keepalived_ipvs").act(lvs::nftables_ipvs),
    K::value("nftables_ipvs_priority", "NUMBER", "priority of its chains")
        .range("-2147483648..2147483647")
        .default("-1")
        .act(lvs::nftables_ipvs_priority),
    K::value("nftables_ipvs_start_fwmark", "NUMBER", "first firewall mark")
        .range("1..4294967295")
        .default("1000")
        .act(lvs::nftables_ipvs_start_fwmark),
    // scheduling
    K::value("vrrp_priority", "-20..19", "nice value of the VRRP process").default("0").lenient().act(daemon::nice),
    K::value("checker_priority", "-20..19", "nice value of the checker process").default("0").lenient().act(daemon::nice),
    K::value("bfd_priority", "-20..19", "nice value of the BFD process").default("0").lenient().act(daemon::nice),
    K::flag("vrrp_no_swap", "keep the VRRP process in memory").act(daemon::no_swap),
    K::flag("checker_no_swap", "keep the checker process in memory").act(daemon::no_swap),
    K::flag("bfd_no_swap", "keep the BFD process in memory").act(daemon::no_swap),
    K::value("vrrp_rt_priority", "1..99", "real-time priority of the VRRP process").default("none").lenient().act(daemon::rt_priority),
    K::value("checker_rt_priority", "1..99", "real-time priority of the checker process")
        .default("none")
        .lenient()
        .act(daemon::rt_priority),
    K::value("bfd_rt_priority", "1..99", "real-time priority of the BFD process").default("none").lenient().act(daemon::rt_priority),
    K::values("vrrp_cpu_affinity", "CPU …", 1, 255, "processors of the VRRP process")
        .range("0..8191")
        .default("any")
        .lenient()
        .act(daemon::cpu_affinity),
    K::values("checker_cpu_affinity", "CPU …", 1, 255, "processors of the checker process")
        .range("0..8191")
        .default("any")
        .lenient()
        .act(daemon::cpu_affinity),
    K::values("bfd_cpu_affinity", "CPU …", 1, 255, "processors of the BFD process")
        .range("0..8191")
        .default("any")
        .lenient()
        .act(daemon::cpu_affinity),
    K::value("vrrp_rlimit_rttime", "MICROSECONDS", "longest real-time run of the VRRP process")
        .range("2..4294967295")
        .default("10000")
        .act(daemon::rt_limit),
    K::value("checker_rlimit_rttime", "MICROSECONDS", "longest real-time run of the checker process")
        .range("2..4294967295")
        .default("10000")
        .act(daemon::rt_limit),
    K::value("bfd_rlimit_rttime", "MICROSECONDS", "longest real-time run of the BFD process")
        .range("2..4294967295")
        .default("10000")
        .act(daemon::rt_limit),
    K::value("vrrp_rlimit_rtime", "MICROSECONDS", "the old name of vrrp_rlimit_rttime").renamed("vrrp_rlimit_rttime").act(daemon::rt_limit),
    K::value("checker_rlimit_rtime", "MICROSECONDS", "the old name of checker_rlimit_rttime")
        .renamed("checker_rlimit_rttime")
        .act(daemon::rt_limit),
    K::value("bfd_rlimit_rtime", "MICROSECONDS", "the old name of bfd_rlimit_rttime").renamed("bfd_rlimit_rttime").act(daemon::rt_limit),
    K::values("max_auto_priority", "[-1..99]", 0, 1, "real-time priority to take when late").default("0: never; 99 when written alone"),
    K::value("min_auto_priority_delay", "MICROSECONDS", "how late is late").range("1..10000000").default("1000000").lenient(),
    K::value("vrrp_netlink_cmd_rcv_bufs", "BYTES", "netlink receive buffer").range("1..2147483647").default("the system's").lenient(),
    K::switch("vrrp_netlink_cmd_rcv_bufs_force", "beyond the system's limit").default("off").act(read::switch_alone),
    K::value("vrrp_netlink_monitor_rcv_bufs", "BYTES", "netlink receive buffer of the monitor")
        .range("1..2147483647")
        .default("the system's")
        .lenient()
        .act(read::monitor_buffer),
    K::switch("vrrp_netlink_monitor_rcv_bufs_force", "beyond the system's limit").default("off").act(read::switch_alone),
    K::value("lvs_netlink_cmd_rcv_bufs", "BYTES", "netlink receive buffer").range("1..2147483647").default("the system's").lenient(),
    K::switch("lvs_netlink_cmd_rcv_bufs_force", "beyond the system's limit").default("off"),
    K::value("lvs_netlink_monitor_rcv_bufs", "BYTES", "netlink receive buffer of the monitor")
        .range("1..2147483647")
        .default("the system's")
        .lenient(),
    K::switch("lvs_netlink_monitor_rcv_bufs_force", "beyond the system's limit").default("off"),
    K::value("process_monitor_rcv_bufs", "BYTES", "receive buffer of process events")
        .range("1..2147483647")
        .default("the system's")
        .lenient()
        .act(daemon::process_buffer),
    K::switch("process_monitor_rcv_bufs_force", "beyond the system's limit").default("off").act(read::nothing_to_do),
    // IPVS
    K::values("lvs_timeouts", "[tcp N] [tcpfin N] [udp N]", 1, 6, "IPVS timeouts")
        .range("0..2678400")
        .default("the kernel's: tcp 900, tcpfin 120, udp 300")
        .lenient()
        .act(lvs::timeouts),
    K::flag("lvs_flush", "empty the IPVS table at start").act(lvs::flush),
    K::values("lvs_flush_on_stop", "[VS]", 0, 1, "empty the IPVS table at stop").default("off").act(lvs::flush_on_stop),
    K::values("lvs_flush_onstop", "[VS]", 0, 1, "the old name of lvs_flush_on_stop").renamed("lvs_flush_on_stop").act(lvs::flush_on_stop),
    K::values("lvs_sync_daemon", "IF [[inst] VI] [id N] [maxlen N] [port N] [ttl N] [group A]", 1, 13, "IPVS connection synchronisation")
        .range("id 0..255, maxlen 1..65507, port 1..65535, ttl 1..255")
        .default("none; id the vrid of VI, port 8848, group 224.0.0.81")
        .lenient()
        .act(lvs::sync::sync_daemon),
    // SNMP and D-Bus
    K::value("snmp_socket", "ADDRESS", "agentx socket").once().default("unix:/var/agentx/master").lenient(),
    K::flag("enable_traps", "SNMP traps"),
    K::flag("enable_snmp_vrrp", "SNMP of instances"),
    K::flag("enable_snmp_keepalived", "the old name of enable_snmp_vrrp").renamed("enable_snmp_vrrp"),
    K::flag("enable_snmp_checker", "SNMP of servers"),
    K::flag("enable_snmp_rfc", "SNMP of RFC 2787 and 6527"),
    K::flag("enable_snmp_rfcv2", "SNMP of RFC 2787"),
    K::flag("enable_snmp_rfcv3", "SNMP of RFC 6527"),
    K::value("snmp_vs_stats_update_interval", "SECONDS", "age of statistics").range("0.001..30").default("5").lenient().since("2.3.0"),
    K::value("snmp_rs_stats_update_interval", "SECONDS", "age of statistics")
        .range("0.001..30")
        .default("snmp_vs_stats_update_interval")
        .lenient()
        .since("2.3.0"),
    K::flag("enable_dbus", "D-Bus service"),
    K::value("dbus_service_name", "NAME", "D-Bus service name").default("org.keepalived.Vrrp1").lenient(),
    K::value("dbus_no_interface_name", "NAME", "D-Bus name for no interface").default("none").lenient().since("2.3.0"),
];
