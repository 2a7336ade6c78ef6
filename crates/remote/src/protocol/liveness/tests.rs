//! Time is paused in these: it passes at once whenever everybody waits.

use std::pin::pin;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, advance};

use super::*;
use crate::protocol::{FrameReader, FrameWriter, Request};

/// Both ends of a pipe, of which the one that is read is listened to.
fn pipe() -> (DuplexStream, FrameReader<Listener<DuplexStream>, Request>) {
    let (writing, reading) = tokio::io::duplex(1 << 10);
    (writing, FrameReader::new(Listener::new(reading)))
}

#[tokio::test(start_paused = true)]
async fn whoever_is_alive_is_listened_to_however_long_it_says_nothing() {
    let (writing, mut reader) = pipe();
    let mut writer = LivingWriter::new(writing);
    let heard = timeout(SILENCE * 100, reader.next()).await;
    assert!(heard.is_err(), "{heard:?}");
    writer.send(&Request::Observe).await.unwrap();
    assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
    // Its end is one.
    drop(writer);
    assert_eq!(reader.next().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_gone_without_a_word_is_not_waited_for() {
    let (writing, mut reader) = pipe();
    let mut writer = FrameWriter::<_, Request>::new(writing);
    writer.send(&Request::Observe).await.unwrap();
    assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
    let begun = Instant::now();
    let Err(FrameError::Broken(error)) = reader.next().await else {
        panic!("silence passed for something");
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("for 60 s"), "{error}");
    let waited = begun.elapsed();
    assert!(waited >= SILENCE && waited < SILENCE * 2, "{waited:?}");
    drop(writer);
}

/// Whoever does something else for long hears afterwards what came meanwhile, and is patient anew.
#[tokio::test(start_paused = true)]
async fn only_whoever_listens_hears_silence() {
    let (mut writing, mut reader) = pipe();
    // It has listened before, and stopped.
    assert!(timeout(SILENCE / 2, reader.next()).await.is_err());
    let frame = b"\0\0\0\x09\"observe\"";
    writing.write_all(frame).await.unwrap();
    advance(SILENCE * 2).await;
    assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
    let silent = timeout(SILENCE / 2, reader.next()).await;
    assert!(silent.is_err(), "{silent:?}");
}

/// What a message announces comes whole, with signs of life wherever its source takes its time.
#[tokio::test(start_paused = true)]
async fn a_stream_that_pauses_is_the_same_stream() {
    let (writing, mut reader) = pipe();
    let mut writer = LivingWriter::new(writing);
    writer.send(&Request::Observe).await.unwrap();
    let mut received = pin!(async {
        assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
        let mut rest = String::new();
        reader.into_rest().read_to_string(&mut rest).await.unwrap();
        rest
    });
    for part in ["what ", "takes ", "its time"] {
        let ended = timeout(SILENCE * 2, &mut received).await;
        assert!(ended.is_err(), "{ended:?}");
        writer.send_bytes(part.into()).await.unwrap();
    }
    drop(writer);
    assert_eq!(received.await, "what takes its time");
}

/// Part of a frame is no end, and neither is a machine that vanishes in the middle of a stream.
#[tokio::test(start_paused = true)]
async fn a_stream_that_stops_is_an_error_where_it_stops() {
    for ends in [true, false] {
        let (mut writing, mut reader) = pipe();
        let said = b"\0\0\0\x09\"observe\"\0\0\0\x04part\0\0\0\x04ha";
        writing.write_all(said).await.unwrap();
        let kept = (!ends).then_some(writing);
        assert_eq!(reader.next().await.unwrap(), Some(Request::Observe));
        let mut rest = Vec::new();
        let error = reader.into_rest().read_to_end(&mut rest).await.unwrap_err();
        let expected = if ends {
            io::ErrorKind::UnexpectedEof
        } else {
            io::ErrorKind::TimedOut
        };
        assert_eq!(error.kind(), expected, "{error}");
        drop(kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_writer_tells_that_its_stream_is_broken() {
    let (writing, reading) = tokio::io::duplex(8);
    let mut writer = LivingWriter::new(writing);
    drop(reading);
    for _ in 0..2 {
        let sent = writer.send(&Request::Observe).await;
        assert!(matches!(sent, Err(FrameError::Broken(_))), "{sent:?}");
    }
}
