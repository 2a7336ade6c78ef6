//! The lab's promises, kept by real machines. They take minutes, so that they
//! run only with the feature `vm`.
#![cfg(feature = "vm")]
#![expect(clippy::unwrap_used, reason = "functions beside tests fail them")]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use flocker_lab::{Cache, Lab, LabSpecification, Progress, Stage, Unflushed};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// What tells this test binary to be the process that is killed.
const VICTIM: &str = "FLOCKER_LAB_TEST_VICTIM";

fn one_node() -> LabSpecification {
    LabSpecification {
        nodes: 1,
        ..LabSpecification::default()
    }
}

async fn start(specification: &LabSpecification) -> Lab {
    Lab::start(specification, &Progress::on_stderr())
        .await
        .unwrap()
}

/// Whether any process has a word on its command line.
fn runs(word: &str) -> bool {
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    })
}

async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_power_cut_keeps_what_was_flushed_and_loses_the_rest() {
    let specification = LabSpecification {
        unflushed: Unflushed::Lost,
        ..one_node()
    };
    let lab = start(&specification).await;
    let node = lab.node(1);
    node.check("echo kept >/tank/kept && sync /tank/kept && zpool sync tank")
        .await
        .unwrap();
    // Nothing is flushed by itself within this long.
    node.check("echo 600 >/sys/module/zfs/parameters/zfs_txg_timeout; echo lost >/tank/lost")
        .await
        .unwrap();
    // What has reached the disk, and only its cache, is lost as well: a program that skips `fsync` may not
    // pass. ZFS leaves this part of its disk alone.
    let write = |word: &str, block: u8, flush: &str| {
        format!(
            "printf %-4096s {word} | dd of=/dev/vdb9 bs=4k seek={block} iflag=fullblock oflag=direct \
             conv=notrunc{flush}"
        )
    };
    let read = |block: u8| format!("dd if=/dev/vdb9 bs=4k skip={block} count=1 | head -c 7");
    node.check(&write("flushed", 0, ",fsync")).await.unwrap();
    node.check(&write("skipped", 1, "")).await.unwrap();
    assert_eq!(node.check(&read(1)).await.unwrap(), "skipped");
    node.power_cut().await.unwrap();
    assert!(!node.is_on().await);
    node.power_on().await.unwrap();
    assert_eq!(node.check("ls /tank").await.unwrap(), "kept");
    assert_eq!(node.check(&read(0)).await.unwrap(), "flushed");
    assert_ne!(node.check(&read(1)).await.unwrap(), "skipped");
    let everything = "docker info >/dev/null && systemctl is-system-running --wait";
    assert_eq!(node.check(everything).await.unwrap(), "running");
    lab.end().unwrap();
}

#[tokio::test]
async fn a_cut_link_and_a_stalled_node_do_not_answer_until_they_do_again() {
    let lab = start(&one_node()).await;
    let node = lab.node(1);
    let reachable = async || {
        let mut probe = lab.operator_command("timeout");
        let address = node.address();
        probe.args([
            "3",
            "bash",
            "-c",
            &format!("read -r </dev/tcp/{address}/22"),
        ]);
        probe.status().await.unwrap().success()
    };
    node.cut_link(true).await.unwrap();
    assert!(!reachable().await);
    node.cut_link(false).await.unwrap();
    node.wait_for_ssh().await.unwrap();
    node.stall().await.unwrap();
    assert!(!reachable().await);
    node.go_on().await.unwrap();
    node.wait_for_ssh().await.unwrap();
}

#[tokio::test]
async fn a_stage_is_done_once_and_its_node_saved() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive.tar");
    // Always the same, so that running this often does not fill the cache.
    let text = "an archive";
    fs::write(&archive, text).unwrap();
    let specification = LabSpecification {
        stages: vec![
            Stage::new("test")
                .copy(&archive, "/root/copied")
                .attach("archives", vec![archive.clone()])
                .run("cmp /root/copied /mnt/archives/archive.tar")
                .run("cat /proc/sys/kernel/random/uuid >/root/done"),
        ],
        ..one_node()
    };
    let first = start(&specification).await;
    assert_eq!(first.node(1).check("cat /root/copied").await.unwrap(), text);
    let done = first.node(1).check("cat /root/done").await.unwrap();
    first
        .node(1)
        .check("echo changed >/root/copied")
        .await
        .unwrap();

    // Beside the first, and without its changes.
    let second = start(&specification).await;
    assert_eq!(second.node(1).check("cat /root/done").await.unwrap(), done);
    assert_eq!(
        second.node(1).check("cat /root/copied").await.unwrap(),
        text
    );
    assert!(
        !second
            .node(1)
            .ssh("ls /mnt/archives")
            .await
            .unwrap()
            .success()
    );
    // Numbers that must never repeat do not.
    let random = "cat /proc/sys/kernel/random/uuid";
    let one = first.node(1).check(random).await.unwrap();
    assert_ne!(second.node(1).check(random).await.unwrap(), one);
    // Their clocks are right.
    let now = second.node(1).check("date +%s").await.unwrap();
    let now = Duration::from_secs(now.parse().unwrap());
    let here = std::time::UNIX_EPOCH.elapsed().unwrap();
    assert!(
        now.abs_diff(here) < Duration::from_secs(15),
        "{now:?} {here:?}"
    );
}

/// Not a test: what the next one starts and kills.
#[tokio::test]
#[ignore = "a part of another test"]
async fn hold_a_lab_until_killed() {
    if std::env::var_os(VICTIM).is_none() {
        return;
    }
    let lab = start(&one_node()).await;
    println!("lab={}", lab.directory().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_killed_lab_leaves_no_machine_and_no_file() {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "hold_a_lab_until_killed",
        ])
        .env(VICTIM, "1")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let found = timeout(Duration::from_secs(900), async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            // The test runner may have begun the line.
            if let Some((_, directory)) = line.split_once("lab=") {
                return directory.to_owned();
            }
        }
    });
    let directory = found.await.unwrap();
    assert!(Path::new(&directory).exists());
    assert!(runs(&directory), "QEMU runs on disks in {directory}");
    victim.kill().await.unwrap();
    wait_until("its machines are gone", || !runs(&directory)).await;
    wait_until("its files are gone", || !Path::new(&directory).exists()).await;
    let states = Cache::open().unwrap().root().join("states");
    assert!(states.exists(), "what was saved stays");
}
