//! `virtual_server`, `real_server` and the checkers.

use super::K;
use crate::config::read::Row;
use crate::config::read::lvs::{self as balancer, checker, method, server, times};

/// Inside `virtual_server`.
pub(super) const VIRTUAL_SERVER: &[Row] = &[
    K::named("real_server", "ADDRESS [PORT]", 1, 2, "a server behind it", &[REAL_SERVER]).range("PORT 1..65535").act(server::real_server),
    K::value("ip_family", "inet|inet6", "family of a firewall mark").default("that of the real servers").act(server::ip_family),
    K::value("protocol", "TCP|UDP|SCTP", "transport protocol").default("TCP").act(server::protocol),
    K::value("lvs_sched", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos", "scheduler").default("wlc").act(server::scheduler),
    K::value("lb_algo", "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos", "scheduler").default("wlc").act(server::scheduler),
    K::flag("ops", "one packet scheduling").act(server::flag),
    K::flag("flag-1", "scheduler flag 1").act(server::flag),
    K::flag("flag-2", "scheduler flag 2").act(server::flag),
    K::flag("flag-3", "scheduler flag 3").act(server::flag),
    K::flag("sh-port", "source hash with the port").act(server::flag),
    K::flag("sh-fallback", "source hash goes on when a server is down").act(server::flag),
    K::flag("mh-port", "Maglev hash with the port").act(server::flag),
    K::flag("mh-fallback", "Maglev hash goes on when a server is down").act(server::flag),
    K::flag("hashed", "without effect").act(server::flag),
    K::values("lvs_method", LVS_METHOD, 1, 6, "forwarding method").default("NAT").act(method::method),
    K::values("lb_kind", LVS_METHOD, 1, 6, "forwarding method").default("NAT").act(method::method),
    K::value("persistence_engine", "NAME", "persistence engine").range("up to 15 bytes").default("none").act(server::persistence_engine),
    K::values("persistence_timeout", "[1..2678400]", 0, 1, "seconds a client keeps its server")
        .default("0: none; 360 when written alone or without a port")
        .act(server::persistence_timeout),
    K::value("persistence_granularity", "MASK|LENGTH", "clients that share a server")
        .range("IPv4: a mask or 0..32; IPv6: 1..128")
        .default("255.255.255.255 or 128")
        .act(server::persistence_granularity),
    K::value("nat_mask", "MASK", "ignored: netmask of NAT in kernels before 2.4").default("none").lenient().act(server::relic),
    K::flag("ha_suspend", "no checks while the address is elsewhere").act(server::ha_suspend),
    K::switch("smtp_alert", "mail about changes").default("smtp_alert_checker").act(server::smtp_alert),
    K::value("virtualhost", "NAME", "Host of HTTP checks").default("none").lenient().act(server::virtualhost),
    K::value("snmp_name", "NAME", "name in SNMP").default("none").lenient(),
    K::flag("alpha", "servers are down until checked").act(server::alpha),
    K::flag("omega", "notify at stop").act(server::omega),
    K::value("quorum", "COUNT", "least weight that is up").range("1..4294967295").default("1").act(server::quorum),
    K::value("hysteresis", "COUNT", "margin of the quorum").range("0..quorum - 1").default("0").act(server::hysteresis),
    K::values("quorum_up", "SCRIPT [USER [GROUP]]", 1, 3, "run when the quorum is reached").default("none").act(server::notify),
    K::values("quorum_down", "SCRIPT [USER [GROUP]]", 1, 3, "run when the quorum is lost").default("none").act(server::notify),
    K::value("weight", "COUNT", "default weight of servers").range("1..2147483647").default("1").act(server::weight),
    K::value("retry", "COUNT", "retries before a server is down")
        .range("1..4294967295")
        .default("the checker's: 1; DNS_CHECK 3, MISC_CHECK 0")
        .act(times::retry),
    K::value("delay_before_retry", "SECONDS", "time between retries")
        .range("0.000001..4294")
        .default("the checker's: 1; HTTP_GET 3")
        .act(times::delay_before_retry),
    K::value("warmup", "SECONDS", "largest random delay of the first check").range("0..4294").default("delay_loop").act(times::warmup),
    K::value("connect_timeout", "SECONDS", "how long a connection may take")
        .range("0.000001..4294")
        .default("5")
        .act(times::connect_timeout),
    K::value("delay_loop", "SECONDS", "time between checks").range("0.000001..4294").default("60").act(times::delay_loop),
    K::flag("inhibit_on_failure", "weight 0 instead of removal").act(server::inhibit),
    K::values("sorry_server", "ADDRESS [PORT]", 1, 2, "the server when none is left")
        .range("PORT 1..65535")
        .default("none")
        .act(server::sorry_server),
    K::flag("sorry_server_inhibit", "inhibit_on_failure for the sorry server").act(server::sorry_inhibit),
    K::values("sorry_server_lvs_method", LVS_METHOD, 1, 6, "forwarding method of the sorry server")
        .default("lvs_method")
        .lenient()
        .act(method::sorry_method),
];

const LVS_METHOD: &str = "NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]";

/// Inside `real_server`.
const REAL_SERVER: &[Row] = &[
    K::value("weight", "COUNT", "share of connections").range("0..2147483647").default("the virtual server's").act(server::weight),
    K::values("lvs_method", LVS_METHOD, 1, 6, "forwarding method").default("the virtual server's").act(method::method),
    K::value("uthreshold", "COUNT", "most connections").range("0..4294967295").default("0: no limit").act(server::threshold),
    K::value("lthreshold", "COUNT", "connections below which it gets new ones again")
        .range("0..4294967295")
        .default("0: none")
        .act(server::threshold),
    K::switch("inhibit_on_failure", "weight 0 instead of removal").default("the virtual server's").act(server::inhibit),
    K::values("notify_up", "SCRIPT [USER [GROUP]]", 1, 3, "run when it is up").default("none").act(server::notify),
    K::values("notify_down", "SCRIPT [USER [GROUP]]", 1, 3, "run when it is down").default("none").act(server::notify),
    K::switch("alpha", "down until checked").default("the virtual server's").act(server::alpha),
    K::value("retry", "COUNT", "retries before it is down").range("1..4294967295").default("the virtual server's").act(times::retry),
    K::value("delay_before_retry", "SECONDS", "time between retries")
        .range("0.000001..4294")
        .default("the virtual server's")
        .act(times::delay_before_retry),
    K::value("warmup", "SECONDS", "largest random delay of the first check")
        .range("0..4294")
        .default("the virtual server's")
        .act(times::warmup),
    K::value("connect_timeout", "SECONDS", "how long a connection may take")
        .range("0.000001..4294")
        .default("the virtual server's")
        .act(times::connect_timeout),
    K::value("delay_loop", "SECONDS", "time between checks").range("0.000001..4294").default("the virtual server's").act(times::delay_loop),
    K::switch("smtp_alert", "mail about changes").default("the virtual server's; on when nothing is said anywhere").act(server::smtp_alert),
    K::value("virtualhost", "NAME", "Host of HTTP checks").default("the virtual server's").lenient().act(server::virtualhost),
    K::value("snmp_name", "NAME", "name in SNMP").default("none").lenient(),
    K::value("connect_port", "PORT", "ignored: it belongs in the checker's block")
        .range("1..65535")
        .default("none")
        .lenient()
        .act(server::relic),
    K::block("HTTP_GET", "check by HTTP", &[HTTP_GET, CONNECTION, GENERAL]).act(checker::block),
    K::block("SSL_GET", "check by HTTPS", &[HTTP_GET, CONNECTION, GENERAL]).act(checker::block),
    K::block("TCP_CHECK", "check by connecting", &[CONNECTION, GENERAL]).act(checker::block),
    K::block("PING_CHECK", "check by ICMP echo", &[CONNECTION, GENERAL]).act(checker::block),
    K::block("UDP_CHECK", "check by UDP", &[UDP_CHECK, CONNECTION, GENERAL]).act(checker::block),
    K::block("SMTP_CHECK", "check by SMTP", &[SMTP_CHECK, CONNECTION, GENERAL]).act(checker::block),
    K::block("DNS_CHECK", "check by DNS", &[DNS_CHECK, CONNECTION, GENERAL]).act(checker::block),
    K::block("MISC_CHECK", "check by a script", &[MISC_CHECK, GENERAL]).act(checker::block),
    K::block("BFD_CHECK", "check by BFD", &[BFD_CHECK]).act(checker::block),
    K::block("FILE_CHECK", "check by a file", &[FILE_CHECK]).act(checker::block),
];

/// How a checker reaches its target.
const CONNECTION: &[Row] = &[
    K::value("connect_ip", "ADDRESS", "connect to this instead").default("the real server's address").act(checker::connect_ip),
    K::value("connect_port", "PORT", "connect to this port instead")
        .range("1..65535")
        .default("the real server's port")
        .act(checker::connect_port),
    K::value("bindto", "ADDRESS", "source address").default("any").act(checker::bindto),
    K::value("bind_port", "PORT", "source port").range("1..65535").default("any").act(checker::bind_port),
    K::value("bind_if", "INTERFACE", "source interface").default("any").act(checker::bind_if),
    K::value("connect_timeout", "SECONDS", "how long a connection may take")
        .range("0.000001..4294")
        .default("the real server's")
        .act(times::connect_timeout),
    K::value("fwmark", "NUMBER", "firewall mark of the check").range("0..4294967295").default("0: none").act(checker::fwmark),
];

/// What every checker has.
const GENERAL: &[Row] = &[
    K::value("retry", "COUNT", "retries before it is down").range("0..4294967295").default("the real server's").act(times::retry),
    K::value("delay_before_retry", "SECONDS", "time between retries")
        .range("0.000001..4294")
        .default("the real server's")
        .act(times::delay_before_retry),
    K::value("warmup", "SECONDS", "largest random delay of the first check")
        .range("0..4294")
        .default("the real server's")
        .act(times::warmup),
    K::value("delay_loop", "SECONDS", "time between checks").range("0.000001..4294").default("the real server's").act(times::delay_loop),
    K::switch("alpha", "down until checked").default("the real server's").act(server::alpha),
    K::switch("log_all_failures", "log every failed check").default("checker_log_all_failures").act(checker::log_all),
];

const HTTP_GET: &[Row] = &[
    K::block("url", "what to ask for", &[URL]).act(checker::url),
    K::value("nb_get_retry", "COUNT", "the old name of retry").renamed("retry").range("0..4294967295").default("retry").act(times::retry),
    K::value("virtualhost", "NAME", "Host of the request").default("the real server's").act(server::virtualhost),
    K::value("http_protocol", "1.0|1.0C|1.0c|1.1", "version of the request").default("1.0").act(checker::http_protocol),
    K::switch("enable_sni", "send the server name").default("off").act(checker::enable_sni),
    K::values("sni_name", "[NAME]", 0, 1, "server name to send").default("virtualhost").since("2.3.0").act(checker::sni_name),
    K::switch("fast_recovery", "up after the first good check").default("off").act(checker::fast_recovery),
    K::switch("tls_compliant", "TLS must be closed properly").default("off").since("2.3.0").act(checker::tls_compliant),
];

const URL: &[Row] = &[
    K::value("path", "PATH", "the path").default("required").act(checker::path),
    K::value("digest", "MD5", "digest of the body").range("32 hexadecimal digits").default("none").act(checker::digest),
    K::values("status_code", "N|N-N …", 1, 255, "good status codes")
        .range("100..599")
        .default("200-299")
        .lenient()
        .act(checker::status_code),
    K::value("virtualhost", "NAME", "Host of the request").default("the checker's").act(server::virtualhost),
    K::values("regex", "REGEX", 1, 255, "what the body contains").default("none").act(checker::regex),
    K::flag("regex_no_match", "the body must not contain it").act(checker::regex_no_match),
    K::values("regex_options", "OPTION …", 1, 255, "how the expression is read").default("none").act(checker::regex_options),
    K::value("regex_min_offset", "BYTES", "where the match may begin").range("0..4294967295").default("0").act(checker::regex_offset),
    K::value("regex_max_offset", "BYTES", "where the match may end").range("0..4294967295").default("no limit").act(checker::regex_offset),
    K::values("regex_stack", "START MAX", 2, 2, "without effect: the stack of PCRE2's compiler")
        .range("1..4294967295")
        .default("none is needed")
        .act(checker::regex_stack),
    K::switch("tls_compliant", "TLS must be closed properly").default("the checker's").since("2.3.0").act(checker::tls_compliant),
];

const UDP_CHECK: &[Row] = &[
    K::values("payload", "HEX", 1, 255, "what to send").default("nothing is sent").lenient().act(checker::payload),
    K::values("require_reply", "[HEX]", 0, 255, "what the answer holds").default("silence is success").act(checker::require_reply),
    K::value("min_reply_length", "0..65535", "shortest answer").default("0").act(checker::reply_length),
    K::value("max_reply_length", "0..65535", "longest answer").default("255").act(checker::reply_length),
];

const SMTP_CHECK: &[Row] = &[
    K::value("helo_name", "NAME", "what we call ourselves").default("smtp_helo_name").lenient().act(checker::helo_name),
    K::block("host", "a server of its own (deprecated)", &[CONNECTION, GENERAL]).act(checker::host),
];

const DNS_CHECK: &[Row] = &[
    K::value("type", "A|NS|CNAME|SOA|MX|TXT|AAAA|RRSIG|DNSKEY", "type of the question").default("SOA").act(checker::dns_type),
    K::value("name", "NAME", "name of the question").default(". (the root)").act(checker::dns_name),
];

const MISC_CHECK: &[Row] = &[
    K::values("misc_path", "SCRIPT", 1, 255, "the command").default("required").lenient().act(checker::misc_path),
    K::value("misc_timeout", "SECONDS", "how long it may take")
        .range("0.000001..4294")
        .default("the virtual server's delay_loop")
        .act(checker::misc_timeout),
    K::flag("misc_dynamic", "its exit status is a weight").act(checker::misc_dynamic),
    K::values("user", "USER [GROUP]", 1, 2, "who runs it").default("script_user").lenient().act(checker::user),
];

const BFD_CHECK: &[Row] = &[
    K::value("name", "BFD", "the session").default("required").lenient().act(checker::bfd_name),
    K::switch("alpha", "down until checked").default("the real server's").act(server::alpha),
];

const FILE_CHECK: &[Row] = &[
    K::value("track_file", "NAME", "the file").default("required").act(checker::track_file),
    K::values("weight", "-2147483647..2147483647 [reverse|noreverse]", 1, 2, "factor of its value")
        .default("the file's weight")
        .lenient()
        .act(checker::file_weight),
];

/// Inside `SSL`.
pub(super) const SSL: &[Row] = &[
    K::value("password", "PASSWORD", "password of the key").default("none").lenient().act(balancer::ssl_word),
    K::value("ca", "FILE", "servers' certificates are verified against it").default("none").lenient().act(balancer::ssl_word),
    K::value("certificate", "FILE", "shown to a server that asks for one").default("none").lenient().act(balancer::ssl_word),
    K::value("key", "FILE", "private key of the certificate").default("in the certificate's file").lenient().act(balancer::ssl_word),
    K::value("tls_min_version", "1.2|1.3", "oldest version of TLS that is spoken (not in keepalived)")
        .default("1.2")
        .act(balancer::tls_least),
    K::value("expiry_warning", "DAYS", "tell of a server's certificate so long before its end (not in keepalived)")
        .range("0..3650")
        .default("14; 0 never tells")
        .act(balancer::expiry_warning),
];
