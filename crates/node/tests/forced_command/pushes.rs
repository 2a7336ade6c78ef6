//! What a peer may say once it pushes, and what it is answered.

use flocker_remote::protocol::{FrameReader, FrameWriter, PROTOCOL_VERSION};
use serde_json::{Value, json};

use crate::world::{Access, PEER, POOL, World, run};

/// Puts messages into frames.
fn framed(messages: &[Value]) -> Vec<u8> {
    block_on(async {
        let mut bytes = Vec::new();
        let mut writer = FrameWriter::new(&mut bytes);
        for message in messages {
            writer.send(message).await.unwrap();
        }
        bytes
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

impl World {
    /// Says something to whatever the key allows after a greeting, and returns what was answered
    /// after one.
    fn push(&self, said: &[u8]) -> Vec<Value> {
        let hello = json!({ "push": "hello", "protocol": PROTOCOL_VERSION, "release": "1" });
        let mut answers = self.push_ungreeted(&[&framed(&[hello]), said].concat());
        let greeting = answers.remove(0);
        assert_eq!(greeting["answer"], "hello", "{greeting}");
        assert_eq!(greeting["protocol"], PROTOCOL_VERSION, "{greeting}");
        answers
    }

    /// Says something to whatever the key allows, and returns what was answered.
    fn push_ungreeted(&self, said: &[u8]) -> Vec<Value> {
        let output = run(self.ssh(&[], &["flocker-node", "receive"]), said);
        let mut reader = FrameReader::<_, Value>::new(output.stdout.as_slice());
        block_on(async {
            let mut answers = Vec::new();
            while let Some(answer) = reader.next().await.unwrap() {
                answers.push(answer);
            }
            answers
        })
    }

    /// The way that the key is there for: a peer asks what is here of a volume, and is answered by
    /// ZFS, that there is no such pool or no ZFS at all.
    pub(crate) fn assert_pushes_are_answered(&self) {
        let answers = self.push(&framed(&[
            json!({ "push": "prepare", "application": "web" }),
        ]));
        let [answer] = answers.as_slice() else {
            panic!("one question, {} answers: {answers:?}", answers.len());
        };
        assert_asked_zfs(answer);
        self.assert_only_receive_ran("a push");
    }
}

/// It is ZFS that could not do what was asked.
fn assert_asked_zfs(answer: &Value) {
    assert_eq!(answer["answer"], "failed", "{answer}");
    let message = answer["message"].as_str().unwrap_or_default();
    assert!(message.contains(POOL), "{answer}");
}

/// The key says who pushes; the message may not say otherwise.
#[test]
fn a_peer_pushes_in_its_own_name_only() {
    let node = World::new(Access::Peer);
    let volume = |owner: String| {
        json!({
            "push": "volume", "application": "web", "owner": owner, "epoch": 1,
            "transfer": { "transfer": "full" },
        })
    };
    let other = "00000000-0000-0000-0000-000000000bad";
    let answers = node.push(&framed(&[volume(other.to_owned())]));
    let expected = format!("node {PEER} may not push in the name of {other}");
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["message"], expected.as_str(), "{answers:?}");
    // In its own, all else is as it should be: it is ZFS that has no such pool.
    let answers = node.push(&framed(&[volume(PEER.to_string())]));
    assert_asked_zfs(&answers[0]);
}

/// Names that would be more than names to a shell, to ZFS or in a path.
const NAMES: [(&str, &str); 8] = [
    ("a separator", "web; touch canary"),
    ("a substitution", "$(touch canary)"),
    ("a line break", "web\ntouch canary"),
    ("a path", "../../etc"),
    ("a child", "web/child"),
    ("a snapshot", "web@snapshot"),
    ("an option", "-o"),
    ("NUL", "web\0"),
];

/// What a peer may say, and what is wrong with it.
fn hostile_pushes() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let named = |name: &str| framed(&[json!({ "push": "prepare", "application": name })]);
    // In a field in front of the one that says which request it is: until then, all is kept.
    let mut deep = (1_u32 << 20).to_be_bytes().to_vec();
    deep.extend(b"{\"application\":");
    deep.resize(4 + (1 << 20), b'[');
    let mut pushes: Vec<_> = NAMES
        .iter()
        .map(|(what, name)| (*what, named(name), "application name"))
        .collect();
    pushes.extend([
        (
            "a million letters",
            named(&"x".repeat(1_000_000)),
            "longer than 63",
        ),
        (
            "an unknown request",
            framed(&[json!({ "push": "destroy" })]),
            "unknown variant",
        ),
        ("no object", framed(&[json!(null)]), "not a message"),
        ("four gigabytes", vec![0xff; 8], "4294967295 bytes"),
        (
            "text",
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            "began with the text",
        ),
        (
            "half a message",
            named("web")[..12].to_vec(),
            "middle of a message",
        ),
        ("a million levels", deep, "recursion limit"),
        (
            "no UTF-8",
            b"\0\0\0\x04\"\xff\xfe\"".to_vec(),
            "not a message",
        ),
    ]);
    pushes
}

/// Whatever a peer says is answered; nothing hangs, and nothing is left.
#[test]
fn hostile_pushes_are_refused_with_what_is_wrong_with_them() {
    let node = World::new(Access::Peer);
    node.assert_pushes_are_answered();
    let before = node.files();
    for (name, said, expected) in hostile_pushes() {
        let answers = node.push(&said);
        let text = format!("{answers:?}");
        assert_eq!(answers.len(), 1, "{name}: {text}");
        assert_eq!(answers[0]["answer"], "failed", "{name}: {text}");
        assert!(text.contains(expected), "{name}: {text}");
        assert!(text.len() < 4096, "{name}: {} bytes", text.len());
        node.assert_only_receive_ran(name);
        node.assert_nothing_runs();
        assert_eq!(node.files(), before, "{name} left something");
    }
    // Nothing said is nothing done.
    assert_eq!(node.push_ungreeted(b""), [] as [Value; 0]);
    assert_eq!(node.push(b""), [] as [Value; 0]);
    let ungreeted = framed(&[json!({ "push": "prepare", "application": "web" })]);
    let answers = node.push_ungreeted(&ungreeted);
    let text = format!("{answers:?}");
    assert!(text.contains("does not say which protocol"), "{text}");
    node.assert_pushes_are_answered();
}
