//! Copying a stream to another node, telling how far it is.

use bytes::Bytes;
use flocker_model::ByteCount;
use flocker_plan::PushKind;
use flocker_remote::protocol::{LivingWriter, Progress};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::execute::ProgressSender;
use crate::places::reach;

/// How much is copied between a stream and the network at once.
const CHUNK: usize = 256 * 1024;

/// How many bytes pass between two reports of progress.
const REPORT_EVERY: u64 = 4 << 20;

/// Copies a stream to its end, and ends the other one.
pub(crate) async fn copy(
    mut source: impl AsyncRead + Unpin,
    mut sink: LivingWriter<impl Serialize>,
    report: &mut Report<'_>,
) -> std::io::Result<u64> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let most = report.bytes_to_next_place().min(CHUNK);
        let length = source.read(&mut buffer[..most]).await?;
        report.reach_places(length == 0).await;
        if length == 0 {
            return Ok(report.done);
        }
        sink.send_bytes(Bytes::copy_from_slice(&buffer[..length]))
            .await?;
        report.add(length as u64);
    }
}

/// How far a stream is.
pub(crate) struct Report<'a> {
    what: String,
    done: u64,
    total: Option<u64>,
    told: u64,
    progress: &'a ProgressSender,
    places: Places,
}

/// The places on a stream's way at which tests hold it.
struct Places {
    step: &'static str,
    ahead: std::slice::Iter<'static, Mark>,
}

/// A place, and from how many percent on a stream has arrived there.
type Mark = (u64, &'static str);

/// Before a volume's first byte, after half of them, and shortly before its end.
const ON_A_VOLUMES_WAY: [Mark; 3] = [(0, "at-0"), (50, "at-50"), (99, "at-99")];
/// Nobody knows how long an image is: before its first byte, and after a few.
const ON_AN_IMAGES_WAY: [Mark; 2] = [(0, "begun"), (1, "under-way")];

impl<'a> Report<'a> {
    /// Of an image on its way, whose length nobody knows.
    pub(crate) fn of_image(what: String, progress: &'a ProgressSender) -> Self {
        Self {
            what,
            done: 0,
            total: None,
            told: 0,
            progress,
            places: Places {
                step: "push-image",
                ahead: ON_AN_IMAGES_WAY.iter(),
            },
        }
    }

    /// Of a volume on its way, and how long it is expected to be.
    pub(crate) fn of_volume(
        what: String,
        (kind, estimate): (PushKind, ByteCount),
        progress: &'a ProgressSender,
    ) -> Self {
        Self {
            total: Some(estimate.get()),
            places: Places {
                step: kind.step(),
                ahead: ON_A_VOLUMES_WAY.iter(),
            },
            ..Self::of_image(what, progress)
        }
    }

    /// Tells how much may be copied without passing a place at which tests hold the stream: all there
    /// is where nobody does.
    fn bytes_to_next_place(&self) -> usize {
        let Some((percent, _)) = self.places.ahead.as_slice().first() else {
            return usize::MAX;
        };
        if !flocker_failpoint::ENABLED {
            return usize::MAX;
        }
        let there = self.expected().saturating_mul(*percent).div_ceil(100);
        let ahead = usize::try_from(there.saturating_sub(self.done));
        ahead.unwrap_or(usize::MAX).max(1)
    }

    /// How long the stream is expected to be; one byte where nobody knows.
    fn expected(&self) -> u64 {
        self.total.unwrap_or_default().max(1)
    }

    /// Says at which places the stream has arrived; an estimate may be too high to get to the last.
    async fn reach_places(&mut self, is_end: bool) {
        let (done, total) = (self.done, self.expected());
        let Places { step, ahead } = &mut self.places;
        while let Some((percent, name)) = ahead.as_slice().first()
            && (is_end || done.saturating_mul(100) >= total.saturating_mul(*percent))
        {
            reach(|| format!("{step}.{name}")).await;
            ahead.next();
        }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        if self.done - self.told >= REPORT_EVERY {
            self.told = self.done;
            // Nobody may be listening any more.
            let _ = self.progress.send(Progress {
                what: self.what.clone(),
                done: self.done,
                total: self.total,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[test]
    fn a_stream_stops_at_each_place_and_not_before() {
        let (progress, _unread) = mpsc::unbounded_channel();
        let estimate = ByteCount::new(1001);
        let mut report = Report::of_volume(String::new(), (PushKind::Last, estimate), &progress);
        let mut stops = Vec::new();
        for passed in 0..ON_A_VOLUMES_WAY.len() {
            report.places.ahead = ON_A_VOLUMES_WAY[passed..].iter();
            stops.push(report.bytes_to_next_place());
        }
        let expected = if flocker_failpoint::ENABLED {
            vec![1, 501, 991]
        } else {
            vec![usize::MAX; 3]
        };
        assert_eq!(stops, expected);
        report.places.ahead = [].iter();
        assert_eq!(report.bytes_to_next_place(), usize::MAX);
    }
}
