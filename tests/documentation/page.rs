//! A page of the documentation and its fenced blocks.

use std::fs;
use std::path::Path;

/// A page of the documentation, as a sequence of steps in reading order.
pub(super) struct Page {
    /// The path below the root of the repository.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) steps: Vec<Step>,
}

/// One step of a page: a block, or an action on the server.
pub(super) enum Step {
    Block(Block),
    /// A directive about the server, between blocks.
    Server(Action),
}

/// A fenced block.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// The line on which the block opens; the first line of the page is 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// The file whose content the block shows, from `<!-- test: is NAME -->`.
    pub(super) file: Option<String>,
    /// From `<!-- test: numbers vary -->`.
    pub(super) numbers_vary: bool,
}

/// The way in which a block is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Commands.
    Shell,
    /// Commands, each after `$ `, followed by their output.
    Transcript,
    /// The output of the command block before it.
    Output,
    Json,
    Toml,
    Rust,
    /// A Mermaid diagram.
    Diagram,
    /// Not tested, for a stated reason.
    NotRun,
}

/// An action on the server that a page uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Start,
    Stop,
    Restart,
}

/// The directives before a block.
#[derive(Default)]
struct Notes {
    file: Option<String>,
    numbers_vary: bool,
    not_run: bool,
}

impl Page {
    /// Reads a page. Panics if it holds a block that no test covers.
    pub(super) fn read(name: &str) -> Page {
        let text =
            fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Fills in the template as `wardian new demo` does.
        Page::parse(name, &text.replace("{{name}}", "demo").replace("{{file}}", "demo"))
    }

    pub(super) fn parse(name: &str, text: &str) -> Page {
        let mut page = Page { name: name.into(), text: text.into(), steps: Vec::new() };
        let (mut notes, mut after_commands) = (Notes::default(), false);
        let mut lines = text.lines().zip(1..);
        while let Some((line, number)) = lines.next() {
            if let Some(directive) = line.strip_prefix("<!-- test: ") {
                let directive =
                    directive.strip_suffix(" -->").expect("a directive ends on its line");
                page.note(directive, number, &mut notes);
            } else if let Some(info) = line.strip_prefix("```") {
                let inside: Vec<_> = lines
                    .by_ref()
                    .map(|(line, _)| line)
                    .take_while(|line| *line != "```")
                    .collect();
                let notes = std::mem::take(&mut notes);
                let kind = if notes.not_run {
                    Kind::NotRun
                } else {
                    page.kind(info, after_commands, number)
                };
                after_commands = kind == Kind::Shell;
                let Notes { file, numbers_vary, .. } = notes;
                page.steps.push(Step::Block(Block {
                    line: number,
                    kind,
                    text: inside.join("\n"),
                    file,
                    numbers_vary,
                }));
            } else if line.starts_with('#') {
                after_commands = false;
            }
        }
        page
    }

    fn note(&mut self, directive: &str, line: usize, notes: &mut Notes) {
        match directive {
            "start the server" => self.steps.push(Step::Server(Action::Start)),
            "stop the server" => self.steps.push(Step::Server(Action::Stop)),
            "restart the server" => self.steps.push(Step::Server(Action::Restart)),
            "numbers vary" => notes.numbers_vary = true,
            _ => match (directive.strip_prefix("is "), directive.strip_prefix("not run: ")) {
                (Some(file), _) => notes.file = Some(file.into()),
                (_, Some(reason)) => notes.not_run = !reason.is_empty(),
                _ => panic!("{}:{line}: there is no directive '{directive}'", self.name),
            },
        }
    }

    fn kind(&self, info: &str, after_commands: bool, line: usize) -> Kind {
        match info {
            "sh" => Kind::Shell,
            "console" => Kind::Transcript,
            "json" | "text" if after_commands => Kind::Output,
            "json" => Kind::Json,
            "toml" => Kind::Toml,
            "rust" => Kind::Rust,
            "mermaid" => Kind::Diagram,
            _ => panic!(
                "{}:{line}: a block of kind '{info}' is not run; give it a kind that is, or mark it with \
                 `<!-- test: not run: REASON -->`",
                self.name
            ),
        }
    }

    /// Returns the blocks of one kind.
    pub(super) fn blocks(&self, kind: &Kind) -> impl Iterator<Item = &Block> {
        let blocks = self.steps.iter().filter_map(|step| match step {
            Step::Block(block) => Some(block),
            Step::Server(_) => None,
        });
        blocks.filter(move |block| block.kind == *kind)
    }

    /// Returns the page and the line, for messages.
    pub(super) fn place(&self, block: &Block) -> String {
        format!("{}:{}", self.name, block.line)
    }
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The template from which `wardian new` makes the README of a new crate.
const TEMPLATE: &str = "host/src/cli/new/template/README.md.in";

/// Returns every page, as paths below the root.
pub(super) fn all() -> Vec<String> {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", TEMPLATE];
    let mut found: Vec<_> = top.map(str::to_owned).to_vec();
    for folder in ["docs", "examples", "fuzz", "guest-models", "python", "tests"] {
        collect(&root().join(folder), &mut found);
    }
    found.sort();
    found
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(below_root(&path));
        }
    }
}

fn below_root(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}
