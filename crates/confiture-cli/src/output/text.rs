//! Tables on a text page.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle as Content, LineStyle as Line, Table,
    TableStyle,
};

use super::style::Style;

const LINES: TableStyle = TableStyle::new()
    .top_border(Line::new('┌', '─', '┬', '┐'))
    .header_lines(Content::new('│', '│', '│'))
    .header_separator(Line::new('├', '─', '┼', '┤'))
    .content_lines(Content::new('│', '│', '│'))
    .bottom_border(Line::new('└', '─', '┴', '┘'));

const PLAIN: TableStyle = TableStyle::new()
    .top_border(Line::new('+', '-', '+', '+'))
    .header_lines(Content::new('|', '|', '|'))
    .header_separator(Line::new('+', '-', '+', '+'))
    .content_lines(Content::new('|', '|', '|'))
    .bottom_border(Line::new('+', '-', '+', '+'));

/// Rows under one another without lines around, each column as wide as its widest cell.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A boxed table with a title above its header and a line below its rows, both inside the box.
#[derive(Debug)]
pub(crate) struct Boxed<'a> {
    /// The first line.
    pub(crate) title: &'a str,
    /// The columns' names; true: aligned to the right.
    pub(crate) header: &'a [(&'a str, bool)],
    /// The cells, and a mark that stands outside the box.
    pub(crate) rows: Vec<(Vec<String>, &'a str)>,
    /// The last line.
    pub(crate) footer: &'a str,
}

impl Boxed<'_> {
    /// The table as text.
    pub(crate) fn render(&self, style: Style) -> String {
        let inside = self.grid(style);
        let lines: Vec<&str> = inside.lines().collect();
        let [top, .., bottom] = lines.as_slice() else { return inside };
        let width = top.chars().count().saturating_sub(2);
        let [left, right, edge, side, level] =
            if style.plain { ["+", "+", "+", "|", "-"] } else { ["┌", "┐", "└", "│", "─"] };
        let last = if style.plain { "+" } else { "┘" };
        let row = |text: &str| format!("{side} {text:<0$}{side}\n", width.saturating_sub(1));
        let mut page = format!("{left}{}{right}\n{}", level.repeat(width), row(self.title));
        page.push_str(&joined(top));
        page.push('\n');
        let mut marks = self.rows.iter().map(|(_, mark)| *mark);
        let mut below_header = false;
        for line in lines.iter().skip(1).take(lines.len().saturating_sub(2)) {
            page.push_str(line);
            below_header |= line.starts_with(['├', '+']);
            // A row that wraps carries its mark on its first line.
            if below_header
                && !line.starts_with(['├', '+'])
                && starts_a_row(line)
                && let Some(mark) = marks.next().filter(|mark| !mark.is_empty())
            {
                page.push(' ');
                page.push_str(mark);
            }
            page.push('\n');
        }
        page.push_str(&joined(bottom));
        page.push('\n');
        page.push_str(&row(self.footer));
        page.push_str(&format!("{edge}{}{last}\n", level.repeat(width)));
        page
    }

    fn grid(&self, style: Style) -> String {
        let mut table = Table::new();
        table.load_style(if style.plain { PLAIN } else { LINES });
        if let Some(width) = style.width {
            table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width.saturating_sub(5).max(40));
        }
        table.set_header(self.header.iter().map(|(name, _)| Cell::new(name)));
        for (cells, _) in &self.rows {
            table.add_row(cells.iter().zip(self.header).map(|(cell, (_, right))| {
                Cell::new(cell).set_alignment(if *right { CellAlignment::Right } else { CellAlignment::Left })
            }));
        }
        table.to_string()
    }
}

/// A table's outer corners, where another box joins above or below.
fn joined(line: &str) -> String {
    line.chars()
        .map(|corner| match corner {
            '┌' | '└' => '├',
            '┐' | '┘' => '┤',
            other => other,
        })
        .collect()
}

/// True where the first cell of the line holds something.
fn starts_a_row(line: &str) -> bool {
    line.chars().nth(2).is_some_and(|first| first != ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_beside_its_row_even_where_the_header_wraps() {
        let row = |table: &str, mark| (vec![table.to_owned(), "because of a long story".to_owned()], mark);
        let table = Boxed {
            title: "Tables",
            header: &[("Table", false), ("The reason why it is so, at length", false)],
            rows: vec![row("users", ""), row("events", "⚡")],
            footer: "two",
        };
        let page = table.render(Style { width: Some(45), ..Style::default() });
        let header = page.lines().filter(|line| line.contains("reason") || line.contains("length")).count();
        assert_eq!(header, 2, "the header wraps:\n{page}");
        let marked: Vec<&str> = page.lines().filter(|line| line.contains('⚡')).collect();
        assert!(matches!(marked.as_slice(), [line] if line.contains("events")), "{page}");
    }
}
