//! Values that might meet a condition: what it mentions, what fits the patterns in it, and what is usual for the type.
//! The server says which of them do.

use crate::model::catalog::{Column, Table};
use crate::verify::world::constants::{Mentioned, fitting, mentioned};
use crate::verify::world::values::{as_element, point, unique_value, value};
use crate::verify::world::{pattern, variations};
use std::collections::BTreeSet;

/// How many values of each sort are made, so that as many rows can differ.
const EACH: usize = 80;

/// No text is made longer than this for the sake of a length that a condition mentions.
const LONGEST: usize = 10_000;

/// Candidates for `column` under `conditions`, the likelier first, without repetitions; `who` tries, as text.
pub(super) fn of(table: &Table, column: &Column, conditions: &[&str], who: &[String]) -> Vec<String> {
    let found: Vec<Mentioned> = conditions.iter().map(|text| mentioned(text)).collect();
    let constants: Vec<&String> = found.iter().flat_map(|found| &found.constants).collect();
    let numbers: Vec<i64> = constants.iter().filter_map(|constant| constant.parse().ok()).collect();
    // What policies name goes first, so that no bound on numbers leaves it out.
    let mut values = variations::to_write(table, column, who);
    values.extend(found.iter().flat_map(|found| fitting(column, found)));
    let element = Column { is_array: false, ..column.clone() };
    let scalars = if column.is_array { of_type(&element, &constants, &numbers) } else { Vec::new() };
    if column.is_array {
        // One, none, two, …, of one kind and of several.
        for count in [1, 2, 0, 3, 4, 5] {
            for start in 0..EACH.min(scalars.len()) / 4 {
                let elements = scalars.iter().cycle().skip(start * count).take(count);
                let quoted: Vec<String> = elements.map(|text| trimmed(&as_element(text))).collect();
                values.push(format!("{{{}}}", quoted.join(",")));
            }
        }
    } else {
        values.extend(of_type(column, &constants, &numbers));
    }
    values.extend((1..=EACH).filter_map(|seed| value(column, seed)));
    values.extend((1..=EACH).filter_map(|seed| unique_value(column, &format!("candidate {seed}"), seed)));
    let mut known = BTreeSet::new();
    values.retain(|value| fits(column, value) && known.insert(value.clone()));
    values
}

/// `{"a"}` without its braces.
fn trimmed(array: &str) -> String {
    array.trim_start_matches('{').strip_suffix('}').unwrap_or(array).to_owned()
}

/// Whether the type itself takes it: a cast would cut or round, and an INSERT refuses.
fn fits(column: &Column, value: &str) -> bool {
    if column.is_array {
        return true;
    }
    let long = column.max_length.is_some_and(|limit| value.chars().count() > limit as usize);
    let whole = value.trim_start_matches('-').split('.').next().unwrap_or_default();
    let large = column.digits.is_some_and(|digits| whole.trim_start_matches('0').len() > digits as usize);
    let small = |limit: i64| value.parse::<i64>().is_ok_and(|number| (-limit..=limit).contains(&number));
    let narrow = match column.base_type.as_str() {
        "int2" => small(i64::from(i16::MAX)),
        "int4" => small(i64::from(i32::MAX)),
        _ => true,
    };
    !long && !large && narrow
}

fn of_type(column: &Column, constants: &[&String], numbers: &[i64]) -> Vec<String> {
    match column.base_type.as_str() {
        _ if !column.enum_labels.is_empty() => column.enum_labels.clone(),
        "text" | "varchar" | "bpchar" | "citext" | "name" => texts(constants, numbers),
        "int2" | "int4" | "int8" => {
            let mut values = vec![1, 0, 2, 5, 10, 50, 100, 1_000, 10_000, 1_000_000, -1];
            values.extend(numbers.iter().flat_map(|number| [*number, number.saturating_mul(2), number / 2]));
            values.extend((0..EACH as i64).flat_map(|n| [n, n * 10 + 1]));
            // Between what is mentioned, and around it.
            values.extend(
                numbers.iter().flat_map(|number| {
                    (1..=20).flat_map(move |n| [number.saturating_add(n), number.saturating_sub(n)])
                }),
            );
            values.iter().map(i64::to_string).collect()
        }
        "numeric" | "float4" | "float8" | "money" => {
            let mut values = vec!["1".to_owned(), "0".to_owned(), "0.5".to_owned(), "-1".to_owned()];
            values.extend(numbers.iter().flat_map(|number| [number.to_string(), (number / 2).to_string()]));
            values.extend((0..EACH).flat_map(|n| [n.to_string(), format!("{n}.5")]));
            values
        }
        "timestamptz" | "timestamp" => {
            let mut values: Vec<String> = ["now", "yesterday", "tomorrow", "today"].map(str::to_owned).to_vec();
            values.extend((0..EACH / 2).filter_map(|n| point(&column.base_type, n)));
            values.extend((0..EACH / 4).flat_map(|n| {
                [format!("2024-{:02}-{:02} 10:00", n % 12 + 1, n + 1), format!("{}-06-15 12:00", 1950 + 3 * n)]
            }));
            values
        }
        "date" => {
            let mut values: Vec<String> = ["today", "yesterday", "tomorrow"].map(str::to_owned).to_vec();
            values.extend((0..EACH).flat_map(|n| {
                [format!("{}-06-15", 1905 + n * 2), format!("2024-{:02}-{:02}", n % 12 + 1, n % 28 + 1)]
            }));
            values
        }
        "time" | "timetz" => (0..EACH).map(|n| format!("{:02}:{:02}:00", n % 24, n * 7 % 60)).collect(),
        "interval" => ["1 day", "1 hour", "0", "1 second", "7 days", "1 month", "1 year"].map(str::to_owned).to_vec(),
        "bool" => vec!["true".to_owned(), "false".to_owned()],
        "bytea" => {
            let long = numbers.iter().filter_map(|number| usize::try_from(*number).ok()).filter(|n| *n <= LONGEST);
            long.flat_map(|length| {
                (0..EACH).map(move |n| format!("\\x{:0>width$}", format!("{n:02x}"), width = length * 2))
            })
            .collect()
        }
        "json" | "jsonb" => documents(constants),
        _ => (0..2)
            .flat_map(|side| [2_000, 2_024, 100].map(move |n| n + side))
            .filter_map(|seed| value(column, seed))
            .chain(column.subtype.iter().flat_map(|of| ranges(of, column.multirange)))
            .collect(),
    }
}

fn texts(constants: &[&String], numbers: &[i64]) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for constant in constants {
        values.extend((0..EACH).filter_map(|seed| pattern::of_regex(constant, seed)));
        values.extend((0..EACH).map(|seed| pattern::of_like(constant, seed)));
        // What must begin, end or lie within.
        values.extend(
            (0..EACH / 8)
                .flat_map(|n| [format!("{constant}{n}"), format!("{n}{constant}"), format!("a{n}{constant}b{n}")]),
        );
    }
    for length in numbers.iter().filter_map(|number| usize::try_from(*number).ok()).filter(|n| *n <= LONGEST) {
        for n in 0..EACH / 2 {
            for length in [length, length + 1, length.saturating_sub(1)] {
                for filler in ["a", "0"] {
                    let number = n.to_string();
                    let text = format!("{}{number}", filler.repeat(length));
                    values.push(text.get(text.len() - length..).unwrap_or_default().to_owned());
                }
            }
        }
    }
    for n in 0..EACH / 2 {
        let letters = pattern::of_regex("[a-z]{8}", n).unwrap_or_default();
        values.extend([
            letters.to_uppercase(),
            format!("Made Up {n}"),
            format!("made-up-{n}"),
            format!("{n}"),
            format!("made.up{n}@example.test"),
            format!("https://example.test/{n}"),
            format!("+1555000{n:04}"),
            format!("#{n:06x}"),
            format!("{n:064x}"),
            format!("{{\"made up\": {n}}}"),
            letters,
        ]);
    }
    values.extend(
        [
            "a",
            "A",
            "",
            "DE",
            "de",
            "en-US",
            "Europe/Berlin",
            "EUR",
            "-1",
            "0.5",
            "2024-01-01",
            "10:00",
            "192.0.2.1",
            "/a/b",
        ]
        .map(str::to_owned),
    );
    values
}

fn documents(constants: &[&String]) -> Vec<String> {
    let mut values: Vec<String> =
        ["{}", "[]", "[1]", "[\"a\"]", "\"a\"", "1", "true", "null"].map(str::to_owned).to_vec();
    let samples = ["\"a\"", "1", "true", "[]", "{}", "null", "\"2024-01-01\""];
    let string = |text: &str| serde_json::Value::String(text.to_owned()).to_string();
    for key in constants {
        let of_key =
            samples.iter().map(|sample| (*sample).to_owned()).chain(constants.iter().map(|other| string(other)));
        values.extend(of_key.map(|sample| format!("{{{}: {sample}}}", string(key))));
    }
    for sample in samples {
        let all: BTreeSet<String> = constants.iter().map(|key| format!("{}: {sample}", string(key))).collect();
        let all: Vec<String> = all.into_iter().collect();
        values.push(format!("{{{}}}", all.join(", ")));
    }
    values
}

/// Ranges of several widths, before and after now.
fn ranges(subtype: &str, several: bool) -> Vec<String> {
    let mut values = Vec::new();
    let around = |text: String| if several { format!("{{{text}}}") } else { text };
    for start in [1, 10, 1_000] {
        for width in [1, 2, 10, 24 * 7] {
            if let (Some(low), Some(high)) = (point(subtype, start), point(subtype, start + width)) {
                values.push(around(format!("[{low},{high})")));
            }
        }
    }
    values
}

/// The `n`th of values that follow one another, for the `place`th of several columns that conditions compare.
pub(super) fn in_step(column: &Column, n: usize, place: usize) -> Option<String> {
    let far = n * 10 + place + 1;
    if column.is_array || !column.enum_labels.is_empty() {
        return value(column, far);
    }
    point(&column.base_type, far)
        .filter(|text| fits(column, text))
        .or_else(|| value(column, far))
        .filter(|text| fits(column, text))
}
