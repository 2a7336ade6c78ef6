//! Routes and links of UDP, and routes that answer at one address or to some networks.

use std::net::Ipv4Addr;

use super::super::failure::{Failure, expect, expect_same};
use super::super::report::Stopped;
use super::super::wait::{PATIENCE, eventually};
use super::Migration;
use super::official::{Applications, Place};

/// Routed for everybody, as TCP and as UDP.
const OPEN: u16 = 7007;
/// Routed for the client's address.
const FOR_CLIENT: u16 = 7008;
/// Routed for a network in which nobody is.
const FOR_NOBODY: u16 = 7009;
/// Routed for programs of the nodes.
const FOR_NODES: u16 = 7010;
/// Routed at the first node's address.
const AT_FIRST: u16 = 7011;

/// Asks a server of `flocker/echo` by UDP. Arguments: ADDRESS PORT TEXT.
const ASK_PACKETS: &str = r#"
exec 3<>"/dev/udp/$0/$1" || exit 7
for attempt in 1 2 3 4 5; do
    printf "%s\n" "$2" >&3 || exit 8
    # The shell's own `read` takes one byte of a packet and loses the rest.
    ! timeout 5 dd bs=2000 count=1 status=none <&3 || exit 0
done
exit 9
"#;

/// The same by TCP.
const ASK_CONNECTION: &str = r#"
exec 3<>"/dev/tcp/$0/$1" || exit 7
printf "%s\n" "$2" >&3
read -r -t 30 line <&3 || exit 8
printf "%s\n" "$line"
"#;

/// Asks `localhost` in a container by UDP. Arguments: PORT TEXT.
const ASK_INSIDE: &str = "import socket, sys; \
     asking = socket.socket(type=socket.SOCK_DGRAM); asking.settimeout(10); \
     asking.connect((\"127.0.0.1\", int(sys.argv[1]))); asking.send(sys.argv[2].encode()); \
     print(asking.recv(1000).decode().strip())";

/// The way a question takes.
#[derive(Debug, Clone, Copy)]
enum Way {
    Packets,
    Connection,
}

/// The result of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// An answer.
    Echo,
    /// Nothing at all.
    Silence,
    /// The word that nobody is there.
    Refusal,
}

impl Migration<'_> {
    pub(super) async fn limits(&mut self) -> Result<(), Stopped> {
        let deploy = self.echo_on(Place::First, "127.0.0.1/32", &[]);
        self.check("a server of TCP and UDP is deployed", deploy)
            .await?;
        let name = "UDP is answered through both nodes, and the client's address is known";
        let client = self.check(name, self.client_address()).await?;

        let own = format!("{client}/32");
        let deploy = self.echo_on(Place::First, &own, &[]);
        let name = "one of its ports is for the client alone, and one for nobody here";
        self.check(name, deploy).await?;
        self.check("both nodes keep to the limits", self.expect_limits())
            .await?;

        let deploy = self.echo_on(Place::Second, &own, &["asker"]);
        let name = "it moves to the second node, and an application links its UDP port";
        self.check(name, deploy).await?;
        let name = "both nodes keep to the limits after the move";
        self.check(name, self.expect_limits()).await?;
        let name = "the link of UDP answers";
        self.check(name, self.expect_link()).await
    }

    /// Deploys the server on a node, and the other applications on the first one.
    async fn echo_on(&self, place: Place, client: &str, beside: &[&str]) -> Result<(), Failure> {
        let text = applications(self.layouts.first, client);
        let all = Applications {
            name: "limits",
            text: &text,
            names: &[],
        };
        let (mut first, mut second) = (beside.to_vec(), Vec::new());
        match place {
            Place::First => first.push("echo"),
            Place::Second => second.push("echo"),
        }
        let layout = all.on_both(&first, &second, self.layouts);
        let transcript = self.cluster.deploy(&layout, &[]).await?;
        transcript.expect_exit(0)
    }

    /// Asks by UDP through both nodes, and returns the address that the server saw on its own node.
    async fn client_address(&self) -> Result<Ipv4Addr, Failure> {
        eventually("UDP is answered through both nodes", PATIENCE, async || {
            let mut seen = Vec::new();
            for address in self.site.addresses() {
                let line = self.clients.ask_echo(address, OPEN, Way::Packets).await?;
                seen.push(line);
            }
            let line = seen.first().map_or("", String::as_str);
            let address = line.split(' ').nth(1).and_then(|text| text.parse().ok());
            address.ok_or_else(|| Failure::unexpected("`echo ADDRESS TEXT`", line))
        })
        .await
    }

    /// Each port answers to those for whom it is, through both nodes, by TCP and by UDP.
    async fn expect_limits(&self) -> Result<(), Failure> {
        let first = self.layouts.first;
        for (node, address) in self.site.addresses().into_iter().enumerate() {
            let at_first = if address == first {
                Answer::Echo
            } else {
                Answer::Refusal
            };
            for (port, expected) in [
                (OPEN, Answer::Echo),
                (FOR_CLIENT, Answer::Echo),
                (FOR_NOBODY, Answer::Silence),
                (FOR_NODES, Answer::Refusal),
                (AT_FIRST, at_first),
            ] {
                self.clients.expect_echo(address, port, expected).await?;
            }
            let ask = format!("bash -c '{ASK_CONNECTION}' 127.0.0.1 {FOR_NODES} here");
            let line = self.site.check(node, &ask).await?;
            expect(
                line.starts_with("echo ") && line.trim_end().ends_with(" here"),
                format!("an answer at 127.0.0.1 of {address}"),
                line,
            )?;
        }
        Ok(())
    }

    /// The container beside asks on its own `localhost`.
    async fn expect_link(&self) -> Result<(), Failure> {
        eventually("the link answers", PATIENCE, async || {
            let node = Place::First.node();
            let ask = format!("docker exec flocker-asker python3 -c '{ASK_INSIDE}' 7107 linked");
            let line = self.site.check(node, &ask).await?;
            let text = line.trim_end().rsplit(' ').next().unwrap_or_default();
            expect_same("linked", text)
        })
        .await
    }
}

/// Renders the application configuration.
fn applications(first: Ipv4Addr, client: &str) -> String {
    let both = |external: u16, more: &str| {
        ["tcp", "udp"].map(|protocol| {
            format!("    - {{external: {external}, internal: 7007, protocol: {protocol}{more}}}\n")
        })
    };
    let routes = [
        both(OPEN, ""),
        both(FOR_CLIENT, &format!(", from: [203.0.113.0/24, {client}]")),
        both(FOR_NOBODY, ", from: 203.0.113.0/24"),
        both(FOR_NODES, ", address: 127.0.0.1"),
        both(AT_FIRST, &format!(", address: {first}")),
    ];
    let routes = routes.concat().concat();
    format!(
        "echo:\n  image: flocker/echo\n  routes:\n{routes}asker:\n  image: flocker/echo\n  \
         links:\n    - {{application: echo, port: 7007/udp, local_port: 7107}}\n"
    )
}

impl super::super::clients::Clients<'_> {
    /// Asks a server of `flocker/echo`.
    async fn ask_echo(&self, address: Ipv4Addr, port: u16, way: Way) -> Result<String, Failure> {
        let script = match way {
            Way::Packets => ASK_PACKETS,
            Way::Connection => ASK_CONNECTION,
        };
        let (host, number) = (address.to_string(), port.to_string());
        let arguments = ["60", "bash", "-c", script, &host, &number, "hello"];
        let output = self.run("timeout", &arguments).await?;
        expect(
            output.success(),
            format!("an answer of {address}:{port} ({way:?})"),
            format!("{}, {:?}", output.status, output.stderr.trim()),
        )?;
        Ok(output.stdout.trim_end().to_owned())
    }

    /// Makes sure of what comes of a question by TCP and by UDP.
    async fn expect_echo(
        &self,
        address: Ipv4Addr,
        port: u16,
        expected: Answer,
    ) -> Result<(), Failure> {
        match expected {
            Answer::Echo => {
                for way in [Way::Packets, Way::Connection] {
                    let line = self.ask_echo(address, port, way).await?;
                    let is_echo = line.starts_with("echo ") && line.ends_with(" hello");
                    expect(is_echo, format!("an echo from {address}:{port}"), line)?;
                }
                Ok(())
            }
            Answer::Refusal => self.expect_refused(address, port).await,
            Answer::Silence => self.expect_silence(address, port).await,
        }
    }

    /// Makes sure that a connection is neither answered nor refused.
    async fn expect_silence(&self, address: Ipv4Addr, port: u16) -> Result<(), Failure> {
        let (host, number) = (address.to_string(), port.to_string());
        let connect = r#"exec 3<>"/dev/tcp/$0/$1""#;
        let arguments = ["5", "bash", "-c", connect, &host, &number];
        let output = self.run("timeout", &arguments).await?;
        // The status with which `timeout` exits when it had to end the command.
        expect(
            output.status.code() == Some(124),
            format!("no answer at all from {address}:{port}"),
            format!("{}, {:?}", output.status, output.stderr.trim()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_is_routed_for_tcp_and_udp() {
        let text = applications([192, 0, 2, 1].into(), "192.0.2.9/32");
        assert_eq!(text.matches("protocol: udp").count(), 5);
        assert_eq!(text.matches("protocol: tcp").count(), 5);
        let limited = "from: [203.0.113.0/24, 192.0.2.9/32]";
        assert_eq!(text.matches(limited).count(), 2);
    }
}
