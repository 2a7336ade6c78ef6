use std::time::{Duration, Instant};

use super::*;

/// What tells this test binary to be the process that is killed.
const VICTIM: &str = "FLOCKER_LAB_TEST_VICTIM";

fn nodes() -> Vec<NodeIndex> {
    NodeIndex::all(2).unwrap()
}

fn instance() -> (tempfile::TempDir, PathBuf) {
    let labs = tempfile::tempdir().unwrap();
    let directory = labs.path().join("lab");
    fs::create_dir(&directory).unwrap();
    (labs, directory)
}

/// Something that lives in a lab as its machines do: marked by an argument that
/// no other process has.
fn start_resident(namespace: &Namespace, mark: &Path) {
    let script = "echo started; exec sleep 600";
    let mut child = namespace
        .resident_command("sh")
        .args(["-c", script])
        .arg(mark)
        .env("MARK", mark)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "started\n");
    // The lab waits for it, not the test.
    std::mem::forget(child);
}

/// The processes, zombies excepted, whose environment mentions a path.
fn marked(mark: &Path) -> Vec<u32> {
    let mark = format!("MARK={}", mark.display());
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let number: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let environment = fs::read(format!("/proc/{number}/environ")).ok()?;
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
            .then_some(number)
    });
    numbers.collect()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn the_operator_and_the_nodes_have_their_own_network() {
    let (_labs, directory) = instance();
    let (namespace, leash) = Namespace::start(&directory, &nodes(), Lifetime::Attached).unwrap();
    let output = namespace
        .operator_command("ip")
        .args(["-brief", "address"])
        .output()
        .unwrap();
    let listed = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(names, ["lo", "lab0", "tap1", "tap2"], "{listed}");
    assert!(listed.contains("192.168.77.1/24"), "{listed}");
    drop(leash);
    assert!(!directory.exists());
}

#[test]
fn two_labs_do_not_collide() {
    let ((_one, first), (_other, second)) = (instance(), instance());
    let first = Namespace::start(&first, &nodes(), Lifetime::Attached).unwrap();
    let second = Namespace::start(&second, &nodes(), Lifetime::Attached).unwrap();
    drop((first, second));
}

#[test]
fn nothing_is_left_of_a_lab_that_was_dropped() {
    let (_labs, directory) = instance();
    let (namespace, leash) = Namespace::start(&directory, &nodes(), Lifetime::Attached).unwrap();
    start_resident(&namespace, &directory);
    assert!(is_alive(&directory));
    assert!(!marked(&directory).is_empty());
    drop(leash);
    // `nsenter` stays outside, and sees only then that the one it waits for was killed.
    wait_until("its processes are gone", || marked(&directory).is_empty());
    assert!(!directory.exists());
}

#[test]
fn a_lab_in_the_background_ends_when_told() {
    let (_labs, directory) = instance();
    let (namespace, leash) = Namespace::start(&directory, &nodes(), Lifetime::Detached).unwrap();
    start_resident(&namespace, &directory);
    leash.let_go();
    assert!(is_alive(&directory));
    end(&directory).unwrap();
    wait_until("its processes are gone", || marked(&directory).is_empty());
    assert!(!directory.exists());
}

#[test]
fn an_abandoned_directory_is_swept_and_a_living_lab_is_not() {
    let (labs, directory) = instance();
    let abandoned = labs.path().join("abandoned");
    fs::create_dir(&abandoned).unwrap();
    fs::write(abandoned.join("lock"), "").unwrap();
    let (_namespace, leash) = Namespace::start(&directory, &nodes(), Lifetime::Attached).unwrap();
    assert_eq!(sweep(labs.path()).unwrap(), [abandoned]);
    assert!(is_alive(&directory));
    drop(leash);
}

/// Not a test: what the next one starts and kills.
#[test]
#[ignore = "a part of another test"]
fn hold_a_lab_until_killed() {
    let Some(directory) = std::env::var_os(VICTIM).map(PathBuf::from) else {
        return;
    };
    let (namespace, _leash) = Namespace::start(&directory, &nodes(), Lifetime::Attached).unwrap();
    start_resident(&namespace, &directory);
    fs::write(directory.with_extension("ready"), "").unwrap();
    loop {
        std::thread::park();
    }
}

#[test]
fn nothing_is_left_of_a_lab_whose_process_was_killed() {
    let (_labs, directory) = instance();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .arg("namespace::tests::hold_a_lab_until_killed")
        .env(VICTIM, &directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let ready = directory.with_extension("ready");
    wait_until("the victim has a lab", || ready.exists());
    assert!(!marked(&directory).is_empty());
    victim.kill().unwrap();
    victim.wait().unwrap();
    wait_until("its processes are gone", || marked(&directory).is_empty());
    wait_until("its directory is gone", || !directory.exists());
}
