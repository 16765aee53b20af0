//! The constants that conditions mention, read from their text, and the values of columns that they could be compared
//! with.

use super::values::as_element;
use crate::model::catalog::Column;
use uuid::Uuid;

/// What a condition's text mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mentioned {
    /// Strings and numbers, as they stand in the text; arrays' elements one by one.
    pub(crate) constants: Vec<String>,
    /// The keys by which JSON is looked into.
    pub(crate) keys: Vec<String>,
    /// Whether it asks for the time.
    pub(crate) now: bool,
}

/// The words by which SQL asks for the time.
const CLOCKS: [&str; 7] = [
    "now",
    "current_timestamp",
    "current_date",
    "localtimestamp",
    "clock_timestamp",
    "statement_timestamp",
    "transaction_timestamp",
];

/// Reads `sql`, a condition or a function's body (lexical rules: PostgreSQL manual, section 4.1). Names of parameters
/// (`current_setting('…')`) are no constants.
pub(crate) fn mentioned(sql: &str) -> Mentioned {
    let mut found = Mentioned::default();
    let bytes = sql.as_bytes();
    let (mut at, mut before) = (0, String::new());
    while let Some(&byte) = bytes.get(at) {
        let rest = &sql[at..];
        if byte.is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (length, token) = match byte {
            b'\'' => quoted(rest, '\''),
            b'"' => (quoted(rest, '"').0, String::new()),
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                at += rest.find("*/").map_or(rest.len(), |end| end + 2);
                continue;
            }
            _ => {
                let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
                let end = rest.find(|c: char| !word(c)).unwrap_or(rest.len());
                let operator = rest.find(|c: char| !"<>=#-".contains(c)).unwrap_or(rest.len());
                let one = rest.chars().next().map_or(1, char::len_utf8);
                let length = if end > 0 { end } else { operator.max(one) };
                (length, rest[..length].to_lowercase())
            }
        };
        match byte {
            b'\'' if before.ends_with('>') && before.contains("->") => found.keys.push(token.clone()),
            b'\'' if before.ends_with("current_setting(") => {}
            b'\'' => add(&mut found.constants, &token),
            b'0'..=b'9' => add(&mut found.constants, token.trim_end_matches('.')),
            _ => found.now |= CLOCKS.contains(&token.rsplit('.').next().unwrap_or_default()),
        }
        // What stands before a string says what it is for: an operator, or a function and its bracket.
        before = match (byte, token.as_str()) {
            (b'\'' | b'"', _) => String::new(),
            (_, "(") => format!("{before}("),
            (_, token) => token.to_owned(),
        };
        at += length;
    }
    for list in [&mut found.constants, &mut found.keys] {
        list.sort();
        list.dedup();
    }
    found
}

/// The length and the content of what `quote` encloses at the beginning of `text`.
pub(crate) fn quoted(text: &str, quote: char) -> (usize, String) {
    let mut content = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != quote {
            content.push(c);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            content.push(quote);
        } else {
            return (at + 1, content);
        }
    }
    (text.len(), content)
}

fn add(constants: &mut Vec<String>, text: &str) {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(elements) if !elements.contains(['{', ':']) => {
            constants.extend(elements.split(',').map(|element| element.trim().trim_matches('"').to_owned()));
        }
        _ => constants.push(text.to_owned()),
    }
}

/// The values of `column` that make a comparison with what is mentioned come out one way or the other.
pub(crate) fn fitting(column: &Column, mentioned: &Mentioned) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    match column.base_type.as_str() {
        _ if !column.enum_labels.is_empty() => {}
        "text" | "varchar" | "bpchar" | "citext" | "name" => {
            for constant in &mentioned.constants {
                values.push(constant.clone());
                // A pattern is met by what it is made of.
                values.push(constant.trim_matches(['%', '^', '$']).to_owned());
            }
            values.retain(|text| column.max_length.is_none_or(|limit| text.chars().count() <= limit as usize));
        }
        "int2" | "int4" | "int8" => {
            let numbers = mentioned.constants.iter().filter_map(|constant| constant.parse::<i64>().ok());
            let limit = if column.base_type == "int2" { i64::from(i16::MAX) } else { i64::from(i32::MAX) };
            let around = numbers.flat_map(|number| [number.saturating_sub(1), number, number.saturating_add(1)]);
            values.extend(around.filter(|number| number.abs() <= limit).map(|number| number.to_string()));
        }
        "numeric" | "float4" | "float8" => {
            for constant in mentioned.constants.iter().filter(|constant| constant.parse::<f64>().is_ok()) {
                let number: f64 = constant.parse().unwrap_or_default();
                if number.is_finite() {
                    values.extend([(number - 1.0).to_string(), constant.clone(), (number + 1.0).to_string()]);
                }
            }
        }
        "date" | "timestamp" | "timestamptz" => {
            values.extend(mentioned.constants.iter().filter(|constant| is_date(constant)).cloned());
            if mentioned.now {
                values.extend(["now", "yesterday", "tomorrow"].map(str::to_owned));
            }
        }
        "uuid" => values.extend(mentioned.constants.iter().filter(|text| Uuid::try_parse(text).is_ok()).cloned()),
        "json" | "jsonb" => {
            let value =
                |text: &String| serde_json::from_str(text).unwrap_or_else(|_| serde_json::Value::String(text.clone()));
            for key in &mentioned.keys {
                let objects = mentioned.constants.iter().map(|text| serde_json::json!({ key.as_str(): value(text) }));
                values.extend(objects.map(|object| object.to_string()));
                values.extend([true, false].map(|flag| serde_json::json!({ key.as_str(): flag }).to_string()));
            }
        }
        _ => {}
    }
    if column.is_array {
        values = values.iter().map(|value| as_element(value)).collect();
    }
    let mut known: Vec<String> = Vec::new();
    values.retain(|value| {
        let new = !known.contains(value);
        known.extend(new.then(|| value.clone()));
        new
    });
    values
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes.iter().take(10).enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(base_type: &str) -> Column {
        Column { base_type: base_type.to_owned(), ..Column::default() }
    }

    #[test]
    fn strings_numbers_and_keys_are_told_apart() {
        let found = mentioned(
            "((status = 'it''s'::text) OR (score > 100) OR (tags && '{a,b}'::text[]) -- 'not this'
             OR ((meta ->> 'kind'::text) = 'open'::text) OR (\"a'b\" = '-5'::integer) /* 'nor this' */
             OR (current_setting('app.x'::text) = 'y'::text) OR (col1 < now()))",
        );
        assert_eq!(found.constants, ["-5", "100", "a", "b", "it's", "open", "y"]);
        assert_eq!(found.keys, ["kind"]);
        assert!(found.now);
        assert!(!mentioned("knowing = 1").now);
        assert_eq!(mentioned("x = 'without end").constants, ["without end"]);
    }

    #[test]
    fn values_stand_on_both_sides_of_a_number() {
        let found = mentioned("(score > 100) and (rate < 0.5) and name like 'pub%'");
        assert_eq!(fitting(&column("int4"), &found), ["99", "100", "101"]);
        assert!(fitting(&column("numeric"), &found).contains(&"1.5".to_owned()));
        assert_eq!(fitting(&column("text"), &found), ["0.5", "100", "pub%", "pub"]);
        assert!(fitting(&column("uuid"), &found).is_empty());
    }

    #[test]
    fn times_and_documents() {
        let found = mentioned("(d > '2024-02-03'::date) or (m ->> 'level') = '3' or x > current_date");
        assert_eq!(fitting(&column("date"), &found), ["2024-02-03", "now", "yesterday", "tomorrow"]);
        assert!(fitting(&column("jsonb"), &found).contains(&"{\"level\":3}".to_owned()));
        let array = Column { is_array: true, ..column("text") };
        assert!(fitting(&array, &found).contains(&"{\"3\"}".to_owned()));
    }
}
