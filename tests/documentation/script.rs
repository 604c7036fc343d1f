//! The commands of a page, run one after another in one shell.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::compare::agrees;
use super::page::{Action, Block, Kind, Page, Step};
use super::scratch::Scratch;

/// More seconds than a page needs that builds a crate on two busy cores.
const SECONDS: &str = "480";

/// The arguments with which `cargo xtask serve` starts the server.
const XTASK_SERVE: &str = "--models target/models";

/// Runs the commands of a page in a folder, and compares their output with the page.
pub(super) fn run(page: &Page, scratch: &Scratch) {
    for folder in ["out", "curl"] {
        fs::create_dir_all(scratch.path(folder)).unwrap();
    }
    scratch.put("out/script", scratch.fitted(script(page)));
    if !scratch.path("profile").exists() {
        scratch.put("profile", "");
    }
    let output = shell(scratch).output().expect("bash starts");
    let told = Told { folder: scratch.path("out") };
    assert!(
        output.status.success(),
        "{}: the block that opens in line {} failed ({})\n{}{}",
        page.name,
        told.read("at"),
        output.status,
        String::from_utf8_lossy(&output.stderr),
        told.everything(),
    );
    compare(page, &told);
}

fn shell(scratch: &Scratch) -> Command {
    // `timeout` ends the whole process group after the deadline.
    let mut command = Command::new("timeout");
    command
        .args([SECONDS, "bash", "out/script"])
        .current_dir(scratch.path(""))
        .stdin(Stdio::null());
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{}:{path}", scratch.path("bin").display()));
    command.env("CURL_HOME", scratch.path("curl")).env("__OUT", scratch.path("out"));
    for name in ["RUST_LOG", "RUST_BACKTRACE", "CARGO_TARGET_DIR", "WARDIAN_URL"] {
        command.env_remove(name);
    }
    // A page that builds a crate uses the dependencies that are there already, and keeps what it
    // builds.
    command.env("CARGO_NET_OFFLINE", "true");
    command.env("CARGO_BUILD_BUILD_DIR", format!("{}/documentation", env!("CARGO_TARGET_TMPDIR")));
    // The key of pages whose server has keys.
    command.env("KEY", super::KEY);
    command
}

/// Returns the page's commands with the code around them.
fn script(page: &Page) -> String {
    let mut script = format!("set -e -o pipefail\n{}\n. ./profile\n", include_str!("prelude.sh"));
    for step in &page.steps {
        match step {
            Step::Server(action) => script += &server(*action),
            Step::Block(block) => script += &commands(block),
        }
    }
    script
}

fn server(action: Action) -> String {
    match action {
        Action::Start => format!("__start {XTASK_SERVE}\n"),
        Action::Stop => "__stop\n".into(),
        Action::Restart => format!("__restart {XTASK_SERVE}\n"),
    }
}

fn commands(block: &Block) -> String {
    let at = format!("echo {} >\"$__OUT/at\"\n", block.line);
    match block.kind {
        Kind::Shell => at + &shell_block(block),
        Kind::Transcript => at + &transcript(block),
        _ => String::new(),
    }
}

/// Returns the commands of a block. Commands that start a server are left out, because the server
/// is started beside the shell and would not end, and so is `cargo xtask test`, which runs this
/// very test.
fn shell_block(block: &Block) -> String {
    let bare = |line: &str| {
        line.split(" #").next().unwrap_or_default().trim_end_matches([' ', '&']).to_owned()
    };
    let mut left = Vec::new();
    let mut script = String::new();
    for line in block.text.lines() {
        let command = bare(line);
        match command.trim_start_matches("target/release/").strip_prefix("wardian serve") {
            Some(arguments) => script += &format!("__start{arguments}\n"),
            None if command == "cargo xtask serve" => script += &server(Action::Start),
            None if command == "cargo xtask test" => {}
            None => left.push(line),
        }
    }
    if left.is_empty() {
        return script;
    }
    format!(
        "{script}{{\n{}\n}} >\"$__OUT/{line}.out\" 2>\"$__OUT/{line}.err\"\n",
        left.join("\n"),
        line = block.line
    )
}

/// Returns the commands of a transcript. A transcript continues after a command that fails, and
/// shows both output streams.
fn transcript(block: &Block) -> String {
    let lines = asked(block).into_iter().zip(1..).map(|((command, _), number)| {
        format!("{{\n{command}\n}} >\"$__OUT/{}.{number}.out\" 2>&1\n", block.line)
    });
    format!("set +e\n{}set -e\n", lines.collect::<String>())
}

/// Returns the commands of a transcript with the output shown after each.
fn asked(block: &Block) -> Vec<(&str, String)> {
    let mut asked: Vec<(&str, String)> = Vec::new();
    for line in block.text.lines() {
        match (line.strip_prefix("$ "), asked.last_mut()) {
            (Some(command), _) => asked.push((command, String::new())),
            (None, Some((_, shown))) => *shown += &format!("{line}\n"),
            (None, None) => panic!("line {}: a transcript begins with a command", block.line),
        }
    }
    asked
}

fn compare(page: &Page, told: &Told) {
    let mut before: Option<&Block> = None;
    for step in &page.steps {
        let Step::Block(block) = step else { continue };
        match block.kind {
            Kind::Transcript => {
                for ((command, shown), number) in asked(block).into_iter().zip(1..) {
                    let printed = told.read(&format!("{}.{number}.out", block.line));
                    expect(page, block, &format!("$ {command}"), &shown, &printed);
                }
            }
            Kind::Output => {
                let printed = told.read(&format!("{}.out", before.map_or(0, |before| before.line)));
                expect(page, block, "the commands before it", &block.text, &printed);
            }
            _ => {}
        }
        if let Some(unseen) =
            before.filter(|before| before.kind == Kind::Shell && block.kind != Kind::Output)
        {
            no_error(page, unseen, told);
        }
        before = Some(block);
    }
    if let Some(last) = before.filter(|last| last.kind == Kind::Shell) {
        no_error(page, last, told);
    }
}

fn expect(page: &Page, block: &Block, what: &str, shown: &str, printed: &str) {
    assert!(
        agrees(shown, printed, block.numbers_vary),
        "{}: {what} should print\n{shown}\nand printed\n{printed}",
        page.place(block),
    );
}

/// Panics if the server answered with an error that the page does not show. curl exits with 0 in
/// that case.
fn no_error(page: &Page, block: &Block, told: &Told) {
    let printed = told.read(&format!("{}.out", block.line));
    assert!(
        !printed.contains("\"error\":\""),
        "{}: it ended in an error:\n{printed}",
        page.place(block)
    );
}

/// The output of the commands.
struct Told {
    folder: PathBuf,
}

impl Told {
    /// Returns the output of a block, with the address that the page shows in place of the server's
    /// own.
    fn read(&self, name: &str) -> String {
        let read = |name: &str| fs::read(self.folder.join(name)).unwrap_or_default();
        let mut text = String::from_utf8_lossy(&read(name)).into_owned();
        for address in String::from_utf8_lossy(&read("addresses")).lines() {
            text = text.replace(address, "127.0.0.1:8080");
        }
        text.trim_end().to_owned()
    }

    fn everything(&self) -> String {
        let mut names: Vec<_> =
            fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let names = names.iter().filter_map(|name| name.to_str()).filter(|name| *name != "script");
        names.map(|name| format!("--- {name}\n{}\n", self.read(name))).collect()
    }
}
