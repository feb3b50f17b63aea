//! Sums over chats, and their Markdown.

use std::collections::BTreeMap;
use std::fmt;

use innkeeper_sdk::StoredMessage;
use innkeeper_sdk::chats::Chat;

/// Chats that the report names.
const LONGEST: usize = 5;

/// What was counted so far.
#[derive(Default)]
pub(crate) struct Report {
    models: BTreeMap<String, Sums>,
    /// Number of messages and title of each chat.
    chats: Vec<(usize, String)>,
    questions: usize,
}

#[derive(Default)]
struct Sums {
    answers: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Report {
    /// Counts a chat.
    pub(crate) fn add(&mut self, chat: &Chat, messages: &[StoredMessage]) {
        self.chats.push((messages.len(), chat.title.clone()));
        for message in messages {
            match message.role.as_str() {
                "user" => self.questions += 1,
                "assistant" => {
                    let model = message.model.clone().unwrap_or_else(|| "unknown".to_owned());
                    let sums = self.models.entry(model).or_default();
                    sums.answers += 1;
                    if let Some(usage) = &message.usage {
                        sums.prompt_tokens += usage.prompt_tokens;
                        sums.completion_tokens += usage.completion_tokens;
                    }
                }
                _ => {}
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Usage\n")?;
        if self.chats.is_empty() {
            return writeln!(f, "There are no chats yet.");
        }
        let answers: u64 = self.models.values().map(|sums| sums.answers).sum();
        writeln!(f, "Chats: {}. Questions: {}. Answers: {answers}.\n", self.chats.len(), self.questions)?;
        if !self.models.is_empty() {
            writeln!(
                f,
                "| model | answers | prompt tokens | completion tokens |\n| --- | ---: | ---: | ---: |"
            )?;
            let mut models: Vec<_> = self.models.iter().collect();
            models.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.answers));
            for (model, sums) in models {
                let Sums { answers, prompt_tokens, completion_tokens } = sums;
                writeln!(f, "| {} | {answers} | {prompt_tokens} | {completion_tokens} |", cell(model))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "## Longest chats\n\n| chat | messages |\n| --- | ---: |")?;
        let mut chats = self.chats.clone();
        chats.sort_by_key(|&(messages, _)| std::cmp::Reverse(messages));
        for (messages, title) in chats.iter().take(LONGEST) {
            writeln!(f, "| {} | {messages} |", cell(title))?;
        }
        Ok(())
    }
}

/// Text that cannot end its cell, nor begin markup of its own.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => cell.push(' '),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' => cell.extend(['\\', letter]),
            letter => cell.push(letter),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_stays_in_its_cell() {
        assert_eq!(cell("a|b\n<script>"), "a\\|b \\<script\\>");
    }

    #[test]
    fn an_empty_report_says_so() {
        assert_eq!(Report::default().to_string(), "# Usage\n\nThere are no chats yet.\n");
    }
}
