//! Numbers of one kind, and the table that puts ours beside the original's.

use std::fmt;

/// Measurements of one thing, in one unit.
#[derive(Clone, Default, Debug)]
pub(crate) struct Series(Vec<f64>);

impl Series {
    pub(crate) fn add(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        values
    }

    /// The value that this share (0.0 to 1.0) of the measurements does not exceed.
    pub(crate) fn quantile(&self, share: f64) -> Option<f64> {
        let values = self.sorted();
        let last = values.len().checked_sub(1)?;
        values.get((share * last as f64).round() as usize).copied()
    }

    pub(crate) fn median(&self) -> Option<f64> {
        self.quantile(0.5)
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.quantile(1.0)
    }
}

impl FromIterator<f64> for Series {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

/// `min/median/max (n)`, with as many decimals as the size of the median asks for.
impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(low), Some(middle), Some(high)) = (self.quantile(0.0), self.median(), self.max()) else {
            return f.pad("-");
        };
        let decimals = if middle.abs() < 10.0 { 2 } else { usize::from(middle.abs() < 1000.0) };
        f.pad(&format!("{low:.decimals$}/{middle:.decimals$}/{high:.decimals$} ({})", self.0.len()))
    }
}

/// Rows of figures, a column for each daemon.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<(String, Vec<Series>)>,
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: impl IntoIterator<Item = String>) -> Self {
        Self { title: title.into(), columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// One more measurement. Rows stand in the order of their first one.
    pub(crate) fn add(&mut self, row: &str, column: usize, value: f64) {
        let index = match self.rows.iter().position(|(name, _)| name == row) {
            Some(index) => index,
            None => {
                self.rows.push((row.to_owned(), vec![Series::default(); self.columns.len()]));
                self.rows.len() - 1
            }
        };
        self.rows[index].1[column].add(value);
    }

    /// What was measured so far.
    pub(crate) fn series(&self, row: &str, column: usize) -> Option<&Series> {
        self.rows.iter().find(|(name, _)| name == row).and_then(|(_, series)| series.get(column))
    }

    pub(crate) fn print(&self) {
        println!("\n{}   [load average {}]", self.title, load_average());
        let widest = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let head: Vec<String> = self.columns.iter().map(|name| format!("{name:>30}")).collect();
        println!("  {:widest$} {}{}", "min/median/max (n)", head.concat(), if self.columns.len() == 2 { "   ratio" } else { "" });
        for (name, series) in &self.rows {
            let cells: Vec<String> = series.iter().map(|series| format!("{series:>30}")).collect();
            println!("  {name:widest$} {}{}", cells.concat(), ratio(series));
        }
    }
}

/// Median of the first over the median of the second.
fn ratio(series: &[Series]) -> String {
    match series {
        [ours, other] => match (ours.median(), other.median()) {
            (Some(ours), Some(other)) if other.abs() > f64::EPSILON => format!("{:8.2}", ours / other),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

/// The three figures of the kernel: a table taken while others work proves little.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
