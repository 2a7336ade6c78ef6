//! What a hostile other side may put into the stream, in either direction.

use std::error::Error as _;

use proptest::prelude::*;
use serde_json::json;
use tokio::io::AsyncReadExt;

use super::*;
use crate::protocol::{Event, Request};

/// A frame with these bytes in it.
fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes(), bytes].concat()
}

/// Reads messages until something else comes of it: how many there were, and the error if there
/// was one, with its causes.
fn read<T: DeserializeOwned>(stream: &[u8]) -> (usize, Option<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(async {
        let mut reader = FrameReader::<_, T>::new(stream);
        let mut messages = 0;
        loop {
            match reader.next().await {
                Ok(Some(_)) => messages += 1,
                Ok(None) => return (messages, None),
                Err(error) => {
                    let mut text = error.to_string();
                    if let Some(cause) = error.source() {
                        text = format!("{text}: {cause}");
                    }
                    return (messages, Some(text));
                }
            }
        }
    })
}

/// What is refused, and what is said of it.
type Case = (&'static str, Vec<u8>, &'static str);

/// Streams that are no frames.
fn hostile_lengths() -> Vec<Case> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes().to_vec();
    let cut_off = "ended in the middle of a message";
    vec![
        (
            "a length of four gigabytes",
            vec![0xff; 4],
            "announced a message of 4294967295 bytes",
        ),
        (
            "one byte more than is allowed",
            length(MAXIMUM_FRAME + 1),
            "announced a message of 16777217 bytes",
        ),
        (
            "what a login shell prints",
            b"Welcome to \x1b[31mdb1\x1b[0m!\nLast login: today".to_vec(),
            r#"began with the text "Welcome to \u{1b}[31mdb1\u{1b}[0m!" instead of a message"#,
        ),
        ("half a length", vec![0, 0], cut_off),
        ("half a frame", frame(b"\"observe\"")[..9].to_vec(), cut_off),
        (
            "the longest frame, of which nothing comes",
            length(MAXIMUM_FRAME),
            cut_off,
        ),
    ]
}

/// Frames that are no messages.
fn hostile_contents() -> Vec<Case> {
    let deep = [vec![b'['; 1_000_000], vec![b']'; 1_000_000]].concat();
    let deep_in_a_field = format!("{{\"begin\":{{\"operator\":{}1", "[".repeat(1_000_000));
    let refused = "not a message";
    let contents: [(_, &[u8], _); 10] = [
        ("no JSON", b"\0\x01\x02", refused),
        (
            "no UTF-8",
            b"{\"begin\":{\"operator\":\"\xff\xfe\"}}",
            refused,
        ),
        ("half a character", b"\"\xc3\"", refused),
        ("a lone surrogate", br#""\ud800""#, refused),
        ("a million levels of nesting", &deep, refused),
        (
            "a million levels of nesting in a field",
            deep_in_a_field.as_bytes(),
            refused,
        ),
        (
            "a message that does not exist",
            br#"{"run-shell":{"command":"id"}}"#,
            "unknown variant `run-shell`",
        ),
        (
            "two messages in one frame",
            br#""observe""observe""#,
            refused,
        ),
        (
            "a number beyond all numbers",
            br#"{"run":{"step":1e400}}"#,
            refused,
        ),
        ("nothing", b"null", refused),
    ];
    contents
        .map(|(what, content, said)| (what, frame(content), said))
        .into()
}

fn hostile() -> Vec<Case> {
    [hostile_lengths(), hostile_contents()].concat()
}

#[test]
fn hostile_frames_are_refused_with_what_is_wrong_with_them() {
    for (what, stream, said) in hostile() {
        for (side, (messages, error)) in [
            ("the node", read::<Request>(&stream)),
            ("the operator's side", read::<Event>(&stream)),
        ] {
            let error = error.unwrap_or_else(|| panic!("{side} took {what}"));
            assert_eq!(messages, 0, "{side}: {what}");
            assert!(
                error.contains(said) || (side != "the node" && error.contains("unknown variant")),
                "{side}: {what}: {error}"
            );
            assert!(!error.contains('\x1b'), "{side}: {what}: {error:?}");
        }
    }
}

#[test]
fn what_follows_a_good_message_is_refused_as_well() {
    let good = frame(b"\"observe\"");
    for (what, stream, _) in hostile() {
        let stream = [good.clone(), good.clone(), stream].concat();
        let (messages, error) = read::<Request>(&stream);
        assert_eq!(messages, 2, "{what}");
        assert!(error.is_some(), "{what}");
    }
}

/// An application's name goes into dataset names, unit names and paths; the type that is read from
/// the wire is the one that refuses.
#[test]
fn names_that_would_be_more_than_names_are_refused_on_the_wire() {
    let long = "x".repeat(1_000_000);
    let names = [
        "",
        "web; touch /x",
        "$(touch /x)",
        "`touch /x`",
        "web\ntouch /x",
        "../../etc/passwd",
        "web/child",
        "web@snapshot",
        "web#bookmark",
        "-o",
        "-rf",
        "web%h",
        "web service",
        "web\0",
        "\u{1b}[2J",
        "wéb",
        ".",
        "..",
        long.as_str(),
    ];
    for name in names {
        let action = json!({ "remove-application": { "application": name } });
        let request = json!({ "run": { "step": 0, "action": action } });
        let (messages, error) = read::<Request>(&frame(request.to_string().as_bytes()));
        assert_eq!(messages, 0, "{name:?}");
        let error = error.unwrap();
        assert!(error.contains("application name"), "{name:?}: {error}");
    }
    let action = json!({ "remove-application": { "application": "web" } });
    let request = json!({ "run": { "step": 0, "action": action } });
    let read = read::<Request>(&frame(request.to_string().as_bytes()));
    assert_eq!(read, (1, None), "the shape is right");
}

/// Room is made for what came, not for what was announced.
#[tokio::test]
async fn an_announced_length_takes_no_memory() {
    let head = u32::try_from(MAXIMUM_FRAME).unwrap().to_be_bytes();
    let stream = AsyncReadExt::chain(head.as_slice(), &b"some"[..]);
    let mut frames = FramedRead::new(stream, Frames);
    let ended = frames.next().await.unwrap();
    assert!(matches!(ended, Err(FrameError::Truncated)), "{ended:?}");
    let kept = frames.read_buffer().capacity();
    assert!(kept <= 64 << 10, "{kept} bytes");
}

/// A stream that comes in pieces is the same stream, and what follows the messages is kept.
#[tokio::test]
async fn a_message_in_pieces_is_a_message() {
    let parts: [&[u8]; 5] = [b"", b"\"observe\"", b"re", b"", b"st"];
    let stream = parts.map(frame).concat();
    let (mut writing, reading) = tokio::io::duplex(1);
    let written =
        tokio::spawn(
            async move { tokio::io::AsyncWriteExt::write_all(&mut writing, &stream).await },
        );
    let mut reader = FrameReader::<_, Request>::new(reading);
    assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
    let mut rest = String::new();
    reader.into_rest().read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "rest");
    written.await.unwrap().unwrap();
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(stream in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read::<Request>(&stream);
        let _ = read::<Event>(&frame(&stream));
    }

    #[test]
    fn any_cut_of_a_message_is_refused(at in 1_usize..12) {
        let whole = frame(b"\"observe\"");
        let (messages, error) = read::<Request>(&whole[..at]);
        prop_assert_eq!((messages, error.is_some()), (0, true));
    }
}
