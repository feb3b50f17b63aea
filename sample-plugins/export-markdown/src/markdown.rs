//! Chats as Markdown.

use innkeeper_sdk::StoredMessage;

/// The whole document.
pub(crate) fn document(title: &str, messages: &[StoredMessage]) -> String {
    let mut text = format!("# {}\n", title.replace(['\n', '\r'], " "));
    for message in messages {
        text.push_str(&section(&message.role, message.model.as_deref(), &message.content));
    }
    text
}

fn section(role: &str, model: Option<&str>, content: &str) -> String {
    let heading = match (role, model) {
        ("user", _) => "You".to_owned(),
        ("assistant", Some(model)) => format!("Assistant ({model})"),
        ("assistant", None) => "Assistant".to_owned(),
        (other, _) => other.to_owned(),
    };
    format!("\n## {heading}\n\n{}\n", content.trim())
}

/// A name for the file: letters, digits and a few marks of the title.
pub(crate) fn file_name(title: &str) -> String {
    let kept = |letter: char| if letter.is_alphanumeric() || "-_. ".contains(letter) { letter } else { ' ' };
    let name: String = title.chars().map(kept).take(80).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join("-");
    let name = name.trim_matches(['.', '-']);
    format!("{}.md", if name.is_empty() { "chat" } else { name })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_no_path() {
        assert_eq!(file_name("../../etc/passwd"), "etc-passwd.md");
        assert_eq!(file_name("Größe & Gewicht?"), "Größe-Gewicht.md");
        assert_eq!(file_name("///"), "chat.md");
    }

    #[test]
    fn a_section_names_who_spoke() {
        assert_eq!(section("assistant", Some("m"), " hi\n"), "\n## Assistant (m)\n\nhi\n");
        assert_eq!(section("user", Some("m"), "hi"), "\n## You\n\nhi\n");
    }
}
