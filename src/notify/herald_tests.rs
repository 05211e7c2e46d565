use super::*;
use crate::config::load::load_text;
use crate::script::table::examine;
use crate::types::Priority;

struct Lab {
    folder: tempfile::TempDir,
    herald: Herald,
    reports: mpsc::UnboundedReceiver<Report>,
}

impl Lab {
    /// A herald with one instance and these lines in its block; `{}` is the folder.
    fn new(global: &str, root: &str, block: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let me = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
        let fill = |text: &str| text.replace("{}", &folder.path().display().to_string());
        let text = format!(
            "global_defs {{\n script_user {me}\n {}\n}}\n{}\nvrrp_instance VI_1 {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 10.0.0.1\n }}\n{}\n}}\n",
            fill(global),
            fill(root),
            fill(block)
        );
        let config = load_text(&text).config;
        let (table, _) = examine(&config, false);
        let (sender, reports) = mpsc::unbounded_channel();
        let herald = Herald::start(sender).unwrap();
        herald.configure(config, table);
        Self { folder, herald, reports }
    }

    fn entered(&self, state: State) {
        let subject = Subject::Instance("VI_1".into());
        self.herald.notice(Notice { subject, happened: Happened::Entered(state), priority: Some(Priority::DEFAULT) });
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_slow_script_never_overtakes_and_the_last_state_is_told_last() {
    let script = "notify \"/bin/sh -c 'sleep 0.3; echo $3 >> {}/told' x\"";
    let lab = Lab::new("", "", script);
    for state in [State::Backup, State::Master, State::Backup, State::Master, State::Fault] {
        lab.entered(state);
    }
    lab.herald.finish(PATIENCE).await;
    assert_eq!(lab.read("told"), "BACKUP\nFAULT\n");
}

#[tokio::test]
async fn the_same_state_again_is_no_news() {
    let lab = Lab::new("", "", "notify_master \"/bin/sh -c 'echo >> {}/told'\"");
    lab.entered(State::Master);
    lab.entered(State::Master);
    lab.herald.finish(PATIENCE).await;
    assert_eq!(lab.read("told"), "\n");
}

#[tokio::test]
async fn the_fifo_hears_every_state_and_its_reader_gets_its_name() {
    let global = "notify_fifo {}/fifo\n notify_fifo_script \"/bin/sh -c 'exec cat $1 > {}/heard' x\"";
    let lab = Lab::new(global, "", "");
    lab.entered(State::Backup);
    lab.entered(State::Master);
    let wanted = "INSTANCE \"VI_1\" BACKUP 100\nINSTANCE \"VI_1\" MASTER 100\n";
    let deadline = std::time::Instant::now() + PATIENCE;
    while lab.read("heard") != wanted {
        assert!(std::time::Instant::now() < deadline, "{:?}", lab.read("heard"));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    lab.herald.finish(PATIENCE).await;
    assert!(!lab.folder.path().join("fifo").exists());
}

#[tokio::test]
async fn an_instance_that_a_reload_took_away_has_its_last_word() {
    let lab = Lab::new("", "", "notify_fault \"/bin/sh -c 'echo gone > {}/told'\"");
    lab.herald.configure(Config::default(), Table::default());
    lab.entered(State::Fault);
    lab.herald.finish(PATIENCE).await;
    assert_eq!(lab.read("told"), "gone\n");
}

#[tokio::test]
async fn a_check_reports_and_only_configured_ones_run() {
    let root = "vrrp_script chk {\n script \"/bin/sh -c 'exit 3'\"\n}";
    let mut lab = Lab::new("", root, "track_script {\n chk\n }");
    lab.herald.check("chk".into());
    assert_eq!(lab.reports.recv().await, Some(Report::Checked { name: "chk".into(), outcome: ScriptOutcome::Exited(3) }));
    lab.herald.check("rm -rf".into());
    let answer = lab.reports.recv().await;
    assert!(matches!(answer, Some(Report::Checked { outcome: ScriptOutcome::NotStarted(_), .. })), "{answer:?}");
}
