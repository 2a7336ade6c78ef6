//! A node's serial console on this terminal.

use std::io;
use std::path::Path;

use nix::sys::termios::{self, SetArg, Termios};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Ctrl-], as in telnet, leaves the console.
const LEAVE: u8 = 0x1d;

/// Passes bytes on in both directions until Ctrl-], the end of the input, or
/// the end of the machine.
pub(crate) async fn attach(socket: &Path) -> io::Result<()> {
    let stream = UnixStream::connect(socket).await?;
    let (mut from_node, mut to_node) = stream.into_split();
    let _raw = RawTerminal::enter();
    let mut stderr = tokio::io::stderr();
    stderr
        .write_all(b"lab: Ctrl-] leaves the console\r\n")
        .await?;
    let typing = async {
        let mut stdin = tokio::io::stdin();
        let mut buffer = [0; 1024];
        loop {
            let length = stdin.read(&mut buffer).await?;
            let typed = &buffer[..length];
            let left = typed.iter().position(|byte| *byte == LEAVE);
            to_node.write_all(&typed[..left.unwrap_or(length)]).await?;
            if length == 0 || left.is_some() {
                return Ok(());
            }
        }
    };
    let showing = async {
        tokio::io::copy(&mut from_node, &mut tokio::io::stdout()).await?;
        Ok(())
    };
    tokio::select! {
        done = typing => done,
        done = showing => done,
    }
}

/// A terminal that hands every key over as it is, until this is dropped.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Nothing when standard input is no terminal.
    fn enter() -> Option<Self> {
        let before = termios::tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // The terminal is gone when this fails.
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
