//! In which order applications are placed and started: pure.

use std::collections::BTreeSet;

use flocker_model::ApplicationName;

/// The edges from an application to others.
type Edges<'e, 'a> = dyn Fn(&ApplicationName) -> Vec<&'a ApplicationName> + 'e;

/// Puts applications in an order in which all that one depends on comes before it. What its links lead
/// to comes before it as well, as far as links form no circle, also with dependencies.
pub(super) fn in_order<'a>(
    names: impl IntoIterator<Item = &'a ApplicationName>,
    dependencies: &Edges<'_, 'a>,
    links: &Edges<'_, 'a>,
) -> Vec<&'a ApplicationName> {
    let mut walk = Walk {
        dependencies,
        links,
        order: Vec::new(),
        path: Vec::new(),
    };
    for name in names {
        walk.visit(name);
    }
    walk.order
}

/// A walk along both kinds of edges, deepest first.
struct Walk<'e, 'a> {
    dependencies: &'e Edges<'e, 'a>,
    links: &'e Edges<'e, 'a>,
    order: Vec<&'a ApplicationName>,
    /// The applications that are being visited.
    path: Vec<&'a ApplicationName>,
}

impl<'a> Walk<'_, 'a> {
    fn visit(&mut self, name: &'a ApplicationName) {
        if self.order.contains(&name) || self.path.contains(&name) {
            return;
        }
        self.path.push(name);
        for dependency in (self.dependencies)(name) {
            self.visit(dependency);
        }
        for target in (self.links)(name) {
            if !self.depends_on_path(target) {
                self.visit(target);
            }
        }
        self.path.pop();
        self.order.push(name);
    }

    /// Tells whether an application depends, directly or not, on one that is being visited: it can only
    /// come after that.
    fn depends_on_path(&self, name: &'a ApplicationName) -> bool {
        let mut seen = BTreeSet::from([name]);
        let mut open = vec![name];
        while let Some(next) = open.pop() {
            if self.path.contains(&next) {
                return true;
            }
            let dependencies = (self.dependencies)(next).into_iter();
            open.extend(dependencies.filter(|dependency| seen.insert(dependency)));
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Orders applications of one letter; an edge is two letters, the later application first.
    fn order(names: &str, dependencies: &str, links: &str) -> String {
        let name = |letter: char| letter.to_string().parse::<ApplicationName>().unwrap();
        let names: Vec<ApplicationName> = names.chars().map(name).collect();
        let edges = |text: &str| -> Vec<(ApplicationName, ApplicationName)> {
            let pairs = text.split_whitespace();
            pairs
                .map(|pair| {
                    let mut letters = pair.chars().map(name);
                    (letters.next().unwrap(), letters.next().unwrap())
                })
                .collect()
        };
        let (dependencies, links) = (edges(dependencies), edges(links));
        let from = |edges: &'_ [(ApplicationName, ApplicationName)], name: &ApplicationName| {
            let own = edges.iter().filter(|(from, _)| from == name);
            own.map(|(_, to)| names.iter().find(|name| *name == to).unwrap())
                .collect::<Vec<_>>()
        };
        let ordered = in_order(&names, &|name| from(&dependencies, name), &|name| {
            from(&links, name)
        });
        ordered.iter().map(|name| name.as_str()).collect()
    }

    #[test]
    fn dependencies_come_first_whatever_links_say() {
        assert_eq!(order("abc", "", "ab bc"), "cba");
        assert_eq!(order("abc", "ac", "ca"), "cab");
        assert_eq!(order("ab", "ba", "ab"), "ab");
        // The link of a leads, by way of b, to what depends on a.
        assert_eq!(order("abc", "ca", "ab bc"), "bac");
        assert_eq!(order("abc", "", "ab bc ca"), "cba");
    }
}
