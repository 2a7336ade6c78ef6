//! Measures how fast data goes to a node and comes from it.
//!
//!     cargo run --release --example ssh_throughput -- NODE MEGABYTES [SSH_CONFIG]
//!
//! Compare with `head -c … /dev/zero | ssh NODE 'cat >/dev/null'`.
#![expect(clippy::print_stdout, reason = "this is a command-line program")]

use std::error::Error;
use std::time::Instant;

use flocker_remote::ssh::{
    ConnectOptions, Connection, Environment, RemoteCommand, SshOptions, resolve_destination,
};
use tokio::io::AsyncReadExt;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(node), Some(megabytes)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ssh_throughput NODE MEGABYTES [SSH_CONFIG]".into());
    };
    let bytes = megabytes.parse::<u64>()? * 1_000_000;
    let options = SshOptions {
        config_file: arguments.next().map(Into::into),
        ..SshOptions::default()
    };
    let destination = resolve_destination(&node, &options, &Environment::observe()).await?;
    let started = Instant::now();
    let connection = Connection::connect(&destination, &ConnectOptions::default()).await?;
    println!("connect  {:>8.1} ms", started.elapsed().as_secs_f64() * 1e3);

    let started = Instant::now();
    for _ in 0..100 {
        connection.run(&RemoteCommand::new("true")).await?;
    }
    println!(
        "command  {:>8.1} ms",
        started.elapsed().as_secs_f64() * 10.0
    );

    let sink = RemoteCommand::new("sh").args(["-c", "cat >/dev/null"]);
    let started = Instant::now();
    connection
        .upload(&sink, tokio::io::repeat(0).take(bytes))
        .await?;
    report("upload", bytes, started);

    let source = RemoteCommand::new("head").args(["-c", &bytes.to_string(), "/dev/zero"]);
    let started = Instant::now();
    let mut session = connection.exec(&source).await?;
    let received = tokio::io::copy(&mut session.stdout, &mut tokio::io::sink()).await?;
    if received != bytes || !session.exit.wait().await?.success() {
        return Err(format!("only {received} of {bytes} bytes arrived").into());
    }
    report("download", bytes, started);

    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or_default());
    Ok(())
}

fn report(what: &str, bytes: u64, started: Instant) {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = bytes as f64 / 1e6 / started.elapsed().as_secs_f64();
    println!("{what:8} {rate:>8.1} MB/s");
}
