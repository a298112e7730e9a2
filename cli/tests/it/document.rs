//! The document revised: flags, columns and template follow, with no edit of the program.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    env::{Done, TestEnv, done},
    nested,
};

/// The program, built from the later pages (by the patch of the documentation), with a property and
/// the path's parameter renamed.
fn revised(env: &TestEnv) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let patch = fs::read_to_string(root.join("docs/later-pages.patch")).unwrap();
    let document = fs::read_to_string(root.join("openapi.yaml")).unwrap();
    let patch = diffy::Patch::from_str(&patch).unwrap();
    let patched = diffy::apply(&document, &patch).unwrap();
    let document = patched
        .replace("trunkUsername", "trunkUser")
        .replace("phoneNumber", "lineNumber");
    env.write("revised.yaml", document);

    let document = env.path("revised.yaml");
    nested::build(
        Path::new(env!("CARGO_MANIFEST_DIR")),
        &[("SIGMAMIND_OPENAPI", &document)],
    )
}

#[test]
fn program_follows_a_revised_document() {
    let env = TestEnv::new(0);
    let program = revised(&env);
    let run = |arguments: &str| -> Done {
        let mut command = Command::new(&program);
        done(
            command
                .args(arguments.split_whitespace())
                .current_dir(env.path("")),
        )
    };

    let template = run("template").out;
    assert_eq!(
        template.lines().last(),
        Some(
            "lineNumber,friendlyName,inboundAgentId,outboundAgentId,outboundPhoneNumber,\
             terminationSipUri,trunkPassword,trunkUser"
        )
    );
    assert!(template.contains(
        "# friendlyName: Name that people know the number by. (text, at most 128 characters)\n"
    ));

    let help = run("set --help").out;
    for flag in [
        "--outbound-phone-number <VALUE>",
        "--trunk-user <VALUE>",
        "--null <PROPERTY>",
    ] {
        assert!(help.contains(flag), "{help}");
    }
    assert!(
        !help.contains("sip-trunk-name") && !help.contains("trunk-username"),
        "{help}"
    );

    env.write(
        "good.csv",
        "line-number,trunkUser,inbound-agent-id\n+14155000000,user,\\N\n+14155000001,,a\n",
    );
    let plan = run("apply good.csv --dry-run --null outboundAgentId");
    assert_eq!(plan.code, Some(0), "{}", plan.err);
    assert_eq!(
        plan.err,
        "\
good.csv: 2 numbers to update at https://api.sigmamind.ai with the key from SIGMAMIND_API_KEY
  inboundAgentId   set on 1, null on 1
  outboundAgentId  null on 2
  trunkUser        set on 1
For example:
  +14155000000 inboundAgentId=null outboundAgentId=null trunkUser=\"user\"
  +14155000001 inboundAgentId=\"a\" outboundAgentId=null
Dry run: nothing was sent.
"
    );

    let long = "x".repeat(129);
    env.write(
        "bad.csv",
        format!(
            "lineNumber,friendlyName,outboundPhoneNumber\n+14155000000,{long},\n+14155000001,,123\n"
        ),
    );
    let refused = run("apply bad.csv --dry-run").err;
    let mut lines = refused.lines().skip(1);
    assert_eq!(
        lines.next(),
        Some("bad.csv:2:2: `friendlyName` is too long: 129 characters, maximum 128")
    );
    let pattern = lines.next().unwrap();
    assert!(
        pattern.starts_with("bad.csv:3:3: `outboundPhoneNumber` does not match"),
        "{pattern}"
    );

    env.write("old.csv", "phoneNumber,trunkUsername\n+14155000000,user\n");
    assert_eq!(
        run("apply old.csv --dry-run").err,
        "error: old.csv:1:1: there is no column `lineNumber`\n"
    );
}
