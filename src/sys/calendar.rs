//! Wall-clock time as people write it, in the machine's time zone.

use std::time::{SystemTime, UNIX_EPOCH};

/// A local date and time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// Days since Sunday, 0..=6.
    pub weekday: u8,
    /// Months since January, 0..=11.
    pub month: u8,
    /// Day of the month, 1..=31.
    pub day: u8,
    /// 0..=23.
    pub hour: u8,
    /// 0..=59.
    pub minute: u8,
    /// 0..=60.
    pub second: u8,
    /// As in 2026.
    pub year: i32,
    /// Minutes east of Greenwich.
    pub offset: i32,
}

const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Local {
    /// Now. The first call reads the machine's time zone file, so it belongs before a sandbox is shut.
    pub fn now() -> Self {
        Self::at(SystemTime::now())
    }

    /// At a moment.
    #[expect(unsafe_code, reason = "localtime_r has no safe wrapper; std and nix know no time zones")]
    pub fn at(moment: SystemTime) -> Self {
        let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
        let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
        // SAFETY: `tm` is plain numbers and a pointer, for which all-zero bytes are valid; both pointers live through the call.
        let tm = unsafe {
            let mut tm: libc::tm = std::mem::zeroed();
            libc::localtime_r(&raw const seconds, &raw mut tm);
            tm
        };
        let small = |number: i32| u8::try_from(number).unwrap_or(0);
        Self {
            weekday: small(tm.tm_wday),
            month: small(tm.tm_mon),
            day: small(tm.tm_mday),
            hour: small(tm.tm_hour),
            minute: small(tm.tm_min),
            second: small(tm.tm_sec),
            year: tm.tm_year.saturating_add(1900),
            offset: i32::try_from(tm.tm_gmtoff / 60).unwrap_or(0),
        }
    }

    /// As ctime(3): `Sat Nov 21 06:24:11 2026`.
    pub fn ctime(&self) -> String {
        let weekday = WEEKDAYS.get(usize::from(self.weekday)).copied().unwrap_or("???");
        format!("{weekday} {} {}", self.syslog(), self.year)
    }

    /// As in a mail's header: `Sat, 21 Nov 2026 06:24:11 +0100` (RFC 5322 §3.3).
    pub fn mail(&self) -> String {
        let weekday = WEEKDAYS.get(usize::from(self.weekday)).copied().unwrap_or("Sun");
        let month = MONTHS.get(usize::from(self.month)).copied().unwrap_or("Jan");
        let (sign, offset) = (if self.offset < 0 { '-' } else { '+' }, self.offset.abs());
        let time = format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second);
        format!("{weekday}, {:02} {month} {} {time} {sign}{:02}{:02}", self.day, self.year, offset / 60, offset % 60)
    }

    /// As syslog(3): `Nov 21 06:24:11` (RFC 3164 §4.1.2: the day is padded with a blank).
    pub fn syslog(&self) -> String {
        let month = MONTHS.get(usize::from(self.month)).copied().unwrap_or("???");
        format!("{month} {:2} {:02}:{:02}:{:02}", self.day, self.hour, self.minute, self.second)
    }
}

/// The moment that `HH:MM:SS`, `YY-MM-DD HH:MM:SS` or `YYYY-MM-DD HH:MM:SS` names, in local time or, with a `Z` behind it, UTC. A time of the
/// day is the next such time after `now`. `None` for other text.
pub fn moment(text: &str, now: SystemTime) -> Option<SystemTime> {
    let (text, utc) = text.strip_suffix('Z').map_or((text, false), |text| (text.trim_end(), true));
    let (date, time) = text.split_once(' ').map_or((None, text), |(date, time)| (Some(date), time.trim_start()));
    let [hour, minute, second] = three(time, ':')?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let Some(date) = date else {
        let today = broken_down(now, utc);
        let at = joined(&libc::tm { tm_hour: hour, tm_min: minute, tm_sec: second, ..today }, utc)?;
        let tomorrow = libc::tm { tm_mday: today.tm_mday + 1, tm_hour: hour, tm_min: minute, tm_sec: second, ..today };
        return if at > now { Some(at) } else { joined(&tomorrow, utc) };
    };
    let [year, month, day] = three(date, '-')?;
    let year = if year < 100 { year + 2000 } else { year };
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let start = broken_down(now, utc);
    joined(&libc::tm { tm_year: year - 1900, tm_mon: month - 1, tm_mday: day, tm_hour: hour, tm_min: minute, tm_sec: second, ..start }, utc)
}

fn three(text: &str, separator: char) -> Option<[i32; 3]> {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten();
    let numbers: Vec<i32> = text.split(separator).map(digits).collect::<Option<_>>()?;
    numbers.try_into().ok()
}

#[expect(unsafe_code, reason = "localtime_r and gmtime_r have no safe wrapper")]
fn broken_down(moment: SystemTime, utc: bool) -> libc::tm {
    let seconds = moment.duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
    let seconds = libc::time_t::try_from(seconds).unwrap_or(0);
    // SAFETY: `tm` is plain numbers and a pointer, for which all-zero bytes are valid; both pointers live through the call.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        if utc {
            libc::gmtime_r(&raw const seconds, &raw mut tm)
        } else {
            libc::localtime_r(&raw const seconds, &raw mut tm)
        };
        tm
    }
}

#[expect(unsafe_code, reason = "mktime and timegm have no safe wrapper")]
fn joined(tm: &libc::tm, utc: bool) -> Option<SystemTime> {
    // Whether summer time holds then is for the C library to find out.
    let mut tm = libc::tm { tm_isdst: -1, ..*tm };
    // SAFETY: the pointer is to a live value for the length of the call.
    let seconds = unsafe { if utc { libc::timegm(&raw mut tm) } else { libc::mktime(&raw mut tm) } };
    Some(UNIX_EPOCH + std::time::Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_the_originals() {
        let date = Local { weekday: 6, month: 10, day: 1, hour: 6, minute: 4, second: 11, year: 2026, offset: -210 };
        assert_eq!(date.ctime(), "Sat Nov  1 06:04:11 2026");
        assert_eq!(date.syslog(), "Nov  1 06:04:11");
        assert_eq!(date.mail(), "Sat, 01 Nov 2026 06:04:11 -0330");
    }

    #[test]
    fn moments_are_read_as_reload_time_file_writes_them() {
        let at = |seconds: u64| UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        // 2001-09-09 01:46:40 UTC
        let now = at(1_000_000_000);
        assert_eq!(moment("2001-09-09 01:46:45Z", now), Some(at(1_000_000_005)));
        assert_eq!(moment("01-09-09 01:46:45Z", now), Some(at(1_000_000_005)));
        assert_eq!(moment("01:46:45Z", now), Some(at(1_000_000_005)));
        assert_eq!(moment("01:46:40Z", now), Some(at(1_000_086_400)), "tomorrow");
        assert_eq!(moment("2001-09-09 01:46:30Z", now), Some(at(999_999_990)), "a full date may be past");
        for wrong in ["", "25:00:00", "1:2", "2001-13-01 00:00:00", "soon", "2001-09-09", "-1:00:00"] {
            assert_eq!(moment(wrong, now), None, "{wrong}");
        }
    }

    #[test]
    fn a_moment_becomes_a_plausible_date() {
        let date = Local::at(UNIX_EPOCH + std::time::Duration::from_secs(1_795_000_000));
        assert_eq!((date.year, date.month), (2026, 10));
    }
}
