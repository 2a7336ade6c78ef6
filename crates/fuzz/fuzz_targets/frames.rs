//! The protocols between programs: every message that is read is written back as itself, and a
//! stream that follows a message begins where the message ends.
//!
//! Input: a letter for the direction (`q` and `e` for requests and events of a deploy, `p` and `a`
//! for requests and answers of a push), and the bytes on the wire.

#![no_main]

use std::fmt::Debug;

use flocker_fuzz::at_once;
use flocker_remote::protocol::{Event, FrameReader, FrameWriter, MAXIMUM_FRAME, Request};
use libfuzzer_sys::fuzz_target;
use push_messages::{PushAnswer, PushRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _};

// A part of a program, which has no library to take it from.
#[path = "../../node/src/push_messages.rs"]
mod push_messages;

fuzz_target!(|input: &[u8]| {
    match input.split_first() {
        Some((b'q', wire)) => check::<Request>(wire),
        Some((b'e', wire)) => check::<Event>(wire),
        Some((b'p', wire)) => check::<PushRequest>(wire),
        Some((b'a', wire)) => check::<PushAnswer>(wire),
        _ => {}
    }
});

fn check<T: Serialize + DeserializeOwned + PartialEq + Debug>(wire: &[u8]) {
    let messages: Vec<T> = read_all(wire);
    check_rewritten(&messages);
    // The network divides a stream where it likes.
    let (first, second) = wire.split_at(wire.len() / 2);
    assert_eq!(read_all::<T>(first.chain(second)), messages);
    check_rest::<T>(wire);
}

/// Reads until the end or the first thing that is no message.
fn read_all<T: DeserializeOwned>(wire: impl AsyncRead + Unpin) -> Vec<T> {
    let mut reader = FrameReader::new(wire);
    let mut messages = Vec::new();
    while let Ok(Some(message)) = at_once(reader.next()) {
        messages.push(message);
    }
    messages
}

fn check_rewritten<T: Serialize + DeserializeOwned + PartialEq + Debug>(messages: &[T]) {
    let mut wire = Vec::new();
    let mut writer = FrameWriter::new(&mut wire);
    for message in messages {
        at_once(writer.send(message)).unwrap();
    }
    assert_eq!(read_all::<T>(wire.as_slice()), messages);
}

/// A frame's length is the number in front of it, and nothing in those behind a message is lost.
fn check_rest<T: DeserializeOwned>(wire: &[u8]) {
    let mut reader = FrameReader::<_, T>::new(wire);
    if let Ok(Some(_)) = at_once(reader.next()) {
        let (frames, is_whole) = frames_of(wire);
        let mut rest = Vec::new();
        let read = at_once(reader.into_rest().read_to_end(&mut rest));
        assert_eq!(read.is_ok(), is_whole);
        assert_eq!(rest, frames[1..].concat());
    }
}

/// What is in frames that have anything in them, and whether nothing but frames is there.
fn frames_of(mut wire: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut frames = Vec::new();
    while let Some((length, following)) = wire.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        if length > MAXIMUM_FRAME || length > following.len() {
            return (frames, false);
        }
        let (frame, others) = following.split_at(length);
        if !frame.is_empty() {
            frames.push(frame);
        }
        wire = others;
    }
    (frames, wire.is_empty())
}
