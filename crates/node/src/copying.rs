//! Copying a stream to another node, telling how far it is.

use bytes::Bytes;
use flocker_model::ByteCount;
use flocker_plan::PushKind;
use flocker_remote::protocol::{LivingWriter, Progress};
use serde::Serialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::execute::ProgressSender;
use crate::places::reach;

/// How much is copied between a stream and the network at once. So little where tests stop a small
/// stream half-way.
const CHUNK: usize = if flocker_failpoint::ENABLED {
    512
} else {
    256 * 1024
};

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
        let length = source.read(&mut buffer).await?;
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

    /// Says at which places the stream has arrived; an estimate may be too high to get to the last.
    async fn reach_places(&mut self, is_end: bool) {
        let (done, total) = (self.done, self.total.unwrap_or_default().max(1));
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
