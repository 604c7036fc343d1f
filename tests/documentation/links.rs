//! Links between the pages, and from pages to other files.

use std::fs;
use std::path::Path;

use super::page::{self, Page};

/// Panics if a link leads to a missing file or heading. Links to other hosts are not followed.
pub(super) fn check(page: &Page) {
    for target in targets(&page.text).filter(|target| !target.contains(':')) {
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = page::root().join(&page.name);
        let file = if path.is_empty() { file } else { file.parent().unwrap().join(path) };
        assert!(file.exists(), "{}: nothing is at {target}", page.name);
        assert!(
            heading.is_empty() || has_heading(&file, heading),
            "{}: {target} is no heading",
            page.name
        );
    }
}

/// Folders of the repository whose files a page may name in code spans.
const SOURCES: [&str; 4] = ["host/", "tests/", "xtask/", "guest-models/"];

/// Panics if a code span names a source file or folder that does not exist.
pub(super) fn check_paths(page: &Page) {
    for line in page.text.lines().filter(|line| !line.starts_with("```")) {
        let spans = line.split('`').skip(1).step_by(2);
        let paths = spans.filter(|span| SOURCES.iter().any(|folder| span.starts_with(folder)));

        for path in paths.filter(|path| !path.contains(['*', '{', ' '])) {
            assert!(page::root().join(path).exists(), "{}: there is no {path}", page.name);
        }
    }
}

fn targets(text: &str) -> impl Iterator<Item = &str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = fs::read_to_string(file).unwrap();
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| anchor_of(line.trim_start_matches('#').trim()) == anchor)
}

/// Returns the anchor that Markdown renderers make of a heading.
fn anchor_of(heading: &str) -> String {
    let kept =
        heading.chars().filter(|char| char.is_alphanumeric() || [' ', '-', '_'].contains(char));
    kept.map(|char| if char == ' ' { '-' } else { char.to_ascii_lowercase() }).collect()
}
