//! What is wanted of machines, made up in small numbers.

use std::collections::{BTreeMap, BTreeSet};

use flocker_model::{
    Application, ApplicationName, ByteCount, DependencyCondition, Deployment, ImageReference, Link,
    LoopbackAddress, NodeName, Port, Protocol, RestartPolicy, SharedMount, SharedVolume,
    VolumeLayout, VolumeSpecification,
};
use proptest::prelude::{Strategy, any};
use proptest::{collection, option};

/// How many applications there are.
pub(super) const APPLICATIONS: usize = 3;

/// Reads a name that is written here.
pub(super) fn name<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).unwrap_or_else(|_| panic!("`{text}` is not a name"))
}

pub(super) fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

pub(super) fn node_name(index: usize) -> NodeName {
    name(&format!("10.0.0.{}", index + 1))
}

pub(super) fn application_name(index: usize) -> ApplicationName {
    name(&format!("app-{index}"))
}

/// What one application should be, in small numbers, so that a failing case can be shrunk.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
pub(super) struct Wish {
    /// On which machine it runs, if it does.
    pub(super) place: Option<usize>,
    /// Which image.
    pub(super) version: bool,
    /// Whether its volume has a limit.
    pub(super) limited: bool,
    /// Whether it is linked to the next application.
    pub(super) linked: bool,
    /// Whether its port goes to the next application.
    pub(super) shifted: bool,
    /// Whether it is left alone once it has ended by itself.
    pub(super) once: bool,
    /// Whether it has a host name of its own, for which its network is made anew.
    pub(super) named: bool,
    /// Whether it waits for the application before it.
    pub(super) dependent: bool,
    /// Whether it sees the volume of the first application, if it has none itself.
    pub(super) shares: bool,
}

impl Wish {
    /// An application at a place, and nothing else.
    pub(super) const fn at(place: usize) -> Self {
        Self {
            place: Some(place),
            version: false,
            limited: false,
            linked: false,
            shifted: false,
            once: false,
            named: false,
            dependent: false,
            shares: false,
        }
    }
}

/// Makes up what should be on `nodes` machines.
pub(super) fn wishes(nodes: usize) -> impl Strategy<Value = Vec<Wish>> {
    let rarely = proptest::bool::weighted;
    let choices = (any::<[bool; 4]>(), rarely(0.2), rarely(0.2), rarely(0.3));
    let wish = (option::weighted(0.85, 0..nodes), choices);
    let wish = wish.prop_map(
        |(place, ([version, limited, linked, shifted], once, named, dependent))| Wish {
            place,
            version,
            limited,
            linked,
            shifted,
            once,
            named,
            dependent,
            // What has no volume has no limit either.
            shares: limited,
        },
    );
    collection::vec(wish, APPLICATIONS)
}

/// Turns wishes into a deployment. All but the last application have a volume; that one may see the
/// volume of the first, where that is placed.
pub(super) fn deployment(nodes: usize, wishes: &[Wish]) -> Deployment {
    let mut deployment = Deployment {
        applications: BTreeMap::new(),
        nodes: (0..nodes)
            .map(|index| (node_name(index), BTreeSet::new()))
            .collect(),
    };
    let shift = usize::from(wishes.iter().all(|wish| wish.shifted));
    for (index, wish) in wishes.iter().enumerate() {
        let next = (index + 1) % wishes.len();
        let outside = 8000 + u16::try_from((index + shift) % wishes.len()).unwrap();
        let image: ImageReference = name(if wish.version { "image:2" } else { "image:1" });
        let shares = wish.shares && index + 1 == APPLICATIONS;
        let mut application = Application {
            shared: shares.then(first_volume),
            volume: (index + 1 < APPLICATIONS).then(|| VolumeSpecification {
                layout: VolumeLayout::Whole {
                    mountpoint: name("/data"),
                },
                maximum_size: wish.limited.then(|| ByteCount::mebibytes(64)),
            }),
            routes: BTreeMap::from([(port(outside).into(), port(80).into())]),
            links: wish
                .linked
                .then(|| Link {
                    target: application_name(next),
                    port: port(80),
                    local_port: port(81),
                    protocol: Protocol::Udp,
                    address: LoopbackAddress::LOCALHOST,
                })
                .into_iter()
                .collect(),
            restart: if wish.once {
                RestartPolicy::Never
            } else {
                RestartPolicy::Always
            },
            depends_on: dependency(wishes, index).into_iter().collect(),
            ..Application::new(image)
        };
        application.options.network.hostname = wish.named.then(|| name("other"));
        let name = application_name(index);
        deployment.applications.insert(name.clone(), application);
        let place = if shares { wishes[0].place } else { wish.place };
        if let (Some(place), Some(_)) = (place, wish.place) {
            let placed = deployment.nodes.get_mut(&node_name(place)).unwrap();
            placed.insert(name);
        }
    }
    deployment
}

/// The application before this one, for which it waits.
fn dependency(wishes: &[Wish], index: usize) -> Option<(ApplicationName, DependencyCondition)> {
    let before = index.checked_sub(1).filter(|_| wishes[index].dependent)?;
    let condition = if wishes[before].once {
        DependencyCondition::Completed
    } else {
        DependencyCondition::Healthy
    };
    Some((application_name(before), condition))
}

/// The volume of the first application, as the last one sees it.
fn first_volume() -> SharedVolume {
    let mount = SharedMount {
        directory: None,
        read_only: false,
    };
    SharedVolume {
        application: application_name(0),
        mounts: BTreeMap::from([(name("/data"), mount)]),
    }
}
