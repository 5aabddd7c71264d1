//! Dates, times and durations as people say them, in both languages.
//!
//! A year is said where it is not the present one, a date where it is not today. All of it is in the
//! zone of the tenant, whose staff read it.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::problem::Text;

const MONTHS: [[&str; 2]; 12] = [
    ["January", "Januari"],
    ["February", "Februari"],
    ["March", "Maret"],
    ["April", "April"],
    ["May", "Mei"],
    ["June", "Juni"],
    ["July", "Juli"],
    ["August", "Agustus"],
    ["September", "September"],
    ["October", "Oktober"],
    ["November", "November"],
    ["December", "Desember"],
];

/// A date with its year: `16 March 2026`.
#[must_use]
pub fn full_date(it: Date) -> Text {
    let month = usize::try_from(it.month()).unwrap_or(1).saturating_sub(1);
    let [en, id] = MONTHS.get(month).copied().unwrap_or_default();
    let (day, year) = (it.day(), it.year());
    Text::new(format!("{day} {en} {year}"), format!("{day} {id} {year}"))
}

/// A date, with the year where it is not that of `today`: `24 June`, `29 January 2025`.
#[must_use]
pub fn date(it: Date, today: Date) -> Text {
    let Text { mut en, mut id } = full_date(it);
    if it.year() == today.year() {
        for text in [&mut en, &mut id] {
            let end = text.rfind(' ').unwrap_or(text.len());
            text.truncate(end);
        }
    }
    Text { id, en }
}

/// A moment with its date and year: `21 November 2026, 09:00`, `21 November 2026 pukul 09.00`.
#[must_use]
pub fn full_time(at: Timestamp, zone: &TimeZone) -> Text {
    let local = zone.to_datetime(at);
    joined(&full_date(local.date()), &hour(local.time()))
}

/// A moment: `02:00` today, `1 December, 10:00` on another day of this year.
#[must_use]
pub fn time(at: Timestamp, now: Timestamp, zone: &TimeZone) -> Text {
    let (local, today) = (zone.to_datetime(at), zone.to_datetime(now).date());
    let time = hour(local.time());
    if local.date() == today {
        return Text::new(time.en, format!("pukul {}", time.id));
    }
    joined(&date(local.date(), today), &time)
}

fn hour(it: jiff::civil::Time) -> Text {
    let (hour, minute) = (it.hour(), it.minute());
    Text::new(format!("{hour:02}:{minute:02}"), format!("{hour:02}.{minute:02}"))
}

fn joined(date: &Text, time: &Text) -> Text {
    Text::new(format!("{}, {}", date.en, time.en), format!("{} pukul {}", date.id, time.id))
}

/// How long something took: minutes up to two hours, hours up to two days, then days.
#[must_use]
pub fn duration(it: SignedDuration) -> Text {
    let minutes = it.as_mins().max(0);
    match minutes {
        0 => Text::new("less than a minute", "kurang dari satu menit"),
        1..120 => counted(minutes, "minute", "menit"),
        120..2_880 => counted(minutes / 60, "hour", "jam"),
        _ => counted(minutes / 1_440, "day", "hari"),
    }
}

/// A count with its noun; Indonesian has no plural forms.
#[must_use]
pub fn counted(count: i64, en: &str, id: &str) -> Text {
    let plural = if count == 1 { "" } else { "s" };
    Text::new(
        format!("{} {en}{plural}", grouped(count, ',')),
        format!("{} {id}", grouped(count, '.')),
    )
}

/// What something is about, named by topic and id: `complaint/k-55` is "complaint k-55".
#[must_use]
pub fn matter(about: &str) -> Text {
    let (topic, id) = about.split_once('/').unwrap_or(("", about));
    let indonesian = match topic {
        "inquiry" => "pertanyaan",
        "complaint" => "keluhan",
        "promise" => "janji",
        "visit" => "kunjungan",
        "purchase" => "pembelian",
        "payment" => "pembayaran",
        "referral" => "rujukan",
        "feedback" => "masukan",
        "improvement" => "perbaikan",
        "alert" => "peringatan",
        "plan" => "rencana",
        "reward" => "hadiah",
        "customer" => "pelanggan",
        // "booking" is the word in both languages.
        other => other,
    };
    let said = |topic: &str| format!("{topic} {id}").trim_start().to_owned();
    Text::new(said(topic), said(indonesian))
}

/// A word of a closed or open list as people read it: `air_conditioning` is "air conditioning".
#[must_use]
pub fn word(slug: &str) -> String {
    slug.replace(['_', '-'], " ")
}

/// A whole number with a sign between the thousands.
#[must_use]
pub fn grouped(number: i64, sign: char) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut out = if number < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if 0 < at && (digits.len() - at).is_multiple_of(3) {
            out.push(sign);
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(text: &str) -> Timestamp {
        crate::time::parse_instant(text).unwrap()
    }

    #[test]
    fn a_time_says_its_date_where_that_is_not_today_and_its_year_where_that_is_not_this_one() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let now = instant("2026-12-01T02:40:00+07:00");
        for (at, en, id) in [
            ("2026-12-01T02:00:00+07:00", "02:00", "pukul 02.00"),
            ("2026-11-30T17:05:00+07:00", "30 November, 17:05", "30 November pukul 17.05"),
            ("2025-08-01T09:00:00+07:00", "1 August 2025, 09:00", "1 Agustus 2025 pukul 09.00"),
        ] {
            assert_eq!(time(instant(at), now, &zone), Text::new(en, id));
        }
        let today = zone.to_datetime(now).date();
        let date = |text: &str| date(text.parse().unwrap(), today);
        assert_eq!(date("2026-06-24"), Text::new("24 June", "24 Juni"));
        assert_eq!(date("2027-01-29"), Text::new("29 January 2027", "29 Januari 2027"));
    }

    #[test]
    fn a_duration_is_said_in_the_unit_that_people_would_use() {
        for (minutes, en, id) in [
            (0, "less than a minute", "kurang dari satu menit"),
            (1, "1 minute", "1 menit"),
            (40, "40 minutes", "40 menit"),
            (119, "119 minutes", "119 menit"),
            (120, "2 hours", "2 jam"),
            (47 * 60 + 59, "47 hours", "47 jam"),
            (48 * 60, "2 days", "2 hari"),
            (1_440 * 1_234, "1,234 days", "1.234 hari"),
        ] {
            let said = duration(SignedDuration::from_mins(minutes));
            assert_eq!(said, Text::new(en, id));
        }
    }
}
