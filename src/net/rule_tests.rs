use super::*;
use crate::net::wire::Messages;

#[test]
fn a_rule_is_known_again_in_what_the_kernel_reports() {
    let text = "static_rules {\nfrom 10.0.0.7/8 to 192.0.2.1 iif eth0 fwmark 5 tos 16 table 1000 priority 9\nfrom all blackhole priority 10\n\
                from 2001:db8::/32 goto 20 priority 11\n}\n";
    for rule in crate::config::load_text(text).config.global.vrrp.static_rules {
        let mut builder = Builder::default();
        RuleOp::Add(rule.clone()).emit(&mut builder, 0, Mode::Fresh);
        let message = Messages(builder.bytes()).next().unwrap();
        assert_eq!(RuleKey::of_ours(&message), Some(RuleKey::of(&rule)), "{rule}");
    }
}
