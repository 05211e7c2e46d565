//! "Did you mean": the nearest word of a list.

/// The candidate nearest to `word`, when it is near enough to be meant: one edit in three letters, three at most.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= limit * 4)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours count one each, case and `-` for `_` nothing.
pub fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| text.chars().take(64).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect::<Vec<_>>();
    let (a, b) = (fold(a), fold(b));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut best = (cell(&last, j) + usize::from(x != y)).min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let words = ["router_id", "virtual_router_id", "priority", "preempt_delay"];
        assert_eq!(nearest("route_id", words), Some("router_id"));
        assert_eq!(nearest("virtual_roter_id", words), Some("virtual_router_id"));
        assert_eq!(nearest("Priority", words), Some("priority"));
        assert_eq!(nearest("pirority", words), Some("priority"));
        assert_eq!(nearest("preempt-delay", words), Some("preempt_delay"));
    }

    #[test]
    fn a_strange_word_finds_none() {
        assert_eq!(nearest("否则服务无法启动", ["router_id", "priority"]), None);
        assert_eq!(nearest("x", ["router_id"]), None);
    }
}
