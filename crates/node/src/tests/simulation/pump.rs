//! A command over a connection: from its start to its end, or the connection's.

use std::sync::Arc;

use bytes::Bytes;
use flocker_remote::ssh::{ExitStatus, FarEnd, FarOutput};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::network::Wire;
use super::world::{Ended, Login, Process};

/// How much is taken at once.
const CHUNK: usize = 64 << 10;

/// How much of what a node sends to another one arrives at once: volumes of a few records arrive in
/// many pieces, and may break off between them.
const PIECE: usize = 100;

/// Starts a command at the other end, and carries what it and who asks for it say.
pub(super) async fn run(wire: Arc<Wire>, far: FarEnd) {
    let FarEnd { stdin, output } = far;
    tokio::select! {
        biased;
        () = wire.near.cancelled() => return output.end(Err(wire.loss())),
        () = wire.there() => {}
    }
    let world = wire.network.world();
    let Some(process) = world.and_then(|world| world.start((wire.from, wire.to), wire.login))
    else {
        return output.end(Err(wire.loss()));
    };
    let Process {
        stdin: theirs,
        stdout,
        ended,
    } = process;
    let gone = CancellationToken::new();
    let closed = CancellationToken::new();
    tokio::spawn(carry_input(
        Arc::clone(&wire),
        (stdin, theirs),
        (closed.clone(), gone.clone()),
    ));
    carry_output(&wire, (stdout, ended), output, closed).await;
    gone.cancel();
}

/// Carries the command's input, until that ends at either side.
async fn carry_input(
    wire: Arc<Wire>,
    (mut ours, mut theirs): (mpsc::Receiver<Bytes>, DuplexStream),
    (closed, gone): (CancellationToken, CancellationToken),
) {
    let longest = match wire.login {
        Login::Operator => CHUNK,
        Login::Peer(_) => PIECE,
    };
    let ends = async {
        tokio::select! {
            biased;
            () = wire.far.cancelled() => {}
            () = gone.cancelled() => {}
        }
    };
    let carrying = async {
        loop {
            let next = tokio::select! {
                biased;
                () = wire.near.cancelled() => {
                    // The side that asks can write no more, and the command hears nothing of that.
                    ours.close();
                    std::future::pending().await
                }
                () = closed.cancelled() => None,
                next = ours.recv() => next,
            };
            let Some(bytes) = next else {
                wire.there().await;
                return;
            };
            for piece in bytes.chunks(longest) {
                wire.there().await;
                // A program that is killed leaves unsent what its SSH client has in memory.
                if closed.is_cancelled() || theirs.write_all(piece).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = ends => {}
        () = carrying => {}
    }
}

/// Carries the command's output and its end.
async fn carry_output(
    wire: &Wire,
    (mut stdout, ended): (DuplexStream, Ended),
    mut output: FarOutput,
    closed: CancellationToken,
) {
    let mut buffer = vec![0; CHUNK];
    let killed = ended.killed.clone();
    let carrying = async {
        loop {
            let length = tokio::select! {
                biased;
                () = output.closed() => {
                    closed.cancel();
                    return None;
                }
                () = killed.cancelled() => break,
                read = stdout.read(&mut buffer) => read.unwrap_or_default(),
            };
            let Some(bytes) = buffer.get(..length).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            let bytes = Bytes::copy_from_slice(bytes);
            wire.back().await;
            output.write(bytes).await;
        }
        let (status, said) = ended.wait().await;
        wire.back().await;
        output.write_error(Bytes::from(said)).await;
        Some(status)
    };
    let carried: Option<Option<ExitStatus>> = tokio::select! {
        biased;
        () = wire.near.cancelled() => None,
        status = carrying => Some(status),
    };
    match carried {
        None => {
            output.end(Err(wire.loss()));
            // The command goes on, until it notices or ends.
            let mut rest = vec![0; CHUNK];
            loop {
                tokio::select! {
                    biased;
                    () = wire.far.cancelled() => return,
                    read = stdout.read(&mut rest) => if read.unwrap_or_default() == 0 { return },
                }
            }
        }
        Some(Some(status)) => output.end(Ok(status)),
        Some(None) => {
            // The other side has closed the session; the command ends once its input does.
            let mut rest = vec![0; CHUNK];
            while stdout.read(&mut rest).await.unwrap_or_default() > 0 {}
        }
    }
}
