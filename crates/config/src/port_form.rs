//! Ports as text: Compose's short forms, and hints for what is none.

use std::net::{Ipv4Addr, Ipv6Addr};

use flocker_model::{Port, Protocol, RoutePort, ServicePort};

use crate::phrase::double_quoted;
use crate::quantity::{Refusal, parse_port};
use crate::tree::{ScalarKind, Value};

/// How many ports one range may have.
const LONGEST_RANGE: u16 = 1000;

/// The forms that a hint names.
const FORMS: &str = "write a port like `443`, `8080:80`, `53/udp`, `3000-3005` or \
                     `192.0.2.1:8080:80`";

/// One port, or several that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortRange {
    first: Port,
    last: Port,
}

impl PortRange {
    /// Reads `80` or `3000-3005`.
    ///
    /// # Errors
    /// Refuses what is neither, and what is too long.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let Some((first, last)) = text.split_once('-').filter(|(first, _)| !first.is_empty())
        else {
            return parse_port(text).map(Self::from);
        };
        let (first, last) = (parse_port(first)?, parse_port(last)?);
        if last < first {
            let hint = format!("write `{last}-{first}`");
            return Err(Refusal::new("ends before it begins", hint));
        }
        let range = Self { first, last };
        if range.count() > LONGEST_RANGE {
            let problem = format!("is a range of {} ports", range.count());
            let last = first.get().saturating_add(LONGEST_RANGE - 1);
            let hint = format!(
                "a range has at most {LONGEST_RANGE} ports: write several, of which the first is \
                 `{first}-{last}`"
            );
            return Err(Refusal::new(&problem, hint));
        }
        Ok(range)
    }

    /// Returns the number of its ports, at most 65535.
    fn count(self) -> u16 {
        (self.last.get() - self.first.get()).saturating_add(1)
    }

    /// Pairs its ports with those of another one.
    ///
    /// # Errors
    /// Refuses a range that is longer than the other.
    fn zip(self, other: Self) -> Result<impl Iterator<Item = (Port, Port)>, Refusal> {
        if self.count() == other.count() {
            let ports = |range: Self| (range.first.get()..=range.last.get()).filter_map(Port::new);
            return Ok(ports(self).zip(ports(other)));
        }
        let problem = format!(
            "has {} external and {} internal ports",
            self.count(),
            other.count()
        );
        let hint = "write as many external ports as internal ones";
        Err(Refusal::new(&problem, hint))
    }
}

impl From<Port> for PortRange {
    fn from(port: Port) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

impl std::fmt::Display for PortRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.first.fmt(formatter)?;
        if self.first == self.last {
            return Ok(());
        }
        write!(formatter, "-{}", self.last)
    }
}

/// A route, or several, without the networks that may use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RouteForm {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) external: PortRange,
    pub(crate) internal: PortRange,
    pub(crate) protocol: Protocol,
}

impl RouteForm {
    /// Reads Compose's short form: `[[ADDRESS:]EXTERNAL:]INTERNAL[/PROTOCOL]`, ranges included.
    ///
    /// **Source**: Compose Specification, "ports", short syntax.
    ///
    /// # Errors
    /// Refuses what is no such text, and what a route cannot be.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let (numbers, protocol) = split_protocol(text)?;
        let mut parts = numbers.rsplitn(3, ':');
        let (internal, external, address) = (parts.next(), parts.next(), parts.next());
        let internal = read_range(internal.unwrap_or_default())?;
        let external = match external {
            None => internal,
            Some("") => {
                let hint = "write the port that answers as well; Flocker chooses none by itself";
                return Err(Refusal::new("has no external port", hint));
            }
            Some(external) => read_range(external)?,
        };
        let form = Self {
            address: address.map(parse_bind_address).transpose()?.flatten(),
            external,
            internal,
            protocol,
        };
        form.ports().map(|_| form)
    }

    /// Lists the routes: the port that answers, and the one inside the container.
    ///
    /// # Errors
    /// Refuses ranges of different lengths.
    pub(crate) fn ports(&self) -> Result<impl Iterator<Item = (RoutePort, Port)>, Refusal> {
        let (address, protocol) = (self.address, self.protocol);
        let pairs = self.external.zip(self.internal)?;
        Ok(pairs.map(move |(external, internal)| {
            let port = ServicePort {
                protocol,
                port: external,
            };
            (RoutePort { address, port }, internal)
        }))
    }

    /// Writes it as an item of `routes`.
    fn write(&self) -> String {
        let address = self.address.map(|address| format!("{address}:"));
        let external = (self.address.is_some() || self.external != self.internal)
            .then(|| format!("{}:", self.external));
        let protocol = match self.protocol {
            Protocol::Tcp => "",
            Protocol::Udp => "/udp",
        };
        let text = format!(
            "{}{}{}{protocol}",
            address.unwrap_or_default(),
            external.unwrap_or_default(),
            self.internal
        );
        match parse_port(&text) {
            Ok(port) => port.to_string(),
            Err(_) => double_quoted(&text),
        }
    }
}

/// Reads one part of a short form. One that is no number at all is answered with the forms.
fn read_range(text: &str) -> Result<PortRange, Refusal> {
    let is_digit = |character: char| character.is_ascii_digit();
    let is_range = |character| is_digit(character) || character == '-';
    let is_number =
        text.chars().all(is_range) && text.starts_with(is_digit) && text.ends_with(is_digit);
    PortRange::parse(text).map_err(|refusal| {
        if is_number {
            refusal
        } else {
            Refusal::new("is not a port", FORMS)
        }
    })
}

/// Takes the protocol off the end of a text.
///
/// # Errors
/// Refuses protocols that routes and links cannot have.
fn split_protocol(text: &str) -> Result<(&str, Protocol), Refusal> {
    match text.split_once('/') {
        None => Ok((text, Protocol::Tcp)),
        Some((numbers, protocol)) => Ok((numbers, parse_protocol(protocol)?)),
    }
}

/// Reads a protocol.
///
/// # Errors
/// Refuses all but TCP and UDP.
pub(crate) fn parse_protocol(text: &str) -> Result<Protocol, Refusal> {
    let known = Protocol::ALL.into_iter().find(|it| it.name() == text);
    known.ok_or_else(|| match text {
        "sctp" => Refusal::new("is SCTP", "only `tcp` and `udp` are supported"),
        _ => Refusal::new("has an unknown protocol", "write `tcp` or `udp`"),
    })
}

/// Reads the address at which a route answers; `None` for every one.
///
/// # Errors
/// Refuses what is no address of IPv4.
pub(crate) fn parse_bind_address(text: &str) -> Result<Option<Ipv4Addr>, Refusal> {
    let version_6 = text.trim_start_matches('[').trim_end_matches(']');
    if version_6.parse::<Ipv6Addr>().is_ok() {
        let hint = "routes answer on IPv4 alone; leave the address out, or write one of IPv4";
        return Err(Refusal::new("is at an IPv6 address", hint));
    }
    match text.parse::<Ipv4Addr>() {
        Ok(address) => Ok(Some(address).filter(|it| !it.is_unspecified())),
        Err(_) => Err(Refusal::new(
            "is not at an IPv4 address",
            "write an address of a node like `192.0.2.1`, or `127.0.0.1` for programs on the node",
        )),
    }
}

/// Reads a port with its protocol: `53/udp`.
///
/// # Errors
/// Refuses what is none.
pub(crate) fn parse_service_port(text: &str) -> Result<ServicePort, Refusal> {
    let (number, protocol) = split_protocol(text)?;
    let port = parse_port(number)?;
    Ok(ServicePort { protocol, port })
}

/// Says what is wrong with a text in the place of a single port, and what to write.
pub(crate) fn refuse_form(text: &str) -> Option<Refusal> {
    let form = RouteForm::parse(text).ok()?;
    let port = form.internal.first;
    Some(match form.internal.count() {
        1 => Refusal::new("is not a port number", format!("write `{port}`")),
        _ => Refusal::new("is a range of ports", "write one port"),
    })
}

/// Writes another program's list of ports as `routes`, if each of them can be a route.
pub(crate) fn write_routes(value: Value<'_>) -> Option<String> {
    let items = value.items()?;
    let routes: Option<Vec<String>> = items
        .into_iter()
        .map(|item| form_of(item).map(|form| form.write()))
        .collect();
    let routes = routes.filter(|routes| !routes.is_empty())?;
    Some(format!("[{}]", routes.join(", ")))
}

/// Reads an item in the form of Compose or of an earlier release.
fn form_of(item: Value<'_>) -> Option<RouteForm> {
    if let Some(text) = item.text() {
        return RouteForm::parse(text).ok();
    }
    let entries = item.entries()?;
    let known = [
        "internal",
        "external",
        "target",
        "published",
        "protocol",
        "host_ip",
        "address",
    ];
    let is_plain = |key: &str| known.contains(&key);
    if !entries.iter().all(|entry| is_plain(&entry.key.value)) {
        return None;
    }
    let text = |ours: &str, theirs: &str| {
        let entry = item.get(ours).or_else(|| item.get(theirs));
        entry.map(|entry| entry.value.text())
    };
    let port = |text: Option<Option<&str>>| PortRange::parse(text??).ok();
    let address = text("address", "host_ip").map(|text| parse_bind_address(text?).ok());
    let protocol = text("protocol", "protocol").map(|text| parse_protocol(text?).ok());
    let form = RouteForm {
        address: address.unwrap_or(Some(None))?,
        external: port(text("external", "published"))?,
        internal: port(text("internal", "target"))?,
        protocol: protocol.unwrap_or(Some(Protocol::Tcp))?,
    };
    form.ports().is_ok().then_some(form)
}

/// Writes a port that is a number in quotes without them.
pub(crate) fn unquoted(kind: ScalarKind, text: &str) -> Option<Refusal> {
    let port = parse_port(text)
        .ok()
        .filter(|_| kind == ScalarKind::String)?;
    let hint = format!("write `{port}` without quotes");
    Some(Refusal::new("must be a number, not a string", hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(text: &str) -> Result<String, String> {
        let form = RouteForm::parse(text).map_err(|refusal| refusal.problem)?;
        let routes = form.ports().map_err(|refusal| refusal.problem)?;
        let routes: Vec<_> = routes
            .map(|(external, internal)| format!("{external} to {internal}"))
            .collect();
        Ok(routes.join(", "))
    }

    #[test]
    fn composes_short_forms_are_routes() {
        let is = |text: &str, expected: &str| assert_eq!(routes(text).as_deref(), Ok(expected));
        is("443", "443 to 443");
        is("8080:80", "8080 to 80");
        is("53/udp", "53/udp to 53");
        is("53:5353/udp", "53/udp to 5353");
        is("53:53/tcp", "53 to 53");
        is("127.0.0.1:8080:80", "127.0.0.1:8080 to 80");
        is("192.0.2.1:53:53/udp", "192.0.2.1:53/udp to 53");
        is("0.0.0.0:8080:80", "8080 to 80");
        is("3000-3001", "3000 to 3000, 3001 to 3001");
        is("3000-3001:80-81", "3000 to 80, 3001 to 81");
        is(
            "1-1000/udp",
            &(1..=1000)
                .map(|it| format!("{it}/udp to {it}"))
                .collect::<Vec<_>>()
                .join(", "),
        );
    }

    #[test]
    fn what_is_no_route_is_refused_with_the_reason() {
        let is = |text: &str, expected: &str| {
            assert_eq!(routes(text).unwrap_err(), expected, "{text}");
        };
        is("53/sctp", "is SCTP");
        is("80/http", "has an unknown protocol");
        is("[::1]:8080:80", "is at an IPv6 address");
        is("node1:8080:80", "is not at an IPv4 address");
        is("127.0.0.1::80", "has no external port");
        is(":80", "has no external port");
        is("3000-3010:80", "has 11 external and 1 internal ports");
        is("3001-3000", "ends before it begins");
        is("1-1001", "is a range of 1001 ports");
        is("1-65535", "is a range of 65535 ports");
        is("10000-20000:10000-20000/udp", "is a range of 10001 ports");
        is("70000:80", "is out of range");
        is("080", "can be read in more than one way");
        for text in ["", "http", "80-", "1:b", "b:1", "-", ":", "1.2.3.4:"] {
            is(text, "is not a port");
        }
    }

    #[test]
    fn a_port_with_a_protocol_is_read() {
        let read = |text: &str| parse_service_port(text).map(|port| port.to_string());
        assert_eq!(read("53/udp").unwrap(), "53/udp");
        assert_eq!(read("53/tcp").unwrap(), "53");
        assert!(read("53/").is_err());
        assert!(read("x/udp").is_err());
    }
}
