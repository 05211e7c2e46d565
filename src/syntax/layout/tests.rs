use super::*;
use proptest::prelude::*;

fn laid(text: &str, expected: &str) {
    assert_eq!(format(text), expected);
    assert_eq!(format(expected), expected, "once is enough");
}

#[test]
fn every_arrangement_of_braces_becomes_the_same() {
    let expected = "vrrp_instance A {\n    track_interface {\n        eth0\n    }\n}\n";
    for text in [
        "vrrp_instance A { track_interface { eth0 } }",
        "vrrp_instance   A\n{\n\ttrack_interface\n\n{ eth0\n\n\n}}\n",
        "vrrp_instance A {\r\ntrack_interface {eth0}\r\n}\r\n",
    ] {
        laid(text, expected);
    }
}

#[test]
fn comments_stay_with_their_lines() {
    laid(
        "! head\n\n\n  # of A\nvrrp_instance A # one\n# two\n{ # three\nstate BACKUP # s\n  priority 100    ! p\n# last\n\n}\nglobal_defs {\n}",
        "! head\n\n# of A\nvrrp_instance A {  # one\n    # two\n    # three\n    state BACKUP  # s\n    priority 100  ! p\n    # last\n}\n\nglobal_defs {\n}\n",
    );
}

#[test]
fn what_is_quoted_is_not_touched() {
    laid(
        "vrrp_script a {\nscript   \"/x  'a  b' # no {comment}\"   # c\nscript  '/x  a\\  b'\nscript /x \\  b\n}",
        "vrrp_script a {\n    script \"/x  'a  b' # no {comment}\"  # c\n    script '/x  a\\  b'\n    script /x \\  b\n}\n",
    );
}

#[test]
fn definitions_conditions_and_sequences_stay_whole() {
    laid(
        "$A=x  y\n$B= \\\n vrrp_instance V { \\\n  interface eth0 \\\n\n@lab priority 1\n@lab  vrrp_instance A {\n@^lab vrrp_instance B {\ninterface  $IF\n\
         virtual_ipaddress { $A }\n~SEQ(I, 1,  3) 10.0.0.$I\n}\n$B",
        "$A=x  y\n$B= \\\n    vrrp_instance V { \\\n        interface eth0 \\\n\n@lab priority 1\n@lab vrrp_instance A {\n@^lab vrrp_instance B {\n    interface $IF\n    \
         virtual_ipaddress { $A }\n    ~SEQ(I, 1,  3) 10.0.0.$I\n}\n\n$B\n",
    );
}

#[test]
fn an_include_takes_its_line() {
    laid("global_defs { include {a,b}.conf\n}\ninclude x\n{\n", "global_defs {\n    include {a,b}.conf\n}\n\ninclude x\n{\n");
}

#[test]
fn too_many_braces_do_not_matter() {
    laid("} }\na {", "}\n}\n\na {\n");
}

#[test]
fn an_empty_line_that_ends_a_definition_stays() {
    laid("$A=x \\\n\n}", "$A=x \\\n\n}\n");
}

fn texts() -> impl Strategy<Value = String> {
    let parts = vec![
        "{",
        "}",
        "\n",
        "\n",
        " ",
        "  ",
        "\t",
        "\"",
        "'",
        "# c",
        "! d",
        "\\#",
        "\\\n",
        "\\",
        "@lab ",
        "@^lab ",
        "$A=",
        "$A",
        "${A}",
        "~SEQ(A,1,3) ",
        "~LST({a,b},{1,2}) ",
        "include a\n",
        "include {a,b}",
        "vrrp_instance A",
        "state",
        "\r\n",
        "主",
        "\u{b}",
    ];
    proptest::collection::vec(proptest::sample::select(parts), 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn words_and_comments_stay_what_they_are(text in texts()) {
        let laid = format(&text);
        let ((words, mut comments), (new_words, mut new_comments)) = (essence(&text), essence(&laid));
        prop_assert_eq!(words, new_words, "{}", laid);
        comments.sort();
        new_comments.sort();
        prop_assert_eq!(comments, new_comments);
    }

    #[test]
    fn laying_out_twice_changes_nothing(text in texts()) {
        let laid = format(&text);
        prop_assert_eq!(format(&laid), laid);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = format(&text);
    }
}
