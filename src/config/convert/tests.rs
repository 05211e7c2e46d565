use super::*;
use crate::config::load_text;

struct Texts(Vec<(PathBuf, String)>);

impl Texts {
    fn new(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect())
    }
}

impl Files for Texts {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let found = self.0.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        let Ok(pattern) = glob::Pattern::new(pattern) else { return Vec::new() };
        self.0.iter().map(|(path, _)| path.clone()).filter(|path| pattern.matches_path(path)).collect()
    }
}

/// There and back: the files of the other notation, and those of the first again.
fn there_and_back(files: &[(&str, &str)]) -> (Converted, Converted) {
    let options = LoadOptions { config_id: "lab".to_owned(), ..LoadOptions::default() };
    let files = Texts::new(files);
    let there = convert(&files, &files.0[0].0, &options);
    assert!(there.means_the_same(&files, &options), "{:#?}", there.files);
    let others = Texts(there.files.iter().map(|file| (file.to.clone(), file.text.clone())).collect());
    let back = convert(&others, &others.0[0].0, &options);
    assert!(back.means_the_same(&others, &options), "{:#?}", back.files);
    assert_eq!(there.loaded.config, back.loaded.config);
    (there, back)
}

const INSTANCE: &str = "# the pair\n\
vrrp_instance VI_1 {  # first\n    \
    state BACKUP  # waits\n    \
    interface eth0\n    \
    virtual_router_id 51\n    \
    virtual_ipaddress {\n        \
        # the office\n        \
        10.0.0.1/24 dev eth0  # moves\n        \
        10.0.0.2/24\n    \
    }\n    \
    notify \"/x.sh 'a b' \\\"q\\\"\" nobody\n    \
    nopreempt\n    \
    # end of it\n\
}\n";

const TOML: &str = "# the pair\n[vrrp_instance.VI_1]  # first\nstate = \"BACKUP\"  # waits\ninterface = \"eth0\"\nvirtual_router_id = 51\nvirtual_ipaddress = [\n    \
    # the office\n    \"10.0.0.1/24 dev eth0\",  # moves\n    \"10.0.0.2/24\",\n]\nnotify = ['''/x.sh 'a b' \\\"q\\\"''', \"nobody\"]\nnopreempt = true\n# end of it\n";

#[test]
fn every_comment_finds_its_line_again() {
    let (there, back) = there_and_back(&[("/a.conf", INSTANCE)]);
    assert_eq!(there.files[0].to, Path::new("/a.toml"));
    assert_eq!(there.files[0].text.replace("\"/x.sh 'a b' \\\\\\\"q\\\\\\\"\"", "'''/x.sh 'a b' \\\"q\\\"'''"), TOML);
    assert_eq!(back.files[0].text, INSTANCE.replace("\\\"q\\\"", "'\\x22q\\x22'").replace("BACKUP  #", "BACKUP      #"));
}

#[test]
fn includes_stay_includes_of_converted_files() {
    let part = INSTANCE.replace("VI_1", "VI_2").replace("51", "52");
    let last = INSTANCE.replace("VI_1", "VI_3").replace("51", "53");
    let main = format!("# globals\ninclude globals.conf\n\n{INSTANCE}\n# all of them\ninclude d/*.conf\n");
    let files = [
        ("/k/a.conf", main.as_str()),
        ("/k/globals.conf", "global_defs {\n    router_id x\n}\n"),
        ("/k/d/1.conf", &part),
        ("/k/d/2.conf", &last),
    ];
    let (there, back) = there_and_back(&files);
    let names: Vec<_> = there.files.iter().map(|file| file.to.display().to_string()).collect();
    assert_eq!(names, ["/k/a.toml", "/k/globals.toml", "/k/d/1.toml", "/k/d/2.toml"]);
    let text = &there.files[0].text;
    assert!(
        text.contains("[[include]]\nfile = \"globals.toml\"\n") && text.contains("# all of them\n[[include]]\nfile = \"d/*.toml\"\n"),
        "{text}"
    );
    assert!(
        back.files[0].text.starts_with("# globals\ninclude globals.conf\n")
            && back.files[0].text.contains("\n# all of them\ninclude d/*.conf\n"),
        "{}",
        back.files[0].text
    );
    assert_eq!(there.remarks, Vec::<String>::new());
}

#[test]
fn an_include_at_the_top_is_a_value() {
    let (there, _) = there_and_back(&[
        ("/k/a.conf", "include {b,c}.conf\nincludem d.conf\n"),
        ("/k/b.conf", INSTANCE),
        ("/k/c.conf", ""),
        ("/k/d.conf", ""),
    ]);
    assert_eq!(there.files[0].text, "include = \"{b,c}.toml\"\nincludem = \"d.toml\"\n");
}

#[test]
fn what_is_included_within_a_block_stands_in_it() {
    let main = "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\ninclude vips\n}\n}\n";
    let (there, _) = there_and_back(&[("/k/a.conf", main), ("/k/vips", "10.0.0.1 # one\n10.0.0.2\n")]);
    assert_eq!(there.files.len(), 1);
    assert!(there.files[0].text.contains("    \"10.0.0.1\",  # one\n    \"10.0.0.2\",\n"), "{}", there.files[0].text);
    assert!(there.remarks[0].starts_with("/k/vips is included within a block"), "{:?}", there.remarks);
}

#[test]
fn definitions_and_other_hosts_lines_stay_as_comments() {
    let text = "$P=100\nvrrp_instance A {\ninterface eth0\nvirtual_router_id 1\n@lab priority $P\n@other priority 50\nvirtual_ipaddress {\n~SEQ(I,1,2) 10.0.0.$I\n}\n}\n";
    let (there, _) = there_and_back(&[("/a.conf", text)]);
    let expected = "# $P=100\n\n[vrrp_instance.A]\ninterface = \"eth0\"\nvirtual_router_id = 1\npriority = 100\n# @other priority 50\nvirtual_ipaddress = [\n    \"10.0.0.1\",\n    \"10.0.0.2\",\n]\n";
    assert_eq!(there.files[0].text.replace("# $P=100\n[", "# $P=100\n\n["), expected);
}

#[test]
fn what_stands_several_times_keeps_its_order() {
    let text = include_str!("../../../tests/configs/ok/everything.conf");
    let (there, _) = there_and_back(&[("/a.conf", text)]);
    assert_eq!(there.remarks, Vec::<String>::new());
    let server = "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.1.0.1 80 {\nTCP_CHECK {\nconnect_timeout 1\n}\nSMTP_CHECK {\n}\nTCP_CHECK {\n}\n}\n}\n";
    there_and_back(&[("/a.conf", server)]);
}

#[test]
fn what_was_understood_reads_as_the_same() {
    let text = include_str!("../../../tests/configs/ok/everything.conf");
    let files = Texts::new(&[("/a.conf", text)]);
    let (loaded, shown) = understood(&files, Path::new("/a.conf"), &LoadOptions::default(), Secrets::Shown);
    assert_eq!(load_text(&shown).config, loaded.config, "{shown}");
    let (_, masked) = understood(&files, Path::new("/a.conf"), &LoadOptions::default(), Secrets::Masked);
    assert!(masked.contains("auth_pass ********\n") && !masked.contains("s3cret"), "{masked}");
}
