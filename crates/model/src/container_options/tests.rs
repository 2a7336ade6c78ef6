//! What each text may say, and what digests cover.

use super::*;
use crate::Digest;

fn written<T: std::str::FromStr + ToString>(text: &str) -> Option<String> {
    text.parse::<T>().ok().map(|value| value.to_string())
}

#[test]
fn unset_options_leave_no_trace_in_json() {
    let text = serde_json::to_string(&ContainerOptions::default()).unwrap();
    assert_eq!(text, "{}");
    assert!(ContainerOptions::default().is_unset());
}

#[test]
fn options_are_read_back_as_they_were_written() {
    let options = ContainerOptions {
        process: ProcessOptions {
            entrypoint: Some(Vec::new()),
            user: Some("999:999".parse().unwrap()),
            ..ProcessOptions::default()
        },
        limits: LimitOptions {
            memswap_limit: Some(Upmost::Unlimited),
            pids_limit: Some(Upmost::At(100)),
            ulimits: BTreeMap::from([("nofile".parse().unwrap(), Ulimit::new(1, -1).unwrap())]),
            ..LimitOptions::default()
        },
        network: NetworkIdentity {
            dns: vec!["9.9.9.9".parse().unwrap()],
            ..NetworkIdentity::default()
        },
        ..ContainerOptions::default()
    };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(
        serde_json::from_str::<ContainerOptions>(&text).unwrap(),
        options
    );
    assert_ne!(
        Digest::of(&options),
        Digest::of(&ContainerOptions::default())
    );
}

#[test]
fn a_soft_limit_is_not_above_the_hard_one() {
    for (soft, hard) in [(1, 2), (2, 2), (0, -1), (-1, -1)] {
        assert!(Ulimit::new(soft, hard).is_some(), "{soft}:{hard}");
    }
    for (soft, hard) in [(2, 1), (-1, 2), (-2, 5), (1, -2)] {
        assert!(Ulimit::new(soft, hard).is_none(), "{soft}:{hard}");
    }
    assert!(serde_json::from_str::<Ulimit>("[2,1]").is_err());
}

#[test]
fn capabilities_have_one_spelling() {
    for text in ["net_admin", "CAP_NET_ADMIN", "NET_ADMIN"] {
        assert_eq!(written::<Capability>(text).as_deref(), Some("NET_ADMIN"));
    }
    assert_eq!(written::<Capability>("all").as_deref(), Some("ALL"));
    for text in ["", "NET-ADMIN", "ROOT", "CAP_"] {
        assert_eq!(written::<Capability>(text), None, "{text}");
    }
}

#[test]
fn security_options_are_those_that_docker_knows() {
    for (text, option) in [
        ("no-new-privileges", Some("no-new-privileges=true")),
        ("no-new-privileges:true", Some("no-new-privileges=true")),
        ("apparmor=unconfined", Some("apparmor=unconfined")),
        ("label:type:svirt_t", Some("label=type:svirt_t")),
        ("seccomp=unconfined", Some("seccomp=unconfined")),
        ("seccomp:{}", Some("seccomp={}")),
        ("systempaths=unconfined", Some("systempaths=unconfined")),
        ("seccomp:profile.json", None),
        ("no-new-privileges:maybe", None),
        ("privileged", None),
        ("selinux=off", None),
        ("", None),
    ] {
        assert_eq!(written::<SecurityOption>(text).as_deref(), option, "{text}");
    }
}

#[test]
fn kernel_parameters_of_the_node_are_refused() {
    for text in ["kernel.shmmax", "fs.mqueue.msg_max", "kernel/msgmax"] {
        assert!(written::<ContainerSysctl>(text).is_some(), "{text}");
    }
    for text in [
        "vm.max_map_count",
        "kernel.panic",
        "fs.file-max",
        "",
        "net.core.somaxconn",
    ] {
        assert_eq!(written::<ContainerSysctl>(text), None, "{text}");
    }
    let name = written::<NetworkSysctl>("net/ipv4/ip_forward");
    assert_eq!(name.as_deref(), Some("net.ipv4.ip_forward"));
    for text in ["net.", "net", "vm.swappiness", "net..x", "net.a b"] {
        assert_eq!(written::<NetworkSysctl>(text), None, "{text}");
    }
}

#[test]
fn names_and_addresses_are_read_as_docker_reads_them() {
    for (text, is_name) in [
        ("db1", true),
        ("a.example.org", true),
        ("with_underscore", true),
        ("", false),
        ("-a", false),
        ("a..b", false),
        ("a b", false),
    ] {
        assert_eq!(written::<HostName>(text).is_some(), is_name, "{text}");
    }
    assert_eq!(written::<HostName>(&"a".repeat(64)), None);
    for (text, address) in [
        ("10.0.0.1", Some("10.0.0.1")),
        ("host-gateway", Some("host-gateway")),
        ("[::1]", Some("::1")),
        ("::1", Some("::1")),
        ("example.org", None),
        ("", None),
    ] {
        assert_eq!(written::<HostAddress>(text).as_deref(), address, "{text}");
    }
    assert!(written::<SearchDomain>(".").is_some());
    assert!(written::<SearchDomain>("corp.example.").is_some());
    assert_eq!(written::<SearchDomain>(""), None);
}

#[test]
fn devices_are_paths_rules_or_names() {
    assert!(written::<CdiDevice>("nvidia.com/gpu=0:1").is_some());
    for text in ["/dev/dri", "gpu=0", "vendor/gpu", "vendor.com/gpu="] {
        assert_eq!(written::<CdiDevice>(text), None, "{text}");
    }
    assert!(written::<DeviceRule>("c 188:* rw").is_some());
    for text in ["c 188:* ", "x 1:3 r", "c 1 r", "c 1:3 rr", "c  1:3 r"] {
        assert_eq!(written::<DeviceRule>(text), None, "{text}");
    }
}

#[test]
fn sets_of_processors_and_options_of_memory_are_checked() {
    for text in ["0", "0-3,5", "2,4"] {
        assert!(written::<CpuSet>(text).is_some(), "{text}");
    }
    for text in ["", "3-1", "a", "0-", "0,,1", "-1"] {
        assert_eq!(written::<CpuSet>(text), None, "{text}");
    }
    for text in ["", "size=64m,mode=1777", "ro,noexec"] {
        assert!(written::<TmpfsOptions>(text).is_some(), "{text}");
    }
    for text in ["size", "size=", "bind", "size=1m,,ro"] {
        assert_eq!(written::<TmpfsOptions>(text), None, "{text}");
    }
}

#[test]
fn labels_of_flocker_cannot_be_set() {
    assert_eq!(written::<LabelName>("flocker.role"), None);
    assert_eq!(written::<LabelName>(""), None);
    assert!(written::<LabelName>("traefik.http.routers.a.rule").is_some());
    assert!(written::<LabelName>("flockers.own").is_some());
}
