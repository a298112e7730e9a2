//! Builds of small programs beside the crate, by cargo, as a user's program is built.

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use serde_json::Value;

/// The folder of the crate `sigmamind`.
pub const CRATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Returns the folder of all programs. They share one target folder, so that the dependencies are
/// built once.
///
/// It belongs to this process until it ends: another run of the tests would replace programs and
/// documents between a build and what is asserted of it.
#[allow(
    clippy::incompatible_msrv,
    reason = "programs that use the crate do not build its tests"
)]
pub fn root() -> &'static Path {
    static ROOT: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (root, _) = ROOT.get_or_init(|| {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nested");
        fs::create_dir_all(&root).unwrap();
        let lock = File::create(root.join("lock")).unwrap();
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            say(&format!(
                "waiting for another run of the tests, which builds in {}",
                root.display()
            ));
            lock.lock().unwrap();
        }
        (root, lock)
    });
    root
}

/// Tells what takes its time. The tests' output is captured until they end, and this is not.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "nested build: {what}");
}

/// Writes a file. One that has this text is left alone, so that cargo does not build it again.
pub fn write(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|known| known == text) {
        return;
    }
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Writes a package that is named as its folder, with the versions of this workspace, and fetches
/// what it needs: `cargo test` has not, if it is for a feature that the tests are built without.
pub fn write_program(folder: &Path, dependencies: &str, source: &str) {
    let name = folder.file_name().unwrap().display();
    let manifest = format!(
        r#"[package]
name = "{name}"
edition = "2024"

[workspace]

[dependencies]
{dependencies}
"#
    );
    write(&folder.join("Cargo.toml"), &manifest);
    write(&folder.join("src/main.rs"), source);
    let lock = fs::read(Path::new(CRATE).join("Cargo.lock")).unwrap();
    fs::write(folder.join("Cargo.lock"), lock).unwrap(); // a copy would be as read-only as the original

    // `cargo tree` fetches for this platform alone, as a build does; `cargo fetch` for all of them.
    if !cargo(folder, &["tree", "--offline"]).status.success() {
        say(&format!("fetching the dependencies of {name}"));
        assert_success(&cargo(folder, &["tree"]));
    }
}

/// Builds the program without a warning, and returns its path.
pub fn build(folder: &Path, environment: &[(&str, &Path)]) -> PathBuf {
    let messages = build_messages(folder, environment);
    let executables = messages.iter().map(|message| &message["executable"]);
    let executable = executables.filter_map(Value::as_str).next_back();
    executable.expect("it makes an executable").into()
}

/// Builds the program without a warning, and returns what cargo tells of it.
pub fn build_messages(folder: &Path, environment: &[(&str, &Path)]) -> Vec<Value> {
    let output = try_build(folder, environment);
    assert_success(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Builds the program; errors and warnings are on its standard error.
pub fn try_build(folder: &Path, environment: &[(&str, &Path)]) -> Output {
    say(&format!("building {}", folder.display()));
    let format = "--message-format=json-render-diagnostics";
    let mut cargo = command(folder, &["build", "--locked", format]);
    cargo.envs(environment.iter().copied());
    cargo.output().unwrap()
}

/// Runs cargo in a folder.
pub fn cargo(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// Cargo, with no setting of the outside that changes what it builds or prints.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(is_setting) {
            cargo.env_remove(name);
        }
    }
    cargo
        .args(arguments)
        .args(["--quiet", "--color=never"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", root().join("target"))
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "false");
    cargo
}

/// Whether a variable may change what cargo builds or prints. What says where the registry and the
/// tools are, and how to reach them, is kept.
fn is_setting(name: &str) -> bool {
    let kept = [
        "CARGO_BUILD_JOBS",
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
    ];
    let settings = ["CARGO_", "RUST_", "RUSTFLAGS", "RUSTC_W", "SIGMAMIND_"];
    let starts_with = |prefix: &&str| name.starts_with(prefix);
    settings.iter().any(starts_with) && !kept.iter().any(starts_with) && !name.ends_with("_LINKER")
}

/// Fails with what the process has said.
#[track_caller]
pub fn assert_success(output: &Output) {
    let text = String::from_utf8_lossy(&output.stderr);
    let succeeded = output.status.success();
    assert!(succeeded && text.is_empty(), "{}\n{text}", output.status);
}
