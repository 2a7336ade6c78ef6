//! Where a routed port leads.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Port, SourceNetwork};

/// Where a route leads inside the container, and who may use it. It stays in its protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RouteText", into = "RouteText")]
pub struct Route {
    /// The port inside the container.
    pub port: Port,
    /// The networks that alone may connect; everybody may if it is empty.
    pub from: BTreeSet<SourceNetwork>,
}

impl From<Port> for Route {
    fn from(port: Port) -> Self {
        Self {
            port,
            from: BTreeSet::new(),
        }
    }
}

/// How a route is stored: a port alone where everybody may connect.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum RouteText {
    Open(Port),
    Limited {
        port: Port,
        from: BTreeSet<SourceNetwork>,
    },
}

impl From<RouteText> for Route {
    fn from(text: RouteText) -> Self {
        match text {
            RouteText::Open(port) => port.into(),
            RouteText::Limited { port, from } => Self { port, from },
        }
    }
}

impl From<Route> for RouteText {
    fn from(Route { port, from }: Route) -> Self {
        if from.is_empty() {
            Self::Open(port)
        } else {
            Self::Limited { port, from }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Application, Link, LoopbackAddress, Protocol};

    /// Nodes keep what an earlier release wrote, and know a deployment by its digest.
    #[test]
    fn routes_and_links_of_an_earlier_release_are_read_and_written_alike() {
        let mut application = Application::new("trac".parse().unwrap());
        let port = |number| Port::new(number).unwrap();
        application.routes = BTreeMap::from([(port(80).into(), port(8080).into())]);
        application.links = BTreeSet::from([Link {
            target: "db".parse().unwrap(),
            port: port(5432),
            local_port: port(5432),
            protocol: Protocol::Tcp,
            address: LoopbackAddress::LOCALHOST,
        }]);
        let text = serde_json::to_string(&application).unwrap();
        assert!(text.contains(r#""routes":{"80":8080}"#), "{text}");
        let link = r#""links":[{"target":"db","port":5432,"local_port":5432}]"#;
        assert!(text.contains(link), "{text}");
        let read: Application = serde_json::from_str(&text).unwrap();
        assert_eq!(read, application);
        let limited = r#"{"192.0.2.1:53/udp":{"port":53,"from":["10.0.0.0/8"]}}"#;
        application.routes = serde_json::from_str(limited).unwrap();
        let again = serde_json::to_string(&application.routes).unwrap();
        assert_eq!(again, limited);
    }
}
