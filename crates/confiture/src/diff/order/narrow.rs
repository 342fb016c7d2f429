//! Other work is not done while something is away: it is done before or after.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::catalog::{Kind, Objects};
use crate::diff::fate::Work;
use crate::diff::order::{Act, Group};
use crate::diff::together;

/// Takes out of each span what has nothing to do with it: no edge leads there, not even by way of others, and it is on other
/// tables. What can wait comes after the span, all else before it. `then` are those that come after each group.
pub(super) fn narrow(
    work: &Work<'_>,
    groups: Vec<Group>,
    then: &[Vec<usize>],
    can_wait: &[bool],
) -> Vec<Group> {
    let spans = together::spans(work, &groups);
    let of = related(work, &groups, then, &spans);
    let mut line: Vec<usize> = (0..groups.len()).collect();
    let mut place = line.clone();
    for span in &spans {
        let [first, .., last] = span.as_slice() else { continue };
        let range = place[*first]..=place[*last];
        let (within, others): (Vec<usize>, Vec<usize>) =
            line[range.clone()].iter().partition(|one| of[**one] == of[*first]);
        let mut late: HashSet<usize> = HashSet::new();
        let (after, before): (Vec<usize>, Vec<usize>) = others.into_iter().partition(|one| {
            let waits = can_wait[*one] || late.contains(one);
            if waits {
                late.extend(&then[*one]);
            }
            waits
        });
        for (at, one) in range.zip([before, within, after].concat()) {
            line[at] = one;
            place[one] = at;
        }
    }
    let mut groups: Vec<Option<Group>> = groups.into_iter().map(Some).collect();
    line.into_iter().filter_map(|at| groups[at].take()).collect()
}

/// For each group, the first of those that it has to do with.
fn related(work: &Work<'_>, groups: &[Group], then: &[Vec<usize>], spans: &[Vec<usize>]) -> Vec<usize> {
    let mut of: Vec<usize> = (0..groups.len()).collect();
    let mut join = |one: usize, other: usize| {
        let [one, other] = [one, other].map(|mut at| {
            while of[at] != at {
                of[at] = of[of[at]];
                at = of[at];
            }
            at
        });
        of[one.max(other)] = one.min(other);
    };
    for (first, then) in then.iter().enumerate() {
        then.iter().for_each(|second| join(first, *second));
    }
    spans.iter().flat_map(|span| span.windows(2)).for_each(|pair| join(pair[0], pair[1]));
    let mut first_on: HashMap<(bool, usize), usize> = HashMap::new();
    for (at, group) in groups.iter().enumerate() {
        for table in std::iter::once(&group.act).chain(&group.members).flat_map(|act| tables(work, *act)) {
            join(at, *first_on.entry(table).or_insert(at));
        }
    }
    for at in 0..of.len() {
        of[at] = of[of[at]];
    }
    of
}

/// The tables that an act is on, and those that its object depends on: true for those of the new catalog.
fn tables(work: &Work<'_>, act: Act) -> BTreeSet<(bool, usize)> {
    let (is_new, at) = match act {
        Act::Make(at) | Act::Alter(_, at) => (true, at),
        Act::Drop(at) | Act::Finish(at) => (false, at),
    };
    let objects: &Objects = if is_new { work.sides.new } else { work.sides.old };
    let all = objects.all[at].depends.iter().chain([&at]).map(|on| objects.root(*on));
    let holds_rows = |at: &usize| {
        matches!(objects.all[*at].kind, Kind::Table | Kind::ForeignTable | Kind::MaterializedView)
    };
    let twin = |at: usize| if is_new { None } else { work.twins[at] };
    all.filter(holds_rows).map(|at| twin(at).map_or((is_new, at), |twin| (true, twin))).collect()
}
