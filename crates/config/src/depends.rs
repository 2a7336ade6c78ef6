//! The key `depends_on`: which applications are started before this one.

use std::collections::BTreeMap;

use flocker_model::{DependencyCondition, HealthCheck, RestartPolicy};

use crate::application::Draft;
use crate::fields::Field;
use crate::keys::KnownKeys;
use crate::phrase::quote;
use crate::report::{Finding, Report};
use crate::source::{Located, Span};
use crate::suggest::nearest;
use crate::tree::{Entry, ScalarKind};

const KEYS: KnownKeys = KnownKeys {
    keys: &["condition", "required", "restart"],
    foreign: &[],
};

const STARTED: &str = "service_started";
const HEALTHY: &str = "service_healthy";
const COMPLETED: &str = "service_completed_successfully";

/// A dependency as it was written; its target may not exist.
#[derive(Debug, Clone)]
pub(crate) struct DraftDependency {
    pub(crate) target: Located<String>,
    pub(crate) condition: DependencyCondition,
    /// Whether the target has to be placed.
    pub(crate) required: bool,
}

/// Reads the dependencies of the application that messages call `owner`.
pub(crate) fn read_dependencies(
    field: &Field<'_>,
    owner: &str,
    report: &mut Report,
) -> Vec<DraftDependency> {
    if let Some(entries) = field.value.entries() {
        return entries
            .into_iter()
            .filter_map(|entry| read_entry(entry, owner, report))
            .collect();
    }
    let hint = || {
        let name = field.value.text()?;
        Some(field.line(&format!("[{name}]")))
    };
    let items = field.list("a list of applications", report, hint);
    let mut dependencies: Vec<DraftDependency> = Vec::new();
    for item in items.unwrap_or_default() {
        let name = Field::item(format!("an application in {}", field.what), item);
        let Some(target) = name.name(report) else {
            continue;
        };
        if let Some(first) = dependencies
            .iter()
            .find(|other| other.target.value == target.value)
        {
            report.error(|| {
                let message = format!("{} has {} twice", field.what, quote(&target.value));
                Finding::at(target.span, message).also(first.target.span, "it is here already")
            });
            continue;
        }
        dependencies.push(DraftDependency {
            target,
            condition: DependencyCondition::Started,
            required: true,
        });
    }
    dependencies
}

/// Reads an application with its condition.
fn read_entry(entry: Entry<'_>, owner: &str, report: &mut Report) -> Option<DraftDependency> {
    let target = entry.key.clone();
    let name = format!("the dependency of {owner} on {}", quote(&target.value));
    let Some(entries) = entry.value.entries() else {
        report.error(|| {
            let finding = if entry.value.is_null() {
                Finding::at(target.span, format!("{name} has no condition"))
            } else {
                Field::item(name.clone(), entry.value).wrong_type("a mapping")
            };
            finding.hint(format!(
                "write `{}: {{condition: {STARTED}}}`",
                target.value
            ))
        });
        return None;
    };
    let meant = KEYS.check(&entries, &name, report);
    let of = |key: &str| entry.value.get(key).map(|entry| Field::of(entry, &name));
    let condition = of("condition");
    if condition.is_none() && !meant.contains(&"condition") {
        report.error(|| {
            Finding::at(target.span, format!("{name} has no `condition`"))
                .hint(format!("add `condition: {STARTED}`"))
        });
    }
    let condition = condition.and_then(|field| read_condition(&field, report));
    let required = of("required").and_then(|field| read_boolean(&field, report));
    if let Some(field) = of("restart")
        && read_boolean(&field, report) == Some(true)
    {
        report.warning(|| {
            let (dependent, target) = (owner, quote(&target.value));
            let message = format!(
                "{}: {dependent} is not restarted when {target} is",
                field.what
            );
            Finding::at(field.span(), message).hint(format!(
                "links lead to {target} again once it runs, so {dependent} has to reconnect"
            ))
        });
    }
    Some(DraftDependency {
        target,
        condition: condition?,
        required: required.unwrap_or(true),
    })
}

fn read_condition(field: &Field<'_>, report: &mut Report) -> Option<DependencyCondition> {
    match field.value.text() {
        Some(STARTED) => Some(DependencyCondition::Started),
        Some(HEALTHY) => Some(DependencyCondition::Healthy),
        Some(COMPLETED) => Some(DependencyCondition::Completed),
        text => {
            report.error(|| {
                let all = format!("it is `{STARTED}`, `{HEALTHY}` or `{COMPLETED}`");
                let Some(text) = text else {
                    return field.wrong_type("a condition").hint(all);
                };
                let message = format!("{}: {} is not a condition", field.what, quote(text));
                let guess = nearest(text, [STARTED, HEALTHY, COMPLETED]);
                Finding::at(field.span(), message).hint(match guess {
                    Some(guess) => format!("did you mean `{guess}`?"),
                    None => all,
                })
            });
            None
        }
    }
}

fn read_boolean(field: &Field<'_>, report: &mut Report) -> Option<bool> {
    let scalar = field.value.scalar();
    let boolean = scalar.filter(|scalar| scalar.kind == ScalarKind::Boolean);
    let Some(boolean) = boolean else {
        report.error(|| field.wrong_type("`true` or `false`"));
        return None;
    };
    let text = boolean.text.to_ascii_lowercase();
    Some(matches!(text.as_str(), "true" | "yes" | "on"))
}

/// Checks what applications depend on against the applications that are defined.
///
/// `did_you_mean` guesses the application that was meant.
pub(crate) fn check_dependencies(
    drafts: &[Draft],
    did_you_mean: impl Fn(&str) -> Option<String>,
    report: &mut Report,
) {
    let defined: BTreeMap<&str, &Draft> = drafts
        .iter()
        .map(|draft| (draft.name.value.as_str(), draft))
        .collect();
    for draft in drafts {
        let owner = quote(&draft.name.value);
        for dependency in &draft.depends_on {
            let target = &dependency.target;
            match defined.get(target.value.as_str()) {
                None => report.error(|| {
                    let missing = quote(&target.value);
                    let message = format!("{owner} depends on {missing}, which is not defined");
                    Finding::at(target.span, message).maybe_hint(did_you_mean(&target.value))
                }),
                Some(other) => check_condition(&owner, dependency, other, report),
            }
        }
    }
    check_circles(drafts, &defined, report);
}

/// Checks that the target can ever be as it is waited for.
fn check_condition(owner: &str, dependency: &DraftDependency, other: &Draft, report: &mut Report) {
    let target = quote(&other.name.value);
    let at = dependency.target.span;
    match dependency.condition {
        DependencyCondition::Completed if other.restart == RestartPolicy::Always => {
            report.error(|| {
                let message =
                    format!("{owner} waits for {target} to end, and {target} never ends for good");
                Finding::at(at, message).hint(format!(
                    "add `restart: on-failure` or `restart: never` to {target}"
                ))
            });
        }
        DependencyCondition::Healthy => {
            if let Some(check) = &other.health_check
                && check.value == HealthCheck::Disabled
            {
                report.error(|| {
                    let message = format!(
                        "{owner} waits for the health check of {target}, which is disabled"
                    );
                    Finding::at(at, message)
                        .also(check.span, "it is disabled here")
                        .hint(format!("write `condition: {STARTED}`"))
                });
            }
        }
        DependencyCondition::Started | DependencyCondition::Completed => {}
    }
}

/// Reports each circle once, with every place that is a part of it.
fn check_circles<'d>(
    drafts: &'d [Draft],
    defined: &BTreeMap<&str, &'d Draft>,
    report: &mut Report,
) {
    let mut search = Search {
        defined,
        done: BTreeMap::new(),
        path: Vec::new(),
    };
    for draft in drafts {
        search.visit(draft, report);
    }
}

/// Lists the applications that come first: those that this one depends on, and the one whose volume it
/// sees.
fn earlier(draft: &Draft) -> impl Iterator<Item = Need<'_>> {
    let need = |is_volume| move |target| Need { target, is_volume };
    let targets = draft.depends_on.iter().map(|dependency| &dependency.target);
    let owners = draft.data.shares.iter().map(|share| &share.application);
    // One that sees its own volume is reported elsewhere.
    let owners = owners.filter(|owner| owner.value != draft.name.value);
    targets.map(need(false)).chain(owners.map(need(true)))
}

/// An application that comes first.
#[derive(Clone, Copy)]
struct Need<'d> {
    target: &'d Located<String>,
    /// Whether it has to come first because its volume is seen.
    is_volume: bool,
}

/// A walk along dependencies, deepest first.
struct Search<'s, 'd> {
    defined: &'s BTreeMap<&'s str, &'d Draft>,
    /// Whether all that an application leads to was visited.
    done: BTreeMap<&'d str, bool>,
    /// The dependencies on the way.
    path: Vec<(&'d str, Need<'d>)>,
}

impl<'d> Search<'_, 'd> {
    fn visit(&mut self, start: &'d Draft, report: &mut Report) {
        // A stack of its own: a chain may be as long as the file has applications.
        let mut open: Vec<(&'d Draft, usize)> = Vec::new();
        if self.begin(start) {
            open.push((start, 0));
        }
        while let Some((draft, position)) = open.last_mut() {
            let Some(need) = earlier(draft).nth(*position) else {
                self.done.insert(draft.name.value.as_str(), true);
                self.path.pop();
                open.pop();
                continue;
            };
            *position += 1;
            let (name, target) = (draft.name.value.as_str(), need.target);
            let Some(next) = self.defined.get(target.value.as_str()).copied() else {
                continue;
            };
            self.path.push((name, need));
            if self.begin(next) {
                open.push((next, 0));
                continue;
            }
            if self.done.get(target.value.as_str()) == Some(&false) {
                let circle = self
                    .path
                    .iter()
                    .skip_while(|(from, _)| *from != target.value);
                let circle: Vec<_> = circle.copied().collect();
                report.error(|| describe_circle(&circle));
            }
            self.path.pop();
        }
    }

    /// Notes that an application is visited, unless it was before.
    fn begin(&mut self, draft: &'d Draft) -> bool {
        let name = draft.name.value.as_str();
        let is_new = !self.done.contains_key(name);
        if is_new {
            self.done.insert(name, false);
        }
        is_new
    }
}

fn describe_circle(circle: &[(&str, Need<'_>)]) -> Finding {
    let Some(((first, need), rest)) = circle.split_first() else {
        return Finding::whole_file(
            crate::source::File::Application,
            "applications depend on each other",
        );
    };
    let mut finding = if rest.is_empty() {
        let message = format!("{} depends on itself", quote(first));
        return Finding::at(need.target.span, message).hint("remove it");
    } else {
        let mut chain = vec![quote(first)];
        chain.extend(circle.iter().map(|(_, need)| quote(&need.target.value)));
        let chain = chain.join(" → ");
        let message = format!("applications depend on each other in a circle: {chain}");
        let volume = circle.iter().find(|(_, need)| need.is_volume);
        Finding::at(need.target.span, message).hint(match volume {
            Some((job, need)) => hint_for_job(&quote(job), &quote(&need.target.value)),
            None => "remove one of these dependencies".to_owned(),
        })
    };
    for (from, need) in rest {
        let (from, target) = (quote(from), quote(&need.target.value));
        let note = if need.is_volume {
            format!("{from} sees the volume of {target}, which is started before it")
        } else {
            format!("{from} needs it here")
        };
        finding = finding.also(need.target.span, note);
    }
    finding
}

/// Words for an application that sees the volume of one that waits for it.
fn hint_for_job(job: &str, owner: &str) -> String {
    format!(
        "{job} starts after {owner}, whose volume it sees, so it cannot prepare that volume; let the \
         entry point of {owner} do it, or let {job} own the volume in a file of Flocker's own, where \
         {owner} sees it by `application: {}`",
        job.trim_matches('`')
    )
}

/// Checks that what a placed application needs is placed; `place_of` finds whether it is.
pub(crate) fn check_placed_dependencies(
    draft: &Draft,
    is_defined: impl Fn(&str) -> bool,
    is_placed: impl Fn(&str) -> bool,
    report: &mut Report,
) {
    for dependency in draft.depends_on.iter().filter(|it| it.required) {
        let target = &dependency.target;
        if is_defined(&target.value) && !is_placed(&target.value) {
            report.error(|| not_placed(draft, target.span, &target.value));
        }
    }
}

fn not_placed(draft: &Draft, at: Span, target: &str) -> Finding {
    let (owner, target) = (quote(&draft.name.value), quote(target));
    let message = format!("{owner} depends on {target}, which is placed on no node");
    Finding::at(at, message).hint(format!(
        "place {target}, or add `required: false` to this dependency"
    ))
}
