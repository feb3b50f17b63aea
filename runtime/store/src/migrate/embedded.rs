//! The files below `migrations/`, as this program was built with them.
//!
//! `oldest_program` is the oldest version whose code works on the result. A migration that only adds leaves it where it
//! was; one that takes something away sets it to the version whose code no longer uses that.

use std::borrow::Cow;

use super::set::{Migration, Scripts, Stream};

macro_rules! scripts {
    ($backend:literal, $stream:literal, $file:literal) => {
        Scripts {
            up: Cow::Borrowed(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../migrations/",
                $backend,
                "/",
                $stream,
                "/",
                $file,
                ".up.sql"
            ))),
            down: Some(Cow::Borrowed(include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../../migrations/",
                $backend,
                "/",
                $stream,
                "/",
                $file,
                ".down.sql"
            )))),
        }
    };
}

macro_rules! migration {
    ($stream:ident in $folder:literal, $version:literal, $name:literal, $file:literal, oldest: $oldest:literal) => {
        Migration {
            stream: Stream::$stream,
            version: $version,
            name: Cow::Borrowed($name),
            oldest_program: Cow::Borrowed($oldest),
            sqlite: scripts!("sqlite", $folder, $file),
            postgres: scripts!("postgres", $folder, $file),
            mysql: scripts!("mysql", $folder, $file),
        }
    };
}

pub(super) const MIGRATIONS: &[Migration] = &[
    migration!(Shared in "shared", 1, "open_webui", "0001_open_webui", oldest: "0.1.0"),
    migration!(Innkeeper in "innkeeper", 1, "plugins", "0001_plugins", oldest: "0.1.0"),
    migration!(Innkeeper in "innkeeper", 2, "api_keys", "0002_api_keys", oldest: "0.1.0"),
    migration!(Innkeeper in "innkeeper", 3, "kv", "0003_kv", oldest: "0.1.0"),
    migration!(Innkeeper in "innkeeper", 4, "invocations", "0004_invocations", oldest: "0.1.0"),
];
