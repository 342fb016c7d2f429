//! Tables cut into page ranges. Pure.

use crate::schema_to_schema::plan::{PageRange, Route, Storage, TablePlan};

/// A range is at least this many pages (4 MiB): less is not worth a transaction.
const SMALLEST: u32 = 512;
/// And at most this many (128 MiB): more would be lost by a crash, and starve the other workers at the end.
const LARGEST: u32 = 16_384;

/// The ranges of a whole table for `workers`.
pub(crate) fn all_ranges(table: &TablePlan, workers: usize) -> Vec<PageRange> {
    match table.route {
        Route::Fdw => vec![PageRange { storage: 0, pages: None }],
        _ if table.query.statement.is_some() => vec![PageRange { storage: 0, pages: None }],
        _ => cut(&table.query.storage, workers),
    }
}

/// Cuts what `storage` holds into ranges, so that each of `workers` gets several.
pub(crate) fn cut(storage: &[Storage], workers: usize) -> Vec<PageRange> {
    let total: u64 = storage.iter().map(|storage| u64::from(storage.pages.unwrap_or(0))).sum();
    let wanted = u32::try_from(total / (workers as u64 * 6)).unwrap_or(u32::MAX);
    let size = if workers == 1 { LARGEST } else { wanted.clamp(SMALLEST, LARGEST) };
    let mut ranges = Vec::new();
    for (index, storage) in storage.iter().enumerate() {
        match storage.pages {
            None => ranges.push(PageRange { storage: index, pages: None }),
            Some(pages) => ranges.extend(cut_pages(index, 0, pages, size)),
        }
    }
    ranges
}

/// Cuts the pages from `first` on; the last range has an open end, because a relation may have grown since.
fn cut_pages(storage: usize, first: u32, pages: u32, size: u32) -> Vec<PageRange> {
    let mut ranges = Vec::new();
    let mut begin = first;
    while pages.saturating_sub(begin) > size + size / 2 {
        ranges.push(PageRange { storage, pages: Some((begin, begin + size)) });
        begin += size;
    }
    ranges.push(PageRange { storage, pages: Some((begin, u32::MAX)) });
    ranges
}

/// The parts of `ranges` that `done` does not cover. Ranges that were done are taken as they were cut then.
pub(crate) fn remaining(storage: &[Storage], done: &[PageRange], workers: usize) -> Vec<PageRange> {
    let mut open = Vec::new();
    for (index, relation) in storage.iter().enumerate() {
        let Some(pages) = relation.pages else {
            if !done.iter().any(|range| range.storage == index) {
                open.push(PageRange { storage: index, pages: None });
            }
            continue;
        };
        let mut finished: Vec<(u32, u32)> =
            done.iter().filter(|range| range.storage == index).filter_map(|range| range.pages).collect();
        finished.sort_unstable();
        let mut begin = 0;
        for (first, end) in finished {
            if first > begin {
                open.push(PageRange { storage: index, pages: Some((begin, first)) });
            }
            begin = begin.max(end);
        }
        if begin != u32::MAX {
            let size = (pages / (u32::try_from(workers).unwrap_or(1) * 6)).clamp(SMALLEST, LARGEST);
            open.extend(cut_pages(index, begin, pages, size));
        }
    }
    open
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::QualifiedName;

    fn storage(pages: Option<u32>) -> Storage {
        Storage { relation: QualifiedName::new("public", "t"), oid: 1, pages, only: true }
    }

    fn pages_of(ranges: &[PageRange]) -> Vec<(u32, u32)> {
        ranges.iter().filter_map(|range| range.pages).collect()
    }

    #[test]
    fn ranges_cover_everything_once_and_end_open() {
        for (pages, workers) in [(0, 4), (1, 1), (511, 4), (100_000, 4), (1_000_000, 1), (7_777_777, 16)] {
            let ranges = pages_of(&cut(&[storage(Some(pages))], workers));
            assert_eq!(ranges[0].0, 0);
            assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "{ranges:?}");
            assert_eq!(ranges.last().unwrap().1, u32::MAX);
        }
    }

    #[test]
    fn what_is_done_is_not_done_again() {
        let done = |first, end| PageRange { storage: 0, pages: Some((first, end)) };
        let storages = [storage(Some(10_000))];
        let open = pages_of(&remaining(&storages, &[done(2_000, 4_000), done(0, 1_000)], 1));
        assert_eq!(open[..2], [(1_000, 2_000), (4_000, 5_666)]);
        assert_eq!(open.last().unwrap().1, u32::MAX);
        assert!(remaining(&storages, &[done(0, u32::MAX)], 4).is_empty());
        assert_eq!(remaining(&[storage(None)], &[], 4), [PageRange { storage: 0, pages: None }]);
    }
}
