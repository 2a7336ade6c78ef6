//! What is deployed where: the files of `examples/trac`, and variants of them.

use std::net::Ipv4Addr;

const APPLICATIONS: &str = include_str!("../../../../examples/trac/application.yml");
const DEPLOYMENT: &str = include_str!("../../../../examples/trac/deployment.yml");
const DEPLOYMENT_MOVED: &str = include_str!("../../../../examples/trac/deployment-moved.yml");

/// The addresses in the example's files.
const EXAMPLE_ADDRESSES: [&str; 2] = ["192.168.77.11", "192.168.77.12"];

/// The database's password in the example's files.
pub(super) const DATABASE_PASSWORD: &str = "moves-with-its-data";

/// An application that keeps what it acknowledged.
pub(super) const LEDGER: &str = "
ledger:
  image: flocker/writer
  volume: /var/lib/writer
  routes: [7000]
  links: []
";

/// An image that is neither on a node nor in a registry.
pub(super) const NOBODYS_IMAGE: &str = "flocker/nobody-has-this";

/// The texts of both files for one deploy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// The beginning of the files' names.
    pub(super) name: &'static str,
    pub(super) applications: String,
    pub(super) deployment: String,
}

/// Layouts for two nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layouts {
    pub(super) first: Ipv4Addr,
    pub(super) second: Ipv4Addr,
}

impl Layouts {
    /// The example as it is: the database beside trac.
    pub(super) fn original(self) -> Layout {
        self.example("original", DEPLOYMENT)
    }

    /// The example after the move: the database beside the log server.
    pub(super) fn moved(self) -> Layout {
        self.example("moved", DEPLOYMENT_MOVED)
    }

    /// The log server is linked but not routed.
    pub(super) fn link_only(self) -> Layout {
        let moved = self.moved();
        Layout {
            name: "link-only",
            applications: moved.applications.replace("routes: [9200]", "routes: []"),
            ..moved
        }
    }

    /// The ledger on the first node, beside the moved example.
    pub(super) fn ledger_on_first(self) -> Layout {
        self.with_ledger("ledger-first", [&["ledger"], &[]])
    }

    /// The ledger on the second node, beside the moved example.
    pub(super) fn ledger_on_second(self) -> Layout {
        self.with_ledger("ledger-second", [&[], &["ledger"]])
    }

    /// The ledger on the first node, with a configuration with which it ends soon after each start.
    pub(super) fn broken_ledger_on_first(self) -> Layout {
        let ledger = self.ledger_on_first();
        Layout {
            name: "ledger-broken",
            applications: ledger.applications.replace(
                "image: flocker/writer",
                "image: flocker/writer\n  environment: {WRITER_PORT: \"99999\"}",
            ),
            ..ledger
        }
    }

    /// Everything on the first node; the second is not in the deployment.
    pub(super) fn one_node(self) -> Layout {
        let all = [
            "trac",
            "pgsql-trac",
            "elasticsearch-trac",
            "kibana-trac",
            "ledger",
        ];
        Layout {
            name: "one-node",
            deployment: render_deployment(&[(self.first, &all)]),
            ..self.ledger_on_first()
        }
    }

    /// After that: the database and the log page on the second node, all else where it was.
    pub(super) fn returned(self) -> Layout {
        Layout {
            name: "returned",
            deployment: render_deployment(&[
                (self.first, &["trac", "elasticsearch-trac", "ledger"]),
                (self.second, &["kibana-trac", "pgsql-trac"]),
            ]),
            ..self.ledger_on_first()
        }
    }

    /// The log page is to run an image that nobody has.
    pub(super) fn nobodys_image(self) -> Layout {
        let returned = self.returned();
        Layout {
            name: "nobodys-image",
            applications: returned
                .applications
                .replace("flocker/kibana", NOBODYS_IMAGE),
            ..returned
        }
    }

    /// The ledger is to move to a node that does not exist.
    pub(super) fn unreachable(self, nobody: Ipv4Addr) -> Layout {
        Layout {
            name: "unreachable",
            deployment: render_deployment(&[
                (self.first, &["trac", "elasticsearch-trac"]),
                (self.second, &["kibana-trac", "pgsql-trac"]),
                (nobody, &["ledger"]),
            ]),
            ..self.returned()
        }
    }

    fn with_ledger(self, name: &'static str, [first, second]: [&[&str]; 2]) -> Layout {
        let on_first = [&["trac"], first].concat();
        let on_second = [&["elasticsearch-trac", "kibana-trac", "pgsql-trac"], second].concat();
        Layout {
            name,
            applications: format!("{APPLICATIONS}{LEDGER}"),
            deployment: render_deployment(&[(self.first, &on_first), (self.second, &on_second)]),
        }
    }

    fn example(self, name: &'static str, deployment: &str) -> Layout {
        let [first, second] = EXAMPLE_ADDRESSES;
        // Through words that are no addresses, should the nodes have each other's.
        let deployment = deployment
            .replace(first, "<first>")
            .replace(second, "<second>")
            .replace("<first>", &self.first.to_string())
            .replace("<second>", &self.second.to_string());
        Layout {
            name,
            applications: APPLICATIONS.to_owned(),
            deployment,
        }
    }
}

pub(super) fn render_deployment(places: &[(Ipv4Addr, &[&str])]) -> String {
    let lines = places
        .iter()
        .map(|(node, names)| format!("  {node}: [{}]\n", names.join(", ")));
    format!("nodes:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layouts() -> Layouts {
        Layouts {
            first: Ipv4Addr::new(10, 0, 0, 1),
            second: Ipv4Addr::new(10, 0, 0, 2),
        }
    }

    #[test]
    fn the_example_is_deployed_on_whatever_nodes_there_are() {
        let Layout { deployment, .. } = layouts().original();
        assert!(deployment.contains("10.0.0.1: [trac, pgsql-trac]"));
        assert!(deployment.contains("10.0.0.2: [elasticsearch-trac, kibana-trac]"));
        let swapped = Layouts {
            first: "192.168.77.12".parse().unwrap(),
            second: "192.168.77.11".parse().unwrap(),
        };
        let Layout { deployment, .. } = swapped.original();
        assert!(deployment.contains("192.168.77.12: [trac, pgsql-trac]"));
    }

    #[test]
    fn each_variant_differs_from_what_it_is_made_of() {
        let layouts = layouts();
        let (moved, ledger) = (layouts.moved(), layouts.ledger_on_second());
        assert_ne!(layouts.original().deployment, moved.deployment);
        assert_ne!(layouts.link_only().applications, moved.applications);
        assert_ne!(
            layouts.nobodys_image().applications,
            layouts.returned().applications
        );
        assert_ne!(layouts.returned().deployment, ledger.deployment);
        let first = layouts.ledger_on_first();
        assert_ne!(first.deployment, ledger.deployment);
        assert_ne!(
            layouts.broken_ledger_on_first().applications,
            first.applications
        );
        assert!(APPLICATIONS.contains(DATABASE_PASSWORD));
    }
}
