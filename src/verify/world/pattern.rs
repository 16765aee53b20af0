//! Texts that fit a pattern: a regular expression (PostgreSQL manual, section 9.7.3) or one of LIKE. What is not
//! understood gives nothing; the server has the last word on what fits.

use std::iter::Peekable;
use std::str::Chars;

/// How many times more than it must be something is repeated at most.
const MORE: u32 = 5;

/// How deep groups are read.
const DEPTH: usize = 20;

/// The characters that `.` and negated classes are filled with.
const PLAIN: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_ ";

/// Alternatives, each a sequence of what is repeated how often.
type Group = Vec<Vec<(Node, u32, u32)>>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// One of these characters.
    One(Vec<char>),
    Group(Group),
}

/// A text that the regular expression matches; other `seed`s give other texts, as far as there are any.
pub(crate) fn of_regex(pattern: &str, seed: usize) -> Option<String> {
    let mut rest = pattern.chars().peekable();
    let group = alternatives(&mut rest, 0)?;
    if rest.next().is_some() {
        return None;
    }
    let mut text = String::new();
    write(&group, &mut Dice(seed as u64), &mut text);
    Some(text)
}

/// A text that the LIKE pattern matches.
pub(crate) fn of_like(pattern: &str, seed: usize) -> String {
    let mut text = String::new();
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        match character {
            '%' => text.push_str(&format!("made{seed}")),
            '_' => text.push('x'),
            '\\' => text.extend(rest.next()),
            other => text.push(other),
        }
    }
    text
}

/// Numbers that look like chance and are the same for the same seed (Knuth's MMIX).
struct Dice(u64);

impl Dice {
    /// A number below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % sides.max(1)
    }
}

fn write(group: &Group, dice: &mut Dice, text: &mut String) {
    let Some(sequence) = group.get(dice.roll(group.len())) else { return };
    for (node, least, most) in sequence {
        for _ in 0..least + u32::try_from(dice.roll((most - least) as usize + 1)).unwrap_or_default() {
            match node {
                Node::One(characters) => text.extend(characters.get(dice.roll(characters.len()))),
                Node::Group(group) => write(group, dice, text),
            }
        }
    }
}

fn alternatives(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<Group> {
    let mut group = vec![Vec::new()];
    while let Some(&next) = rest.peek() {
        if next == ')' && depth > 0 {
            break;
        }
        rest.next();
        let node = match next {
            '|' => {
                group.push(Vec::new());
                continue;
            }
            '^' | '$' => continue,
            '(' => inner(rest, depth)?,
            '[' => Node::One(class(rest)?),
            '.' => Node::One(PLAIN.chars().collect()),
            '\\' => match escaped(rest.next()?) {
                Some(characters) => Node::One(characters),
                None => continue,
            },
            '*' | '+' | '?' => return None,
            literal => Node::One(vec![literal]),
        };
        let (least, most) = repeated(rest)?;
        group.last_mut()?.push((node, least, most));
    }
    Some(group)
}

fn inner(rest: &mut Peekable<Chars<'_>>, depth: usize) -> Option<Node> {
    if depth > DEPTH {
        return None;
    }
    if rest.next_if_eq(&'?').is_some() && rest.next()? != ':' {
        // What must or must not follow.
        return None;
    }
    let group = alternatives(rest, depth + 1)?;
    rest.next_if_eq(&')')?;
    Some(Node::Group(group))
}

/// How often at least and at most.
fn repeated(rest: &mut Peekable<Chars<'_>>) -> Option<(u32, u32)> {
    let bounds = match rest.peek().copied() {
        Some('*') => (0, MORE),
        Some('+') => (1, 1 + MORE),
        Some('?') => (0, 1),
        Some('{') if !rest.clone().any(|c| c == '}') => return None,
        Some('{') => {
            let ahead: String = rest.clone().skip(1).take_while(|c| *c != '}').collect();
            let bounds = match ahead.split_once(',') {
                None => (ahead.parse().ok()?, ahead.parse().ok()?),
                Some((least, "")) => (least.parse().ok()?, least.parse::<u32>().ok()?.checked_add(MORE)?),
                Some((least, most)) => {
                    let least: u32 = least.parse().ok()?;
                    (least, most.parse::<u32>().ok()?.min(least.checked_add(MORE)?).max(least))
                }
            };
            // The last of them is taken off below.
            rest.nth(ahead.chars().count());
            bounds
        }
        _ => return Some((1, 1)),
    };
    rest.next();
    // The mark of a reluctant repetition.
    rest.next_if_eq(&'?');
    (bounds.1 <= 10_000).then_some(bounds)
}

/// What stands behind a backslash; `None` for what matches no character.
fn escaped(character: char) -> Option<Vec<char>> {
    Some(match character {
        'd' => ('0'..='9').collect(),
        'w' => ('a'..='z').chain('0'..='9').collect(),
        's' => vec![' '],
        'D' => ('a'..='z').collect(),
        'W' => vec!['-'],
        'S' => ('a'..='z').collect(),
        't' => vec!['\t'],
        'n' => vec!['\n'],
        'A' | 'Z' | 'm' | 'M' | 'y' | 'Y' | 'b' | 'B' => return None,
        literal => vec![literal],
    })
}

/// A bracket expression behind its `[`.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<Vec<char>> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut set: Vec<char> = Vec::new();
    let mut first = true;
    loop {
        let character = match rest.next()? {
            ']' if !first => break,
            '[' if rest.next_if_eq(&':').is_some() => {
                let name: String = rest.by_ref().take_while(|c| *c != ':').collect();
                rest.next_if_eq(&']')?;
                set.extend(named(&name)?);
                first = false;
                continue;
            }
            '\\' => {
                let found = escaped(rest.next()?)?;
                if found.len() > 1 {
                    set.extend(found);
                    first = false;
                    continue;
                }
                *found.first()?
            }
            other => other,
        };
        first = false;
        // A range, unless the hyphen is the last.
        let mut ahead = rest.clone();
        let end = ahead.next_if_eq(&'-').and_then(|_| ahead.next()).filter(|end| *end != ']');
        if let Some(end) = end {
            rest.nth(1);
            set.extend((character..=end).take(256));
        } else {
            set.push(character);
        }
    }
    let set = if negated { PLAIN.chars().filter(|c| !set.contains(c)).collect() } else { set };
    (!set.is_empty()).then_some(set)
}

fn named(name: &str) -> Option<Vec<char>> {
    Some(match name {
        "alpha" => ('a'..='z').chain('A'..='Z').collect(),
        "lower" => ('a'..='z').collect(),
        "upper" => ('A'..='Z').collect(),
        "digit" => ('0'..='9').collect(),
        "xdigit" => ('0'..='9').chain('a'..='f').collect(),
        "alnum" => ('a'..='z').chain('0'..='9').collect(),
        "space" | "blank" => vec![' '],
        "punct" => vec!['.', '-', '!'],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_pattern() {
        for seed in 0..50 {
            let text = of_regex("^[A-Z]{3}-[0-9]{4}$", seed).unwrap();
            let (letters, digits) = text.split_once('-').unwrap();
            assert!(letters.len() == 3 && letters.bytes().all(|b| b.is_ascii_uppercase()), "{text}");
            assert!(digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()), "{text}");
            let text = of_regex(r"^(draft|v\d+)(\.[[:lower:]]{2,})?$", seed).unwrap();
            assert!(text.starts_with("draft") || text.starts_with('v'), "{text}");
            let text = of_regex("^[^a-zA-Z0-9_ ]+?x*$", seed).unwrap();
            assert!(text.starts_with('-') && text.trim_start_matches('-').bytes().all(|b| b == b'x'), "{text}");
            assert_eq!(of_regex("^a{2}[]x-]$", seed).unwrap().len(), 3);
        }
        assert_eq!(of_like("kind:%_\\%", 1), "kind:made1x%");
        for odd in ["(?=a)b", "[a", "(a", "*a", "a{9"] {
            assert_eq!(of_regex(odd, 1), None, "{odd}");
        }
    }
}
