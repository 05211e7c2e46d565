//! The `url` blocks of one checker, one after another.

/// Which URL is next: one after another, and after a failure only the failed one until it works (runtime behaviour of keepalived 2.2.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Round {
    next: usize,
    failed: Option<usize>,
}

/// What a URL's result means for its checker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// More URLs to check before the checker knows.
    Next,
    /// All of them are fine.
    AllFine,
    /// This one is not.
    Failed,
}

impl Round {
    /// Index of the URL that fails.
    pub const fn failed(&self) -> Option<usize> {
        self.failed
    }

    /// Index of the URL to check now.
    pub const fn url(&self) -> usize {
        match self.failed {
            Some(failed) => failed,
            None => self.next,
        }
    }

    /// The current URL answered.
    pub fn ended(&mut self, urls: usize, success: bool) -> Progress {
        match (success, self.failed) {
            (false, _) => {
                self.failed = Some(self.url());
                Progress::Failed
            }
            (true, Some(_)) => {
                // It works again: all of them, from the first.
                self.failed = None;
                self.next = 0;
                if urls <= 1 { Progress::AllFine } else { Progress::Next }
            }
            (true, None) if self.next + 1 < urls => {
                self.next += 1;
                Progress::Next
            }
            (true, None) => {
                self.next = 0;
                Progress::AllFine
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_url_is_retried_alone_then_all_are_checked() {
        let mut round = Round::default();
        assert_eq!(round.ended(3, true), Progress::Next);
        assert_eq!(round.ended(3, false), Progress::Failed);
        assert_eq!(round.url(), 1);
        assert_eq!(round.ended(3, true), Progress::Next);
        assert_eq!(round.url(), 0);
        assert_eq!([round.ended(3, true), round.ended(3, true), round.ended(3, true)], [Progress::Next, Progress::Next, Progress::AllFine]);
    }
}
