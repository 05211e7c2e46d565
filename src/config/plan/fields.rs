//! Settings that differ, whatever they are: by the names that their structures give them.

use serde::Serialize;
use serde_json::Value;

/// Keywords that are not called as the field is.
const KEYWORDS: &[(&str, &str)] = &[
    ("vrid", "virtual_router_id"),
    ("advert_interval", "advert_int"),
    ("wanted", "state"),
    ("preempt", "nopreempt, preempt_delay"),
    ("auth", "authentication"),
    ("transport", "unicast_peer, unicast_src_ip, mcast_src_ip, mcast_dst_ip"),
    ("addresses", "virtual_ipaddress"),
    ("excluded", "virtual_ipaddress_excluded"),
    ("follows", "interfaces of its track_group"),
    ("track_interfaces", "track_interface"),
    ("track_scripts", "track_script"),
    ("track_files", "track_file"),
    ("track_processes", "track_process"),
    ("track_bfds", "track_bfd"),
    ("strict", "vrrp_strict, strict_mode"),
    ("members", "group"),
    ("instance_defaults", "defaults of instances"),
    ("sorry", "sorry_server"),
    ("any", "notify"),
    ("master", "notify_master"),
    ("backup", "notify_backup"),
    ("fault", "notify_fault"),
    ("stop", "notify_stop"),
    ("deleted", "notify_deleted"),
    ("says_deleted", "notify_deleted"),
    ("lower_priority", "notify_master_rx_lower_pri"),
    ("mail", "smtp_alert"),
    ("priority_changes", "notify_priority_changes"),
    ("real_servers", "order of the real servers"),
    ("vrrp_process", "vrrp process"),
    ("checker_process", "checker process"),
    ("bfd_process", "bfd process"),
    ("nice", "priority"),
];

/// What differs between two values of one type: `keyword: before -> after`, sorted by keyword. Secrets are not shown.
pub(super) fn between<T: Serialize>(old: &T, new: &T, without: &[&str]) -> Vec<String> {
    let (Ok(old), Ok(new)) = (serde_json::to_value(old), serde_json::to_value(new)) else { return vec!["changed".to_owned()] };
    let mut found = Vec::new();
    compare("", &old, &new, without, &mut found);
    found
}

fn compare(path: &str, old: &Value, new: &Value, without: &[&str], found: &mut Vec<String>) {
    match (old, new) {
        _ if path.ends_with("authentication") => found.push(format!("{path}: changed")),
        (Value::Object(before), Value::Object(after)) if before.keys().eq(after.keys()) && !is_time(old) && command(old).is_none() => {
            for (name, value) in before {
                let Some(other) = after.get(name).filter(|other| *other != value && !without.contains(&name.as_str())) else { continue };
                let keyword = KEYWORDS.iter().find(|(field, _)| field == name).map_or(name.as_str(), |(_, keyword)| keyword);
                let path = if path.is_empty() { keyword.to_owned() } else { format!("{path} {keyword}") };
                compare(&path, value, other, without, found);
            }
        }
        _ if path == "advert_int" => found.push(format!("{path}: {} -> {}", centiseconds(old), centiseconds(new))),
        _ => match (shown(old), shown(new)) {
            (Some(old), Some(new)) => found.push(format!("{path}: {old} -> {new}")),
            _ => found.push(format!("{path}: changed")),
        },
    }
}

fn is_time(value: &Value) -> bool {
    value.as_object().is_some_and(|map| map.len() == 2 && map.contains_key("secs") && map.contains_key("nanos"))
}

/// A script's words.
fn command(value: &Value) -> Option<String> {
    let word = |word: &Value| {
        let bytes = word.get("Unix")?.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
        Some(String::from_utf8_lossy(&bytes.collect::<Option<Vec<u8>>>()?).into_owned())
    };
    let words: Option<Vec<String>> = value.get("argv")?.as_array()?.iter().map(word).collect();
    let user = value.pointer("/user/user").and_then(Value::as_str).map(|user| format!(" as {user}"));
    Some(format!("{}{}", words?.join(" "), user.unwrap_or_default()))
}

fn centiseconds(value: &Value) -> String {
    value.as_u64().map_or_else(|| value.to_string(), |centis| format!("{} s", centis as f64 / 100.0))
}

/// What fits into a line; nothing for more.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("nothing".to_owned()),
        Value::Bool(on) => Some(if *on { "on" } else { "off" }.to_owned()),
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        Value::Array(values) if values.iter().all(Value::is_string) && values.len() <= 8 => {
            Some(if values.is_empty() { "none".to_owned() } else { values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ") })
        }
        Value::Object(_) if is_time(value) => {
            let part = |name: &str| value.get(name).and_then(Value::as_f64).unwrap_or(0.0);
            Some(format!("{} s", part("secs") + part("nanos") / 1e9))
        }
        Value::Object(_) => command(value),
        Value::Array(_) => None,
    }
}
