//! A filter that keeps the system prompt and the last messages.

use innkeeper_sdk::prelude::*;

/// Keeps the system prompt and the last messages of a conversation.
#[derive(Plugin)]
#[plugin(id = "context-clip", valves = Settings, user_valves = UserSettings)]
struct ContextClip;

/// For everybody.
#[valves]
struct Settings {
    /// How many messages to keep, system prompts not counted.
    #[valve(default = 20)]
    #[schemars(range(min = 1))]
    keep: usize,
}

/// For one person.
#[valves]
struct UserSettings {
    /// How many messages to keep; 0 keeps as many as the operator says.
    keep: usize,
}

#[filter]
impl Filter for ContextClip {
    async fn inlet(
        &self,
        _invocation: Invocation,
        mut request: ChatRequest,
    ) -> Result<ChatRequest, PluginError> {
        let settings: Settings = config::valves()?;
        let user: UserSettings = config::user_valves()?;
        let keep = if user.keep > 0 { user.keep } else { settings.keep };
        request.messages = clip(request.messages, keep.max(1));
        Ok(request)
    }
}

fn clip(messages: Vec<Message>, keep: usize) -> Vec<Message> {
    let is_system = |message: &Message| matches!(message.role.as_str(), "system" | "developer");
    let others = messages.iter().filter(|message| !is_system(message)).count();
    let mut to_drop = others.saturating_sub(keep);
    let mut dropped = false;
    messages
        .into_iter()
        .filter(|message| {
            if is_system(message) {
                return true;
            }
            // Models refuse a tool's answer without the call that it answers, so it goes with the call.
            let orphan = dropped && message.role == "tool";
            let drop_it = to_drop > 0 || orphan;
            to_drop = to_drop.saturating_sub(1);
            dropped = drop_it;
            !drop_it
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(roles: &str, keep: usize, expected: &str) {
        let role = |letter| match letter {
            's' => "system",
            'u' => "user",
            'a' => "assistant",
            _ => "tool",
        };
        let messages = roles.chars().map(|letter| Message::new(role(letter), letter.to_string())).collect();
        let kept: String = clip(messages, keep).iter().map(Message::text).collect();
        assert_eq!(kept, expected, "{roles} clipped to {keep}");
    }

    #[test]
    fn system_prompts_and_the_last_messages_stay() {
        check("suauau", 3, "suau");
        check("suauau", 9, "suauau");
        check("", 3, "");
        check("suasu", 1, "ssu");
    }

    #[test]
    fn the_answer_of_a_tool_goes_with_its_call() {
        check("suattau", 4, "sau");
        check("suattau", 5, "suattau".replacen('u', "", 1).as_str());
    }
}
