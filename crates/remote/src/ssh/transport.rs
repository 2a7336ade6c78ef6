//! The way to a host, up to the moment at which it is known to be the right one.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use russh::client::{self, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::connect_error::{ConnectCause, ConnectStep};
use super::connection::{ConnectOptions, HOST_KEY_ALGORITHMS};
use super::destination::Destination;
use super::error_output::ErrorOutput;
use super::exit::LossRecord;
use super::handler::{ClientHandler, HandlerError, describe_loss};
use super::host_key::observe_known_hosts;
use super::stall_guard::StallGuard;

/// Connects to a host, directly or through a program, and verifies its key. Returns the address of this
/// machine on the connection, too, if there is one.
pub(super) async fn open_transport(
    destination: &Destination,
    options: &ConnectOptions,
    loss: LossRecord,
) -> Result<(Handle<ClientHandler>, Option<IpAddr>), (ConnectStep, ConnectCause)> {
    let check = observe_known_hosts(destination)
        .map_err(|error| (ConnectStep::HostKey, ConnectCause::HostKey(error)))?;
    let config = options.config(check.algorithms(&HOST_KEY_ALGORITHMS));
    let after = options.connect_timeout;
    let deadline = Instant::now() + after;
    let Wire {
        stream,
        from,
        proxy,
    } = timeout_at(deadline, open_wire(destination))
        .await
        .map_err(|_| (ConnectStep::Tcp, ConnectCause::TimedOut { after }))??;
    let stream = StallGuard::new(stream, options.stall_limit());
    let handler = ClientHandler { check, loss };
    let connected = timeout_at(
        deadline,
        client::connect_stream(Arc::new(config), stream, handler),
    )
    .await
    .map_err(|_| (ConnectStep::KeyExchange, ConnectCause::TimedOut { after }))?;
    match connected {
        Ok(handle) => Ok((handle, from)),
        Err(HandlerError::HostKey(error)) => {
            Err((ConnectStep::HostKey, ConnectCause::HostKey(error)))
        }
        Err(HandlerError::Library(error)) => match (classify(error), proxy) {
            // Most likely the program has ended, and says why.
            (ConnectCause::Lost(_), Some((setting, errors))) => {
                let said = errors.read().await;
                let cause = ConnectCause::ProxyEnded { setting, said };
                Err((ConnectStep::Proxy, cause))
            }
            (cause, _) => Err((ConnectStep::KeyExchange, cause)),
        },
    }
}

/// Bytes to a host and back.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The way to a host.
struct Wire {
    stream: Box<dyn Stream>,
    /// This machine's address on it.
    from: Option<IpAddr>,
    /// The setting that asks for a program, and what that program writes.
    proxy: Option<(String, ErrorOutput)>,
}

async fn open_wire(destination: &Destination) -> Result<Wire, (ConnectStep, ConnectCause)> {
    let Some(proxy) = &destination.proxy else {
        let stream = open_tcp(destination).await?;
        // Small messages are answered at once, rather than held back in the hope of more.
        let _ = stream.set_nodelay(true);
        let from = stream.local_addr().ok().map(|address| address.ip());
        let stream = Box::new(stream);
        return Ok(Wire {
            stream,
            from,
            proxy: None,
        });
    };
    let (stream, errors) = proxy.start().map_err(|source| {
        let (program, setting) = (proxy.program.clone(), proxy.setting.clone());
        let cause = ConnectCause::NoProxy {
            program,
            setting,
            source,
        };
        (ConnectStep::Proxy, cause)
    })?;
    Ok(Wire {
        stream: Box::new(stream),
        from: None,
        proxy: Some((proxy.setting.clone(), errors)),
    })
}

fn classify(error: russh::Error) -> ConnectCause {
    match error {
        russh::Error::IO(_) | russh::Error::HUP | russh::Error::Disconnect => {
            ConnectCause::Lost(describe_loss(&error))
        }
        other => ConnectCause::Protocol(Box::new(other)),
    }
}

async fn open_tcp(destination: &Destination) -> Result<TcpStream, (ConnectStep, ConnectCause)> {
    let addresses = tokio::net::lookup_host((destination.host.as_str(), destination.port))
        .await
        .map_err(|error| (ConnectStep::Lookup, ConnectCause::Lookup(error)))?;
    let mut failure = ConnectCause::Lookup(io::Error::new(
        io::ErrorKind::NotFound,
        "the name has no addresses",
    ));
    let mut step = ConnectStep::Lookup;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(source) => {
                step = ConnectStep::Tcp;
                failure = ConnectCause::Tcp {
                    address: address.to_string(),
                    source,
                };
            }
        }
    }
    Err((step, failure))
}
