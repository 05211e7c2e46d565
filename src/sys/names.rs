//! What this machine and the user who runs us are called.

use std::ffi::{CStr, CString};

/// This machine's name, with its domain where the resolver knows one. Asks the resolver: it may take seconds.
pub fn full_host_name() -> String {
    let own = host_name();
    if own.contains('.') { own } else { canonical(&own).unwrap_or(own) }
}

/// This machine's name as the kernel has it.
pub fn host_name() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// The user who runs us, by name where there is one.
pub fn user_name() -> String {
    let own = nix::unistd::geteuid();
    nix::unistd::User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name)
}

#[expect(unsafe_code, reason = "getaddrinfo has no safe wrapper that tells the canonical name")]
fn canonical(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: `addrinfo` is numbers and pointers, for which all-zero bytes are valid.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_flags = libc::AI_CANONNAME;
    let mut found: *mut libc::addrinfo = std::ptr::null_mut();
    // SAFETY: `name` ends with NUL, `hints` lives through the call, `found` is written on success only.
    let failed = unsafe { libc::getaddrinfo(name.as_ptr(), std::ptr::null(), &raw const hints, &raw mut found) } != 0;
    if failed || found.is_null() {
        return None;
    }
    // SAFETY: on success `found` is a list that is ours until freeaddrinfo; its first entry's name is NUL-terminated or null.
    unsafe {
        let text = (*found).ai_canonname;
        let name = (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
        libc::freeaddrinfo(found);
        name.filter(|name| !name.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_always_a_name() {
        assert!(!full_host_name().is_empty() && !user_name().is_empty());
        assert_eq!(canonical("127.0.0.1").as_deref(), Some("127.0.0.1"));
    }
}
