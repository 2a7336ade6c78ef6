//! Values that the operator's machine has, and files that containers are given.

use std::fmt::Write as _;

use flocker_config::{
    NoValue, Parsed, Source, ValueSource, Values, parse_with_values, parse_with_warnings,
    wanted_values,
};
use flocker_model::{Application, Deployment, FileContents};

const SECRET: &str = "xyzzy";

fn sources(application: &str) -> (Source<'_>, Source<'_>) {
    let source = |name, bytes| Source { name, bytes };
    (
        source("application.yml", application.as_bytes()),
        source("deployment.yml", b"nodes: {1.1.1.1: [db]}\n"),
    )
}

fn values<const N: usize>(values: [(ValueSource, Result<&[u8], &str>); N]) -> Values {
    let value = |value: Result<&[u8], &str>| match value {
        Ok(bytes) => Ok(FileContents::from(bytes.to_vec())),
        Err(problem) => Err(NoValue {
            problem: problem.to_owned(),
            hint: Some("do something about it".to_owned()),
        }),
    };
    values.map(|(source, it)| (source, value(it))).into()
}

fn file(path: &str) -> ValueSource {
    ValueSource::File(path.to_owned())
}

/// Parses with these values, which are all that are wanted.
fn parsed(application: &str, values: Values) -> Result<Deployment, String> {
    let (application, deployment) = sources(application);
    let wanted = wanted_values(application, deployment).map_err(|wrong| wrong.to_string())?;
    assert!(wanted.iter().eq(values.keys()), "{wanted:?}");
    let parsed = parse_with_values(application, deployment, values);
    let parsed = parsed.map(|Parsed { deployment, .. }| deployment);
    parsed.map_err(|wrong| wrong.to_string())
}

fn database(deployment: &Deployment) -> &Application {
    let mut applications = deployment.applications.values();
    applications
        .next()
        .unwrap_or_else(|| panic!("no application"))
}

#[test]
fn a_variable_comes_from_a_file_a_variable_or_a_command() {
    let text = "\
db:
  image: postgres
  environment:
    A: {from_file: ./a.txt}
    B: {from_env: B_OF_OPERATOR}
    C: {from_command: [pass, show, \"$$c\"]}
    D: plain
";
    let command = ["pass", "show", "$c"].map(str::to_owned).to_vec();
    let values = values([
        (file("./a.txt"), Ok(b"one\n\n")),
        (
            ValueSource::Variable("B_OF_OPERATOR".to_owned()),
            Ok(b"two "),
        ),
        (ValueSource::Command(command), Ok(b"three\r\n")),
    ]);
    let deployment = parsed(text, values).unwrap();
    let environment = &database(&deployment).environment;
    let shown: Vec<&str> = environment
        .values()
        .map(flocker_model::Secret::reveal)
        .collect();
    assert_eq!(shown, ["one\n", "two ", "three", "plain"]);
}

#[test]
fn explicit_variables_win_over_those_of_files() {
    let text = "\
db:
  image: postgres
  env_file: [a.env, b.env]
  environment: {C: explicit}
";
    let values = values([
        (file("a.env"), Ok(b"A=a\nB=a\nC=a\n")),
        (file("b.env"), Ok(b"# comment\nexport B='b'\n")),
    ]);
    let deployment = parsed(text, values).unwrap();
    let environment = database(&deployment).environment.iter();
    let shown: Vec<String> = environment
        .map(|(name, value)| format!("{name}={}", value.reveal()))
        .collect();
    assert_eq!(shown, ["A=a", "B=b", "C=explicit"]);
}

#[test]
fn files_have_contents_owner_and_mode() {
    let text = "\
db:
  image: postgres
  volume: /var/lib/postgresql
  files:
    - {source: ./pg.conf, target: /var/lib/postgresql//pg.conf}
    - {from_file: ./key.bin, target: /etc/key, uid: \"999\", gid: 999, mode: 0440}
    - {content: \"a $$b\\n\", target: /etc/text, mode: \"600\"}
";
    let values = values([
        (file("./key.bin"), Ok(b"\xff\n")),
        (file("./pg.conf"), Ok(b"listen_addresses = '*'\n")),
    ]);
    let deployment = parsed(text, values).unwrap();
    let mut shown = String::new();
    for (target, file) in &database(&deployment).files {
        let (uid, gid, mode) = (file.uid, file.gid, file.mode);
        let contents = file.contents.reveal().escape_ascii();
        writeln!(shown, "{target} {uid}:{gid} {mode} {contents}").unwrap();
    }
    insta::assert_snapshot!(shown, @r"
    /etc/key 999:999 0440 \xff\n
    /etc/text 0:0 0600 a $b\n
    /var/lib/postgresql/pg.conf 0:0 0444 listen_addresses = \'*\'\n
    ");
}

#[test]
fn a_short_form_maps_paths_to_files() {
    let text = "db: {image: postgres, files: {/etc/a: ./a.conf}}\n";
    let deployment = parsed(text, values([(file("./a.conf"), Ok(b"a"))])).unwrap();
    let files = &database(&deployment).files;
    assert_eq!(files[&"/etc/a".parse().unwrap()].contents.reveal(), b"a");
}

#[test]
fn a_value_that_cannot_be_had_is_named_with_its_place() {
    let text = "\
db:
  image: postgres
  env_file: ./db.env
  environment:
    A: {from_file: ./gone.txt}
    B: {from_env: UNSET}
    C: {from_command: [pass, show, c]}
    D: {from_file: ./latin1.txt}
    E: {from_file: ./empty.txt}
    F: {from_file: ./nul.txt}
  files:
    - {source: ./large.bin, target: /etc/large}
";
    let large = vec![b'x'; (1 << 20) + 1];
    let command = ["pass", "show", "c"].map(str::to_owned).to_vec();
    let values = values([
        (file("./db.env"), Ok(b"A=b\nxyzzy\n")),
        (file("./empty.txt"), Ok(b"\n")),
        (file("./gone.txt"), Err("cannot be read: No such file")),
        (file("./large.bin"), Ok(&large)),
        (file("./latin1.txt"), Ok(b"xyzzy\xff")),
        (file("./nul.txt"), Ok(b"xyzzy\0")),
        (ValueSource::Variable("UNSET".to_owned()), Err("is not set")),
        (ValueSource::Command(command), Err("ended with exit code 1")),
    ]);
    let said = parsed(text, values).unwrap_err();
    assert!(!said.contains(SECRET), "{said}");
    insta::assert_snapshot!(said);
}

#[test]
fn sources_that_are_written_wrongly_are_explained() {
    let said = parsed(
        "\
db:
  image: postgres
  volumes: [/data, /etc/x/y]
  env_file: [{path: a.env, required: false}]
  environment:
    A: {from_file: a, from_env: B}
    B: {}
    C: {file: ./a}
    D: {from_command: pass show db}
    E: {from_file: \"\"}
  files:
    - ./a.conf:/etc/a.conf:ro
    - {target: /etc/b}
    - {source: ./c}
    - {source: ./c, content: c, target: /etc/c}
    - {source: ./d, target: /data}
    - {source: ./d, target: /etc/x}
    - {source: ./d, target: /etc/d, mode: 440, uid: root}
    - {source: ./d, target: relative, permissions: 0440}
",
        Values::new(),
    );
    insta::assert_snapshot!(said.unwrap_err());
}

#[test]
fn a_nodes_files_have_a_largest_size_together() {
    let mut text = "db:\n  image: postgres\n  files:\n".to_owned();
    for index in 0..5 {
        writeln!(text, "    - {{source: ./large, target: /etc/{index}}}").unwrap();
    }
    let large = vec![b'x'; 1 << 20];
    let said = parsed(&text, values([(file("./large"), Ok(&large))])).unwrap_err();
    insta::assert_snapshot!(said, @"
    error: the `files` of the applications on `1.1.1.1` have 5242880 bytes, and 4 MiB are the most
     --> deployment.yml:1:9
      |
    1 | nodes: {1.1.1.1: [db]}
      |         ^^^^^^^
    hint: large files belong into the image, or into the volume
    ");
}

#[test]
fn without_the_operators_machine_sources_are_refused() {
    let text = "db: {image: postgres, environment: {A: {from_file: ./a.txt}}}\n";
    let (application, deployment) = sources(text);
    let said = parse_with_warnings(application, deployment).unwrap_err();
    insta::assert_snapshot!(said.to_string(), @"
    error: environment variable `A` of `db` needs the file `./a.txt`
     --> application.yml:1:40
      |
    1 | db: {image: postgres, environment: {A: {from_file: ./a.txt}}}
      |                                        ^^^^^^^^^^^^^^^^^^^^
    hint: flocker-cluster alone reads what the operator's machine has; deploy with it, or write the value itself into a copy of this file
    ");
}
