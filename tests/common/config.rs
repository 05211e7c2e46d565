//! Configurations: short ones made here, and the seed scenarios as people's tutorials print them.

/// One `vrrp_instance`; by default of version 3 with adverts every 0.1 s, so that a failover takes 0.4 s.
#[derive(Clone, Debug)]
pub struct Instance<'a> {
    pub name: &'a str,
    pub state: &'a str,
    pub interface: &'a str,
    pub vrid: u8,
    pub priority: u8,
    pub version: u8,
    pub advert_int: &'a str,
    pub addresses: &'a [&'a str],
    /// Further lines.
    pub extra: &'a str,
}

impl Default for Instance<'_> {
    fn default() -> Self {
        Self {
            name: "VI_1",
            state: "BACKUP",
            interface: "eth0",
            vrid: 51,
            priority: 100,
            version: 3,
            advert_int: "0.1",
            addresses: &["172.25.254.100/24"],
            extra: "",
        }
    }
}

impl std::fmt::Display for Instance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, state, interface, vrid, priority, version, advert_int, addresses, extra } = self;
        writeln!(f, "vrrp_instance {name} {{\n    state {state}\n    interface {interface}\n    virtual_router_id {vrid}")?;
        writeln!(f, "    priority {priority}\n    version {version}\n    advert_int {advert_int}\n    {extra}")?;
        writeln!(f, "    virtual_ipaddress {{\n        {}\n    }}\n}}", addresses.join("\n        "))
    }
}

/// The usual instance with a priority.
pub fn fast(priority: u8) -> String {
    Instance { priority, ..Instance::default() }.to_string()
}

/// The usual instance with a priority and further lines.
pub fn fast_with(priority: u8, extra: &str) -> String {
    Instance { priority, extra, ..Instance::default() }.to_string()
}

/// The tutorials' `global_defs`; `strict` is the line about `vrrp_strict`.
pub fn global(router: &str, strict: &str) -> String {
    include_str!("../configs/seeds/global_defs.conf").replace("ROUTER", router).replace("STRICT", strict)
}

/// The line that keeps strict mode out, comment included, as printed.
pub const NOT_STRICT: &str = "#vrrp_strict\t\t#添加此选项无法访问vip";
