//! Every column of the shared tables: given out, or withheld with a reason.
//!
//! This is the list that an auditor reads. A test walks the schema and fails for a column that is on neither side.

/// A table of Open WebUI's as plugins may see it through the repositories.
#[derive(Clone, Copy, Debug)]
pub struct SharedTable {
    /// Its name.
    pub name: &'static str,
    /// Columns whose values reach a plugin, some of them behind permissions of their own.
    pub given: &'static [&'static str],
    /// Columns that never do, each with the reason.
    pub withheld: &'static [(&'static str, &'static str)],
}

/// Tables of which a repository gives something out.
pub const SHARED_TABLES: &[SharedTable] = &[
    SharedTable {
        name: "user",
        given: &[
            "id",
            "name",
            "username",
            "email",
            "role",
            "profile_image_url",
            "bio",
            "timezone",
            "status_emoji",
            "status_message",
            "last_active_at",
            "created_at",
            "updated_at",
        ],
        withheld: &[
            ("email_lower", "made from `email` for its unique key, on MySQL only"),
            ("profile_banner_image_url", "no plugin that is known needs it"),
            ("gender", "personal"),
            ("date_of_birth", "personal"),
            ("presence_state", "says when a person is at the screen"),
            ("status_expires_at", "of use to upstream's page only"),
            ("oauth", "identities at other services"),
            ("scim", "identities at the directory"),
            ("info", "free text of administrators and of upstream's programs"),
            ("settings", "holds settings of other plugins and addresses of tool servers"),
            ("variables", "private values of the person's prompts"),
        ],
    },
    SharedTable {
        name: "chat",
        given: &[
            "id",
            "user_id",
            "title",
            "archived",
            "pinned",
            "folder_id",
            "meta",
            "current_message_id",
            "created_at",
            "updated_at",
        ],
        withheld: &[
            ("chat", "the whole document; messages come from their own table, one by one"),
            ("share_id", "whoever knows it may open the shared copy"),
            ("variables", "private values of the owner, also from those who share the chat"),
            ("tasks", "state of upstream's page"),
            ("summary", "made by upstream for itself"),
            ("last_read_at", "says when a person read"),
            ("timer_at", "state of upstream's scheduler"),
        ],
    },
    SharedTable {
        name: "chat_message",
        given: &[
            "id",
            "chat_id",
            "user_id",
            "role",
            "parent_id",
            "content",
            "output",
            "model_id",
            "files",
            "sources",
            "embeds",
            "done",
            "status_history",
            "error",
            "usage",
            "created_at",
            "updated_at",
        ],
        withheld: &[
            ("meta", "upstream keeps it from those who share the chat"),
            ("context_summary", "made by upstream for itself"),
        ],
    },
    SharedTable {
        name: "file",
        given: &["id", "user_id", "filename", "meta", "hash", "created_at", "updated_at"],
        withheld: &[
            ("path", "where the bytes are on the server"),
            ("data", "extracted text; knowledge has a permission of its own"),
        ],
    },
    SharedTable {
        name: "memory",
        given: &["id", "user_id", "content", "type", "created_at", "updated_at"],
        withheld: &[
            ("path", "upstream's order of memories, not part of the contract yet"),
            ("meta", "written by upstream's programs"),
        ],
    },
    SharedTable {
        name: "config",
        given: &["key", "value"],
        withheld: &[("updated_at", "of no use to a plugin")],
    },
];

/// Tables of which nothing reaches a plugin, each with the reason. Own tables (`innkeeper_…`) belong to them as a whole.
pub const WITHHELD_TABLES: &[(&str, &str)] = &[
    ("access_grant", "decides who reaches what; only its effect shows"),
    ("alembic_version", "upstream's bookkeeping"),
    ("api_key", "secrets"),
    ("app", "secrets of apps"),
    ("auth", "password hashes"),
    ("automation", "not part of the contract yet"),
    ("automation_run", "not part of the contract yet"),
    ("calendar", "not part of the contract yet"),
    ("calendar_event", "not part of the contract yet"),
    ("calendar_event_attendee", "not part of the contract yet"),
    ("channel", "not part of the contract yet"),
    ("channel_file", "not part of the contract yet"),
    ("channel_member", "not part of the contract yet"),
    ("channel_webhook", "tokens"),
    ("chat_file", "only its effect shows"),
    ("chatidtag", "empty since upstream keeps tags in chats"),
    ("config_old", "holds keys; replaced by `config`"),
    ("document", "replaced by files and knowledge"),
    ("feedback", "not part of the contract yet; its snapshots never will be"),
    ("folder", "not part of the contract yet"),
    ("function", "valves of other programs"),
    ("function_history", "snapshots"),
    ("group", "not part of the contract yet"),
    ("group_member", "only its effect shows"),
    ("knowledge", "not part of the contract yet"),
    ("knowledge_directory", "not part of the contract yet"),
    ("knowledge_file", "only its effect shows"),
    ("message", "not part of the contract yet"),
    ("message_reaction", "not part of the contract yet"),
    ("model", "not part of the contract yet"),
    ("model_history", "snapshots"),
    ("note", "not part of the contract yet"),
    ("oauth_session", "tokens"),
    ("pinned_note", "not part of the contract yet"),
    ("prompt", "not part of the contract yet"),
    ("prompt_history", "snapshots"),
    ("shared_chat", "snapshots"),
    ("skill", "not part of the contract yet"),
    ("skill_history", "snapshots"),
    ("tag", "ids of tags come with chats"),
    ("tool", "valves of other programs"),
    ("tool_history", "snapshots"),
];
