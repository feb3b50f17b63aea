//! What is taken out: e-mail addresses, card numbers and chosen words.
//!
//! Every match has at most `LONGEST` bytes, so that no more than that need be held back.

use std::ops::Range;

/// Bytes of the longest match: 64 letters in front of the `@` and 255 behind it, at four bytes each.
pub(crate) const LONGEST: usize = 4 * 320;
/// Longer words are not looked for.
const LONGEST_WORD: usize = 200;

/// What to look for.
pub(crate) struct Patterns {
    emails: bool,
    cards: bool,
    /// In lower case, none empty.
    words: Vec<Vec<char>>,
}

/// A place to be taken out, and what to put there.
struct Match {
    range: Range<usize>,
    instead: &'static str,
}

impl Patterns {
    pub(crate) fn new(emails: bool, cards: bool, words: &[String]) -> Self {
        let words = words.iter().map(|word| word.trim().chars().map(lower).collect::<Vec<_>>());
        Self {
            emails,
            cards,
            words: words.filter(|word| !word.is_empty() && word.len() <= LONGEST_WORD).collect(),
        }
    }

    /// The text without its matches.
    pub(crate) fn redact(&self, text: &str) -> String {
        self.finish(text, None)
    }

    /// The text without its matches, where it followed `before` and nothing follows.
    pub(crate) fn finish(&self, text: &str, before: Option<char>) -> String {
        self.replace(text, before, text.len()).0
    }

    /// Takes the matches out of what can be let go of `text`, which followed `before`, and returns the number of bytes that this was.
    /// What remains may be the beginning of a match, or a match that goes on.
    pub(crate) fn release(&self, text: &str, before: Option<char>) -> (String, usize) {
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        let mut from = self.unfinished(&letters, text.len());
        if text.len() - from > LONGEST {
            from = (text.len() - LONGEST..text.len())
                .find(|&at| text.is_char_boundary(at))
                .unwrap_or(text.len());
        }
        self.replace(text, before, from)
    }

    /// Takes the matches out of `text[..end]`; one that reaches beyond `end` and what follows stays.
    fn replace(&self, text: &str, before: Option<char>, end: usize) -> (String, usize) {
        let letters: Vec<(usize, char)> = text.char_indices().collect();
        let mut replaced = String::with_capacity(text.len());
        let mut done = 0;
        let mut at = 0;
        while at < letters.len() {
            let found = self.find(text, &letters, at, before);
            match found {
                Some(found) if found.range.start >= end => break,
                Some(found) if found.range.end > end => {
                    replaced.push_str(&text[done..found.range.start]);
                    return (replaced, found.range.start);
                }
                Some(found) => {
                    replaced.push_str(&text[done..found.range.start]);
                    replaced.push_str(found.instead);
                    done = found.range.end;
                    at = letters.partition_point(|&(byte, _)| byte < done);
                }
                None => at += 1,
            }
        }
        replaced.push_str(&text[done..end.max(done)]);
        (replaced, end.max(done))
    }

    /// The match that begins at letter `at`.
    fn find(&self, text: &str, letters: &[(usize, char)], at: usize, before: Option<char>) -> Option<Match> {
        let previous = at.checked_sub(1).and_then(|at| letters.get(at)).map(|&(_, letter)| letter).or(before);
        let to = |length: usize| letters.get(at + length).map_or(text.len(), |&(byte, _)| byte);
        let (start, _) = *letters.get(at)?;
        let rest = letters.get(at..)?;
        let found = |length: usize, instead| Match { range: start..to(length), instead };
        if let Some(word) =
            self.words.iter().filter(|word| begins_with(rest, word)).max_by_key(|word| word.len())
        {
            return Some(found(word.len(), "[redacted]"));
        }
        if self.emails
            && let Some(length) = email(rest, previous)
        {
            return Some(found(length, "[e-mail]"));
        }
        if self.cards
            && let Some(length) = card(rest, previous)
        {
            return Some(found(length, "[card number]"));
        }
        None
    }

    /// Where the part begins that more text could make a match, or a longer one.
    fn unfinished(&self, letters: &[(usize, char)], end: usize) -> usize {
        let mut from = letters.len();
        let run = |fits: fn(char) -> bool| {
            letters.iter().rposition(|&(_, letter)| !fits(letter)).map_or(0, |at| at + 1)
        };
        if self.emails {
            from = from.min(run(in_email));
        }
        if self.cards {
            let run = run(in_card);
            let digit = letters[run..].iter().position(|&(_, letter)| letter.is_ascii_digit());
            from = from.min(digit.map_or(letters.len(), |digit| run + digit));
        }
        for word in &self.words {
            let longest = word.len().saturating_sub(1).min(letters.len());
            let begun = (1..=longest)
                .rev()
                .find(|&length| begins_with(&letters[letters.len() - length..], &word[..length]));
            from = from.min(letters.len() - begun.unwrap_or(0));
        }
        letters.get(from).map_or(end, |&(byte, _)| byte)
    }
}

fn lower(letter: char) -> char {
    letter.to_lowercase().next().unwrap_or(letter)
}

fn begins_with(letters: &[(usize, char)], word: &[char]) -> bool {
    letters.len() >= word.len()
        && letters.iter().zip(word).all(|(&(_, letter), &wanted)| lower(letter) == wanted)
}

fn in_local_part(letter: char) -> bool {
    letter.is_alphanumeric() || "._%+-'".contains(letter)
}

fn in_email(letter: char) -> bool {
    in_local_part(letter) || letter == '@'
}

fn in_card(letter: char) -> bool {
    letter.is_ascii_digit() || is_separator(letter)
}

fn is_separator(letter: char) -> bool {
    matches!(letter, ' ' | '-' | '\u{a0}')
}

/// Letters of the address that begins here, which is not in the middle of a longer local part.
fn email(letters: &[(usize, char)], previous: Option<char>) -> Option<usize> {
    if previous.is_some_and(in_local_part) {
        return None;
    }
    let local = letters.iter().take_while(|&&(_, letter)| in_local_part(letter)).count();
    if local == 0 || local > 64 || letters.get(local)?.1 != '@' {
        return None;
    }
    let domain: Vec<char> = letters[local + 1..]
        .iter()
        .map(|&(_, letter)| letter)
        .take_while(|&letter| letter.is_alphanumeric() || letter == '.' || letter == '-')
        .take(255)
        .collect();
    // The longest beginning that ends with a dot and two letters or more.
    let mut end = None;
    let mut label = 0;
    let mut labels = 0;
    for (at, &letter) in domain.iter().enumerate() {
        if letter == '.' {
            if at == label {
                break;
            }
            labels += 1;
            label = at + 1;
        } else if labels > 0 && at - label >= 1 && letter.is_alphanumeric() {
            end = Some(at + 1);
        }
    }
    Some(local + 1 + end?)
}

/// Letters of the card number that begins here: 13 to 19 digits with single separators between, whose check digit is right.
fn card(letters: &[(usize, char)], previous: Option<char>) -> Option<usize> {
    if previous.is_some_and(|letter| letter.is_ascii_digit()) {
        return None;
    }
    let mut digits: Vec<u32> = Vec::new();
    let mut longest = None;
    let mut separated = true;
    for (at, &(_, letter)) in letters.iter().enumerate() {
        if let Some(digit) = letter.to_digit(10) {
            digits.push(digit);
            separated = false;
            let next_is_digit = letters.get(at + 1).is_some_and(|&(_, next)| next.is_ascii_digit());
            if digits.len() > 19 {
                break;
            }
            if digits.len() >= 13 && !next_is_digit && is_valid(&digits) {
                longest = Some(at + 1);
            }
        } else if is_separator(letter) && !separated {
            separated = true;
        } else {
            break;
        }
    }
    longest
}

/// The check digit by Luhn's sum; all zeros are no card.
fn is_valid(digits: &[u32]) -> bool {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, &digit)| if at % 2 == 1 { doubled(digit) } else { digit })
        .sum();
    sum.is_multiple_of(10) && digits.iter().any(|&digit| digit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(Patterns::new(true, true, &["secret plan".to_owned()]).redact(text), expected, "{text}");
    }

    #[test]
    fn addresses_are_found() {
        check("ann@example.org", "[e-mail]");
        check("<ann.o'lee+x@mail.example.co.uk>.", "<[e-mail]>.");
        check("jürgen@müller.de", "[e-mail]");
        check("a@b.co and c@d.eu", "[e-mail] and [e-mail]");
        check("ann@example.org.", "[e-mail].");
        check("ann@example.org-", "[e-mail]-");
    }

    #[test]
    fn what_is_no_address_stays() {
        check(
            "5 @ 10 and @handle and a@b and a@b.c and @.com",
            "5 @ 10 and @handle and a@b and a@b.c and @.com",
        );
        check("x@-.-", "x@-.-");
    }

    #[test]
    fn card_numbers_are_found() {
        check("4111111111111111", "[card number]");
        check("4111 1111 1111 1111,", "[card number],");
        check("no. 12 4111-1111-1111-1111.", "no. 12 [card number].");
        check("378282246310005", "[card number]");
    }

    #[test]
    fn what_is_no_card_number_stays() {
        check("4111111111111112", "4111111111111112");
        check("0000 0000 0000 0000", "0000 0000 0000 0000");
        check("4111  1111 1111 1111", "4111  1111 1111 1111");
        check("94111111111111111111111111", "94111111111111111111111111");
    }

    #[test]
    fn words_are_found_without_regard_to_case() {
        check("The Secret Plan is a secret.", "The [redacted] is a secret.");
    }

    #[test]
    fn no_more_than_the_longest_match_is_held_back() {
        let patterns = Patterns::new(true, true, &[]);
        let text = "x".repeat(10_000);
        let (released, bytes) = patterns.release(&text, None);
        assert_eq!((released.len(), bytes), (10_000 - LONGEST, 10_000 - LONGEST));
    }
}
