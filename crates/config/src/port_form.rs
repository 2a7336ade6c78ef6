//! Ports as Compose, Fig and earlier releases of Flocker write them.

use flocker_model::Port;

use crate::quantity::{Refusal, parse_port};
use crate::tree::{ScalarKind, Value};

/// The ports of a route: external, internal.
type Pair = (Port, Port);

/// Reads `8080:80`, `80/tcp` and the like.
///
/// # Errors
/// Refuses what a route cannot be. `None` is no port in any form.
fn parse_form(text: &str) -> Option<Result<Pair, Refusal>> {
    let (numbers, protocol) = match text.split_once('/') {
        Some((numbers, protocol)) => (numbers, protocol),
        None => (text, "tcp"),
    };
    let mut parts = numbers.rsplitn(3, ':');
    let (internal, external, address) = (parts.next()?, parts.next(), parts.next());
    let internal_and_external = [internal, external.unwrap_or(internal)];
    let is_port = |text: &str| parse_port(text).is_ok();
    let is_range = |text: &str| text.split('-').all(is_port);
    if !internal_and_external.into_iter().all(is_range) || !is_protocol(protocol) {
        return None;
    }
    let refuse = |problem: &str, hint: &str| Some(Err(Refusal::new(problem, hint)));
    if protocol != "tcp" {
        return refuse("is not a TCP port", "only TCP is supported");
    }
    if address.is_some() {
        return refuse(
            "is limited to an address of the node",
            "a route answers at every address of every node, and cannot be limited; a port that \
             only other applications use needs a link and no route",
        );
    }
    let [Ok(internal), Ok(external)] = internal_and_external.map(parse_port) else {
        return refuse(
            "is a range of ports",
            "write each port as an item of its own",
        );
    };
    Some(Ok((external, internal)))
}

fn is_protocol(text: &str) -> bool {
    matches!(text, "tcp" | "udp" | "sctp")
}

/// Says what is wrong with a text in the place of a port, and what to write.
pub(crate) fn refuse_form(text: &str) -> Option<Refusal> {
    Some(match parse_form(text)? {
        Err(refusal) => refusal,
        Ok(pair) => Refusal::new(
            "is not a port number",
            format!("write `{}`", write_pair(pair)),
        ),
    })
}

/// Writes a pair as an item of `routes`.
fn write_pair((external, internal): Pair) -> String {
    if external == internal {
        internal.to_string()
    } else {
        format!("{{external: {external}, internal: {internal}}}")
    }
}

/// Writes another program's list of ports as `routes`, if each of them can be a route.
pub(crate) fn write_routes(value: Value<'_>) -> Option<String> {
    let items = value.items()?;
    let pairs: Option<Vec<String>> = items
        .into_iter()
        .map(|item| pair_of(item).map(write_pair))
        .collect();
    let pairs = pairs.filter(|pairs| !pairs.is_empty())?;
    Some(format!("[{}]", pairs.join(", ")))
}

/// Reads an item in the form of Compose or of an earlier release.
fn pair_of(item: Value<'_>) -> Option<Pair> {
    if let Some(text) = item.text() {
        return parse_form(text)?.ok();
    }
    let entries = item.entries()?;
    let port = |ours: &str, theirs: &str| {
        let entry = item.get(ours).or_else(|| item.get(theirs))?;
        parse_port(entry.value.text()?).ok()
    };
    let is_plain = entries.iter().all(|entry| match entry.key.value.as_str() {
        "internal" | "external" | "target" | "published" => true,
        "protocol" => entry.value.text() == Some("tcp"),
        _ => false,
    });
    let (external, internal) = (port("external", "published")?, port("internal", "target")?);
    is_plain.then_some((external, internal))
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

    #[test]
    fn forms_of_other_programs_are_told_apart() {
        let route = |text: &str| {
            let form = parse_form(text)?;
            Some(form.map(write_pair).map_err(|refusal| refusal.problem))
        };
        let ok = |text: &str| Some(Ok(text.to_owned()));
        let refused = |problem: &str| Some(Err(problem.to_owned()));
        assert_eq!(route("8080:80"), ok("{external: 8080, internal: 80}"));
        assert_eq!(route("53:53/tcp"), ok("53"));
        assert_eq!(route("53/udp"), refused("is not a TCP port"));
        assert_eq!(
            route("127.0.0.1:8080:80"),
            refused("is limited to an address of the node")
        );
        assert_eq!(
            route("[::1]:8080:80"),
            refused("is limited to an address of the node")
        );
        assert_eq!(route("30000-30010"), refused("is a range of ports"));
        assert_eq!(route("3000-3001:80-81"), refused("is a range of ports"));
        for text in ["", "http", "80/http", "1:b", "-", "80-", ":", "70000"] {
            assert_eq!(route(text), None, "{text}");
        }
    }
}
