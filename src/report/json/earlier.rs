//! An earlier JSON report, read back: the parts that another run is compared with. Frozen, as the report is.

use super::VERSION;
use super::contract::Contract;
use crate::model::failure::Failure;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What is read before all else: whether it is such a report at all.
#[derive(Deserialize)]
struct Head {
    version: Option<u32>,
    command: Option<String>,
}

/// An earlier report of `verify-rls`.
#[derive(Debug, Deserialize)]
pub struct Earlier {
    pub(crate) environment: Environment,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) findings: Vec<Finding>,
    pub(crate) probes: Vec<Probe>,
    /// Older reports have none.
    pub(crate) contract: Option<Contract>,
    /// A report of a part has none.
    coverage: Option<IgnoredAny>,
}

/// Where it was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Environment {
    pub(crate) subject: String,
    pub(crate) tool: String,
}

/// An attempt that was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: String,
    pub(crate) table: String,
    pub(crate) persona: String,
    pub(crate) standing: String,
    pub(crate) command: String,
    pub(crate) verdict: String,
}

/// A finding of then.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) id: String,
    pub(crate) what: String,
}

/// A probe that was made.
#[derive(Debug, Deserialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
}

/// Reads the report that the file `path` holds.
///
/// # Errors
/// Usage, with what is wrong: no JSON, cut off, of another version or command, without a part, or of a part of a schema.
pub fn parse(path: &str, text: &str) -> Result<Earlier, Failure> {
    let wrong = |why: String| {
        Failure::usage(format!("{path} is no report to compare with"))
            .note(why)
            .help("make one with `chartchek-db verify-rls --report json=FILE`")
    };
    let syntax = |error: serde_json::Error| {
        let at = format!("line {}, column {}", error.line(), error.column());
        wrong(if text.trim().is_empty() {
            "it is empty".to_owned()
        } else if error.is_eof() {
            format!("it ends in the middle, at {at}: it was cut off")
        } else if error.is_data() {
            format!("it lacks a part, or holds one of another kind: {error}")
        } else {
            format!("it is no JSON, at {at}")
        })
    };
    // All of it is looked at here, so that a file that is cut off is not told of as one that lacks a part.
    let head: Head = serde_json::from_str(text).map_err(syntax)?;
    match head.version {
        Some(VERSION) => {}
        Some(other) => return Err(wrong(format!("it is of version {other}; version {VERSION} is known"))),
        None => return Err(wrong("it names no version".to_owned())),
    }
    if head.command.as_deref() != Some("verify-rls") {
        let command = head.command.unwrap_or_else(|| "nothing that it names".to_owned());
        return Err(wrong(format!("it is of {command}, not of verify-rls")));
    }
    let earlier: Earlier = serde_json::from_str(text).map_err(syntax)?;
    if earlier.coverage.is_none() {
        return Err(wrong("it is of a part of a schema: it was made with --only".to_owned()));
    }
    Ok(earlier)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse("old.json", text).unwrap_err().notes().join("; ")
    }

    #[test]
    fn what_is_no_report_is_refused_with_what_is_wrong() {
        let whole = "{\"version\": 1, \"command\": \"verify-rls\", \"environment\": {\"subject\": \"s\", \"tool\": \"t\"}, \
                     \"attempts\": [], \"findings\": [], \"probes\": [], \"coverage\": {}}";
        assert!(parse("old.json", whole).is_ok());
        assert_eq!(refusal(""), "it is empty");
        assert!(refusal("<html>").starts_with("it is no JSON, at line 1"));
        assert!(refusal("[1]").starts_with("it lacks a part"));
        for end in 1..whole.len() {
            assert!(refusal(&whole[..end]).contains("cut off"), "{}", refusal(&whole[..end]));
        }
        assert_eq!(refusal(&whole.replace("1,", "2,")), "it is of version 2; version 1 is known");
        assert_eq!(refusal("{}"), "it names no version");
        assert_eq!(refusal(&whole.replace("verify-rls", "lint")), "it is of lint, not of verify-rls");
        assert!(refusal(&whole.replace("\"probes\": [], ", "")).contains("missing field `probes`"));
        assert!(refusal(&whole.replace(", \"coverage\": {}", "")).contains("--only"));
    }
}
