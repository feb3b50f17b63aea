//! The command line's grammar.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use innkeeper_model::permission::Scope;
use innkeeper_model::plugin::OnFailure;
use innkeeper_model::principal::Role;

/// Runs sandboxed chat plugins.
#[derive(Debug, Parser)]
#[command(name = "innkeeper", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Args {
    /// Where the database, files and compiled plugins are
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Settings [default: innkeeper.toml in the data directory, where there is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Database, as in sqlite:////srv/innkeeper.db or postgresql://user@host/name
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Write JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is wrong with a command line, without the decoration for people.
pub(crate) fn problem(error: &clap::Error) -> String {
    let missing = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if missing.contains(&error.kind()) {
        return "a command is missing; `--help` lists them".to_owned();
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text.split("\n\nUsage:").next().unwrap_or_default();
    let text = text.split("\n\nFor more information").next().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(Serve),
    /// Install, grant and run plugins
    #[command(subcommand)]
    Plugin(Plugin),
    /// People
    #[command(subcommand)]
    User(User),
    /// API keys
    #[command(subcommand)]
    Key(Key),
    /// The database's schema
    #[command(subcommand)]
    Db(Db),
    /// Reads a component, writes machine code: for the server's own use
    #[command(hide = true)]
    CompileWorker { arguments: Vec<String> },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Serve {
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,

    /// How long running turns may go on after the first signal to stop [default: 30]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_deadline: Option<String>,

    /// Form of the log: text or json [default: text]
    #[arg(long, value_name = "FORM")]
    pub(crate) log_format: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Install a component
    Install {
        /// The component, a .wasm file
        file: PathBuf,

        /// Grant what the plugin asks for, but for permissions that act on people
        #[arg(long)]
        grant_requested: bool,

        /// Make it the next revision of the plugin that has its id; what was granted and is still asked for stays
        #[arg(long)]
        replace: bool,

        /// Grant a permission; may be given several times
        #[arg(long, value_name = "PERMISSION")]
        grant: Vec<String>,
    },
    /// List installed plugins
    List,
    /// Show a plugin with its permissions and limits
    Show {
        /// Id of a plugin
        plugin: String,
    },
    /// Grant a permission
    Grant {
        /// Id of a plugin
        plugin: String,

        /// Such as kv or chats.read
        permission: String,

        /// Which rows it reaches
        #[arg(long, value_enum, default_value_t = GrantScope::Own)]
        scope: GrantScope,

        /// Let jobs use it, behind which there is no person
        #[arg(long)]
        unattended: bool,

        /// For events.other: a type of event that it allows; may be given several times
        #[arg(long, value_name = "TYPE")]
        event_type: Vec<String>,
    },
    /// Take a permission back
    Revoke {
        /// Id of a plugin
        plugin: String,

        /// Such as kv or chats.read
        permission: String,
    },
    /// Let a plugin run, and say where its filters and actions apply
    Enable {
        /// Id of a plugin
        plugin: String,

        /// Apply its filter and actions to every model
        #[arg(long, conflicts_with = "model")]
        global: bool,

        /// Apply its filter and actions to this model; may be given several times
        #[arg(long, value_name = "MODEL")]
        model: Vec<String>,

        /// What a turn does when its filter breaks
        #[arg(long, value_enum)]
        on_failure: Option<Failing>,

        /// Its place among filters, ascending, instead of the plugin's own
        #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
        priority: Option<i32>,
    },
    /// Stop a plugin
    Disable {
        /// Id of a plugin
        plugin: String,
    },
    /// Remove a plugin with its grants, valves and data
    Remove {
        /// Id of a plugin
        plugin: String,
    },
    /// Show or set a plugin's valves
    Valves {
        /// Id of a plugin
        plugin: String,

        /// Set them to this JSON object
        #[arg(long, value_name = "JSON")]
        set: Option<String>,

        /// A person's own valves instead of the operator's
        #[arg(long, value_name = "ID|EMAIL")]
        user: Option<String>,
    },
    /// Call a tool and show its receipt
    Call {
        /// Id of a plugin
        plugin: String,

        /// Name of a tool
        tool: String,

        /// The arguments, a JSON object
        #[arg(long, value_name = "JSON", default_value = "{}")]
        args: String,

        /// For whom; may be left out where only one person has keys
        #[arg(long, value_name = "ID|EMAIL")]
        user: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Add a person
    Add {
        /// What to call them
        #[arg(long)]
        name: String,

        /// Their address
        #[arg(long)]
        email: String,

        /// What they may do
        #[arg(long, value_enum, default_value_t = UserRole::User)]
        role: UserRole,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key; its secret is shown this once
    Create {
        /// Whose
        #[arg(long, value_name = "ID|EMAIL")]
        user: String,

        /// What to call it
        #[arg(long, default_value = "key")]
        name: String,
    },
    /// List keys without their secrets
    List,
    /// Revoke a key
    Revoke {
        /// Id of a key
        key: String,
    },
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Db {
    /// Show which migrations have been run
    Current,
    /// Run the migrations that are missing
    Upgrade,
    /// Print the SQL that upgrade would run
    Preview,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum GrantScope {
    /// What the person owns or was given
    Own,
    /// All, where an admin runs a plugin that may act as one
    All,
}

impl From<GrantScope> for Scope {
    fn from(scope: GrantScope) -> Self {
        match scope {
            GrantScope::Own => Self::Own,
            GrantScope::All => Self::All,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Failing {
    /// End
    Closed,
    /// Go on without it
    Skip,
    /// Go on, and let it rest for a while that grows with each failure
    Quarantine,
}

impl From<Failing> for OnFailure {
    fn from(failing: Failing) -> Self {
        match failing {
            Failing::Closed => Self::Closed,
            Failing::Skip => Self::Skip,
            Failing::Quarantine => Self::Quarantine,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum UserRole {
    /// Nothing yet
    Pending,
    /// Chat, call tools
    User,
    /// Run the server
    Admin,
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::Pending => Self::Pending,
            UserRole::User => Self::User,
            UserRole::Admin => Self::Admin,
        }
    }
}
