//! Configurations that can be compared without their secrets being known.

use super::model::Config;
use crate::vrrp::settings::Auth;
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use std::sync::Arc;

/// What makes the same password look otherwise in another file.
pub type Salt = [u8; 16];

/// Puts a keyed digest in every password's place: equal passwords stay equal under one salt, and nobody reads them.
pub fn conceal(config: &mut Config, salt: &Salt) {
    for instance in config.instances.iter_mut().filter(|instance| instance.auth.is_some()) {
        let settings = Arc::make_mut(instance);
        settings.auth = settings.auth.take().map(|auth| match auth {
            Auth::Password(word) => Auth::Password(digest(&word, salt)),
            Auth::Header(key) => Auth::Header(digest(&key, salt)),
        });
    }
}

fn digest(secret: &[u8; 8], salt: &Salt) -> [u8; 8] {
    let mut short = [0; 8];
    if let Ok(mac) = Hmac::<Md5>::new_from_slice(salt) {
        short.copy_from_slice(&mac.chain_update(secret).finalize().into_bytes()[..8]);
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load_text;

    fn concealed(word: &str, salt: u8) -> Config {
        let text = format!(
            "vrrp_instance A {{\ninterface eth0\nvirtual_router_id 1\nauthentication {{\nauth_type PASS\nauth_pass {word}\n}}\n}}\n"
        );
        let mut config = load_text(&text).config;
        conceal(&mut config, &[salt; 16]);
        config
    }

    #[test]
    fn equal_passwords_stay_equal_and_unknown() {
        assert_eq!(concealed("s3cret", 1), concealed("s3cret", 1));
        assert_ne!(concealed("s3cret", 1), concealed("s3cret", 2));
        assert_ne!(concealed("s3cret", 1), concealed("s3cres", 1));
        let Some(Auth::Password(word)) = &concealed("s3cret", 1).instances[0].auth else { panic!() };
        assert!(!word.starts_with(b"s3"));
    }
}
