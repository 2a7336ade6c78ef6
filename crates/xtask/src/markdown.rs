//! Reads tables out of the project's documents.

/// One row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// One-based line number in the document.
    pub(crate) line: usize,
    /// The text of the cells, without surrounding blanks.
    pub(crate) cells: Vec<String>,
}

impl Row {
    /// The text of a cell without its code quotes; empty when the row is too short.
    pub(crate) fn plain(&self, column: usize) -> String {
        self.cells
            .get(column)
            .map(|cell| cell.replace('`', ""))
            .unwrap_or_default()
    }

    /// The words between code quotes in a cell.
    pub(crate) fn code_words(&self, column: usize) -> Vec<String> {
        let Some(cell) = self.cells.get(column) else {
            return Vec::new();
        };
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the rows of the first table below a heading, without the table's own heading rows.
///
/// `None` means that there is no such heading, or no table before the next heading.
pub(crate) fn parse_table(document: &str, heading: &str) -> Option<Vec<Row>> {
    let mut lines = document
        .lines()
        .enumerate()
        .skip_while(|(_, line)| heading_text(line) != Some(heading))
        .skip(1)
        .skip_while(|(_, line)| !is_row(line) && heading_text(line).is_none())
        .take_while(|(_, line)| is_row(line));
    lines.next()?;
    lines.next().filter(|(_, line)| is_separator(line))?;
    Some(
        lines
            .map(|(index, line)| Row {
                line: index + 1,
                cells: parse_cells(line),
            })
            .collect(),
    )
}

fn heading_text(line: &str) -> Option<&str> {
    line.starts_with('#')
        .then(|| line.trim_start_matches('#').trim())
}

fn is_row(line: &str) -> bool {
    line.trim_start().starts_with('|')
}

fn is_separator(line: &str) -> bool {
    line.contains('-') && line.chars().all(|letter| "|-: ".contains(letter))
}

fn parse_cells(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = line.strip_suffix('|').unwrap_or(line);
    line.split('|').map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Row, parse_table};

    const DOCUMENT: &str = "# Title\n\n| not | this |\n|---|---|\n| a | b |\n\n## Crates\n\nText.\n\n\
        | crate | may depend on |\n| --- | :--- |\n| `model` | |\n| `plan` | `model`, `zfs` |\n\n\
        | another | table |\n|---|---|\n| c | d |\n## Next\n";

    #[test]
    fn reads_only_the_first_table_below_the_heading() {
        let rows = parse_table(DOCUMENT, "Crates").unwrap();
        assert_eq!(
            rows,
            [
                Row {
                    line: 13,
                    cells: vec!["`model`".to_owned(), String::new()]
                },
                Row {
                    line: 14,
                    cells: vec!["`plan`".to_owned(), "`model`, `zfs`".to_owned()]
                },
            ]
        );
    }

    #[test]
    fn a_heading_without_a_table_is_not_an_empty_table() {
        assert_eq!(parse_table(DOCUMENT, "Next"), None);
        assert_eq!(parse_table(DOCUMENT, "Missing"), None);
        assert_eq!(parse_table("## A\ntext\n## B\n|x|\n|-|\n|y|\n", "A"), None);
    }

    #[test]
    fn finds_the_code_words_of_a_cell() {
        let rows = parse_table(DOCUMENT, "Crates").unwrap();
        assert_eq!(rows[1].code_words(1), ["model", "zfs"]);
        assert_eq!(rows[0].plain(0), "model");
        assert!(rows[0].code_words(7).is_empty());
    }
}
