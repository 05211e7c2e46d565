//! The validated configuration: right by type, defaults filled in.

use crate::lvs::settings::Balancer;
use crate::types::{Command, Firewall, ScriptUser, Version};
use crate::vrrp::route::Route;
use crate::vrrp::rule::Rule;
use crate::vrrp::settings::{Announce, GroupSettings, RxBuffer, Settings, TrackGroup, VirtualAddress};
use crate::vrrp::trackers::file::FileCheck;
use crate::vrrp::trackers::link::LinkSettings;
use crate::vrrp::trackers::process::ProcessCheck;
use crate::vrrp::trackers::script::ScriptCheck;
use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything that a configuration says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// `global_defs` and the root keywords.
    pub global: Global,
    /// `vrrp_instance` blocks, in order. Names are unique, keys are unique.
    pub instances: Vec<Arc<Settings>>,
    /// `virtual_server` blocks and what else the checker child is told.
    pub lvs: Balancer,
    /// `vrrp_sync_group` blocks with at least one member.
    pub groups: Vec<Arc<GroupSettings>>,
    /// Tracked objects that something tracks.
    pub watched: Watched,
    /// `bfd_instance` blocks. Names are unique, and neighbours.
    #[serde(default)]
    pub bfd: Vec<Arc<crate::bfd::settings::Settings>>,
}

/// `vrrp_script`, `track_file` and `vrrp_track_process` blocks; names are unique within a kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Watched {
    /// `vrrp_script`.
    pub scripts: Vec<Arc<ScriptCheck>>,
    /// `track_file`.
    pub files: Vec<Arc<FileCheck>>,
    /// `vrrp_track_process`.
    pub processes: Vec<Arc<ProcessCheck>>,
}

/// What the VRRP child needs: its global settings and instances.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct VrrpConfig {
    /// Settings of the whole child.
    pub global: VrrpGlobal,
    /// Instances.
    pub instances: Vec<Arc<Settings>>,
    /// Sync groups.
    pub groups: Vec<Arc<GroupSettings>>,
    /// Tracked objects.
    pub watched: Watched,
}

/// Settings of the VRRP child that are not of one instance.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct VrrpGlobal {
    /// `vrrp_startup_delay`, `vrrp_delay_after_boot`: the larger remaining one.
    pub startup_delay: Duration,
    /// Shuts addresses of a non-accepting master (`vrrp_strict`, `no_accept`): `nftables [TABLE]`, `nftables_priority`, `nftables_counters`, `nftables_ifindex`.
    pub firewall: Firewall,
    /// `dynamic_interfaces`.
    pub dynamic_interfaces: bool,
    /// `disable_local_igmp`.
    pub disable_local_igmp: bool,
    /// `vrrp_rx_bufs_policy`: what `kernel_rx_buf_size` is by default; the multiplier is still 1.
    pub rx_buffer: Option<RxBuffer>,
    /// `vrrp_rx_bufs_multiplier` (3).
    #[serde(default)]
    pub rx_multiplier: Option<u32>,
    /// `vrrp_netlink_monitor_rcv_bufs`, bytes.
    pub monitor_buffer: Option<u32>,
    /// `static_ipaddress`: on this host while the daemon runs, whoever is master; each with its `dev`.
    #[serde(default)]
    pub static_addresses: Vec<VirtualAddress>,
    /// `static_routes`.
    #[serde(default)]
    pub static_routes: Vec<Route>,
    /// `static_rules`.
    #[serde(default)]
    pub static_rules: Vec<Rule>,
    /// `track_group` blocks that something names.
    #[serde(default)]
    pub track_groups: Vec<TrackGroup>,
    /// `interface_up_down_delays`, `linkbeat_*`.
    #[serde(default)]
    pub links: LinkSettings,
}

impl VrrpGlobal {
    /// Whether there is something to keep on this host, whoever is master.
    pub const fn keeps_something(&self) -> bool {
        !self.static_addresses.is_empty() || !self.static_routes.is_empty() || !self.static_rules.is_empty()
    }
}

/// `net_namespace_ipvs`: where the balancer's table is, when that is not where the daemon runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IpvsNamespace {
    /// The network namespace in which the daemon was started, before it joined another one.
    Default,
    /// One that `ip netns` made.
    Named(String),
}

/// `global_defs` and the root keywords, defaults filled in.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Global {
    /// `router_id`; the host's name when not written.
    pub router_id: Option<String>,
    /// `default_interface` (eth0).
    pub default_interface: String,
    /// `net_namespace`.
    pub net_namespace: Option<String>,
    /// `net_namespace_ipvs`: nothing is where the daemon runs.
    #[serde(default)]
    pub net_namespace_ipvs: Option<IpvsNamespace>,
    /// `instance` (the daemon's name, not a VRRP instance's).
    pub instance: Option<String>,
    /// `use_pid_dir`.
    pub use_pid_dir: bool,
    /// `child_wait_time` (5 s).
    pub child_wait_time: Duration,
    /// `process_names`.
    pub process_names: bool,
    /// `process_name`.
    pub process_name: Option<String>,
    /// `vrrp_process_name`.
    pub vrrp_process_name: Option<String>,
    /// `checker_process_name`, `lvs_process_name`.
    pub checker_process_name: Option<String>,
    /// `bfd_process_name`.
    #[serde(default)]
    pub bfd_process_name: Option<String>,
    /// `umask`, e.g. 0o177.
    pub umask: Option<u32>,
    /// `script_user USER [GROUP]`.
    pub script_user: Option<(String, Option<String>)>,
    /// `enable_script_security`.
    pub enable_script_security: bool,
    /// `reload_check_config [LOGFILE]` was written (a reload is always checked here).
    pub reload_check_config: Option<String>,
    /// `reload_time_file`.
    pub reload_time_file: Option<String>,
    /// `reload_repeat`.
    pub reload_repeat: bool,
    /// `config_save_dir`: a copy of every configuration that is read goes there.
    #[serde(default)]
    pub config_save_dir: Option<String>,
    /// `reload_file [PATH]`; without a path it is beside the pid file.
    pub reload_file: Option<Option<String>>,
    /// `data_use_instance`.
    pub data_use_instance: bool,
    /// `state_dump_file`.
    pub state_dump_file: Option<String>,
    /// `stats_dump_file`.
    pub stats_dump_file: Option<String>,
    /// `json_dump_file`.
    pub json_dump_file: Option<String>,
    /// `notification_email`, `_from`, `smtp_*`.
    pub mail: Mail,
    /// FIFOs.
    pub fifos: Fifos,
    /// `startup_script`, `startup_script_timeout`.
    pub startup: OnceScript,
    /// `shutdown_script`, `shutdown_script_timeout`.
    pub shutdown: OnceScript,
    /// What the VRRP child gets.
    pub vrrp: VrrpGlobal,
    /// What an instance is that says nothing else; already filled in everywhere, here for those who ask.
    pub instance_defaults: InstanceDefaults,
    /// `vrrp_priority` and its like.
    pub vrrp_process: Scheduling,
    /// `checker_priority` and its like.
    pub checker_process: Scheduling,
    /// `bfd_priority` and its like.
    #[serde(default)]
    pub bfd_process: Scheduling,
    /// `process_monitor_rcv_bufs`, bytes.
    #[serde(default)]
    pub process_buffer: Option<u32>,
    /// `use_symlink_paths`: scripts are run by the path that is written.
    #[serde(default)]
    pub use_symlink_paths: bool,
    /// `set_supplementary_groups`: scripts get all groups of their user.
    #[serde(default)]
    pub set_supplementary_groups: bool,
}

/// How the kernel treats a child: the words that begin with `vrrp_`, `checker_` or `bfd_`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Scheduling {
    /// `priority` (nice value), -20..=19.
    pub nice: Option<i8>,
    /// `rt_priority`, 1..=99.
    pub rt_priority: Option<u8>,
    /// `rlimit_rttime`, microseconds.
    pub rlimit_rttime: Option<u32>,
    /// `no_swap`.
    pub no_swap: bool,
    /// `cpu_affinity`.
    pub cpu_affinity: Vec<u16>,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            router_id: None,
            default_interface: "eth0".to_owned(),
            net_namespace: None,
            net_namespace_ipvs: None,
            instance: None,
            use_pid_dir: false,
            child_wait_time: Duration::from_secs(5),
            process_names: false,
            process_name: None,
            vrrp_process_name: None,
            checker_process_name: None,
            bfd_process_name: None,
            umask: None,
            script_user: None,
            enable_script_security: false,
            reload_check_config: None,
            reload_time_file: None,
            reload_repeat: false,
            config_save_dir: None,
            reload_file: None,
            data_use_instance: false,
            state_dump_file: None,
            stats_dump_file: None,
            json_dump_file: None,
            mail: Mail::default(),
            fifos: Fifos::default(),
            startup: OnceScript::default(),
            shutdown: OnceScript::default(),
            vrrp: VrrpGlobal::default(),
            instance_defaults: InstanceDefaults::default(),
            vrrp_process: Scheduling::default(),
            checker_process: Scheduling::default(),
            bfd_process: Scheduling::default(),
            process_buffer: None,
            use_symlink_paths: false,
            set_supplementary_groups: false,
        }
    }
}

/// `global_defs` settings that hold for every instance that says nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceDefaults {
    /// `vrrp_version`.
    pub version: Version,
    /// `vrrp_mcast_group4`.
    pub group4: Ipv4Addr,
    /// `vrrp_mcast_group6`.
    pub group6: Ipv6Addr,
    /// `vrrp_garp_*`, `vrrp_gna_interval`.
    pub announce: Announce,
    /// `vrrp_down_timer_adverts`.
    pub down_timer_adverts: u8,
    /// `vrrp_lower_prio_no_advert`.
    pub lower_prio_no_advert: bool,
    /// `vrrp_higher_prio_send_advert`.
    pub higher_prio_send_advert: bool,
    /// `vrrp_check_unicast_src`.
    pub check_unicast_src: bool,
    /// `vrrp_skip_check_adv_addr`.
    pub skip_check_adv_addr: bool,
    /// `vrrp_strict`.
    pub strict: bool,
    /// `smtp_alert`, when written.
    pub smtp_alert: Option<bool>,
    /// `smtp_alert_vrrp`, when written.
    pub smtp_alert_vrrp: Option<bool>,
}

impl Default for InstanceDefaults {
    fn default() -> Self {
        Self {
            version: Version::V2,
            group4: Ipv4Addr::new(224, 0, 0, 18),
            group6: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12),
            announce: Announce::default(),
            down_timer_adverts: 3,
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            check_unicast_src: false,
            skip_check_adv_addr: false,
            strict: false,
            smtp_alert: None,
            smtp_alert_vrrp: None,
        }
    }
}

/// A script of the daemon's own start or end.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OnceScript {
    /// What runs.
    pub command: Option<Command>,
    /// How long it may take (10 s).
    pub timeout: Duration,
}

impl Default for OnceScript {
    fn default() -> Self {
        Self { command: None, timeout: Duration::from_secs(10) }
    }
}

/// `notify_fifo`, `vrrp_notify_fifo`, `lvs_notify_fifo`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fifos {
    /// Hears of everything.
    pub all: Fifo,
    /// Hears of instances and groups.
    pub vrrp: Fifo,
    /// Hears of virtual and real servers.
    pub lvs: Fifo,
    /// `fifo_write_vrrp_states_on_reload`.
    pub states_on_reload: bool,
}

/// One notify FIFO.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Fifo {
    /// Where it is; unused without.
    pub path: Option<PathBuf>,
    /// Whose it is.
    pub owner: Option<ScriptUser>,
    /// `…_script`: started with the path as its last argument.
    pub reader: Option<Command>,
}

/// `smtp_tls`: how the way to the mail server is protected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum MailTls {
    /// Not at all, as the original.
    #[default]
    Off,
    /// The connection starts in clear and is not used before it is encrypted (RFC 3207).
    StartTls,
    /// Encrypted from its first byte (RFC 8314).
    Tls,
}

impl MailTls {
    /// The port that is usual for it.
    pub const fn port(self) -> u16 {
        match self {
            Self::Off => 25,
            Self::StartTls => 587,
            Self::Tls => 465,
        }
    }
}

/// Where mail goes, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Mail {
    /// `notification_email`.
    pub to: Vec<String>,
    /// `notification_email_from`.
    pub from: Option<String>,
    /// `smtp_server HOST [PORT]`.
    pub server: Option<(String, u16)>,
    /// `smtp_tls`.
    pub tls: MailTls,
    /// `smtp_tls_ca`: whose certificates are good; the system's authorities without.
    pub authority: Option<PathBuf>,
    /// `smtp_user` and `smtp_password_file`.
    pub login: Option<(String, PathBuf)>,
    /// `smtp_helo_name`.
    pub helo: Option<String>,
    /// `smtp_connect_timeout`, (30 s).
    pub timeout: Option<Duration>,
    /// `no_email_faults`.
    pub no_faults: bool,
    /// `no_checker_emails`.
    pub only_server_changes: bool,
}

/// What a reload changes for the VRRP child: only this crosses the pipe.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct VrrpChanges {
    /// New global settings, when they differ.
    pub global: Option<VrrpGlobal>,
    /// Instances to stop, by name in the running configuration.
    pub removed: Vec<String>,
    /// Instances that go on with other settings: their name in the running configuration, and the settings.
    pub changed: Vec<(String, Arc<Settings>)>,
    /// Instances to start.
    pub added: Vec<Arc<Settings>>,
    /// All sync groups, when any of them changes.
    pub groups: Option<Vec<Arc<GroupSettings>>>,
    /// All tracked objects, when any of them changes.
    pub watched: Option<Watched>,
}

impl VrrpChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        let instances = self.removed.is_empty() && self.changed.is_empty() && self.added.is_empty();
        instances && self.global.is_none() && self.groups.is_none() && self.watched.is_none()
    }
}
