//! What `wit-bindgen` makes of the contract, once for all plugins.
//!
//! The module itself holds every type and import; a submodule per kind of plugin holds the export of that kind.
//! A plugin crate calls the export macros of the kinds that it implements, and only those become exports of its component.

#![allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "generated code"
)]

wit_bindgen::generate!({
    path: "../wit",
    inline: "
        package innkeeper:sdk;

        world base {
            include innkeeper:plugin/imports@0.1.0;
            import innkeeper:types/actions@0.1.0;
            import innkeeper:types/chat-messages@0.1.0;
            import innkeeper:types/chat-request@0.1.0;
            import innkeeper:types/chats@0.1.0;
            import innkeeper:types/common@0.1.0;
            import innkeeper:types/events@0.1.0;
            import innkeeper:types/files@0.1.0;
            import innkeeper:types/invocation@0.1.0;
            import innkeeper:types/kv@0.1.0;
            import innkeeper:types/log@0.1.0;
            import innkeeper:types/manifest@0.1.0;
            import innkeeper:types/memories@0.1.0;
            import innkeeper:types/models@0.1.0;
            import innkeeper:types/tools@0.1.0;
            import innkeeper:types/users@0.1.0;
        }
    ",
    world: "innkeeper:sdk/base",
    generate_all,
    generate_unused_types: true,
    additional_derives: [PartialEq, Clone, serde::Serialize, serde::Deserialize],
});

/// Export `plugin`, of every plugin.
pub mod plugin {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-plugin; world export-plugin { export innkeeper:plugin/plugin@0.1.0; }",
        world: "innkeeper:sdk-plugin/export-plugin",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/manifest@0.1.0": crate::bindings::innkeeper::types::manifest,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::plugin",
    });

    pub use exports::innkeeper::plugin::plugin::*;
}

/// Export `tool`.
pub mod tool {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-tool; world export-tool { export innkeeper:plugin/tool@0.1.0; }",
        world: "innkeeper:sdk-tool/export-tool",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/invocation@0.1.0": crate::bindings::innkeeper::types::invocation,
            "innkeeper:types/tools@0.1.0": crate::bindings::innkeeper::types::tools,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::tool",
    });

    pub use exports::innkeeper::plugin::tool::*;
}

/// Export `pipe`.
pub mod pipe {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-pipe; world export-pipe { export innkeeper:plugin/pipe@0.1.0; }",
        world: "innkeeper:sdk-pipe/export-pipe",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/invocation@0.1.0": crate::bindings::innkeeper::types::invocation,
            "innkeeper:types/chat-request@0.1.0": crate::bindings::innkeeper::types::chat_request,
            "innkeeper:types/models@0.1.0": crate::bindings::innkeeper::types::models,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        additional_derives_ignore: ["reply"],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::pipe",
    });

    pub use exports::innkeeper::plugin::pipe::*;
}

/// Export `filter`.
pub mod filter {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-filter; world export-filter { export innkeeper:plugin/filter@0.1.0; }",
        world: "innkeeper:sdk-filter/export-filter",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/invocation@0.1.0": crate::bindings::innkeeper::types::invocation,
            "innkeeper:types/chat-request@0.1.0": crate::bindings::innkeeper::types::chat_request,
            "innkeeper:types/chat-messages@0.1.0": crate::bindings::innkeeper::types::chat_messages,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::filter",
    });

    pub use exports::innkeeper::plugin::filter::*;
}

/// Export `action`.
pub mod action {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-action; world export-action { export innkeeper:plugin/action@0.1.0; }",
        world: "innkeeper:sdk-action/export-action",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/invocation@0.1.0": crate::bindings::innkeeper::types::invocation,
            "innkeeper:types/chat-request@0.1.0": crate::bindings::innkeeper::types::chat_request,
            "innkeeper:types/chat-messages@0.1.0": crate::bindings::innkeeper::types::chat_messages,
            "innkeeper:types/tools@0.1.0": crate::bindings::innkeeper::types::tools,
            "innkeeper:types/actions@0.1.0": crate::bindings::innkeeper::types::actions,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::action",
    });

    pub use exports::innkeeper::plugin::action::*;
}

/// Export `job`.
pub mod job {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package innkeeper:sdk-job; world export-job { export innkeeper:plugin/job@0.1.0; }",
        world: "innkeeper:sdk-job/export-job",
        with: {
            "innkeeper:types/common@0.1.0": crate::bindings::innkeeper::types::common,
            "innkeeper:types/invocation@0.1.0": crate::bindings::innkeeper::types::invocation,
        },
        generate_all,
        additional_derives: [PartialEq, Clone],
        pub_export_macro: true,
        default_bindings_module: "innkeeper_sdk::bindings::job",
    });

    pub use exports::innkeeper::plugin::job::*;
}

impl serde::Serialize for innkeeper::types::manifest::FilterHooks {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter_names().map(|(name, _)| name.to_ascii_lowercase()))
    }
}

impl<'de> serde::Deserialize<'de> for innkeeper::types::manifest::FilterHooks {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(names.iter().filter_map(|name| Self::from_name(&name.to_ascii_uppercase())).collect())
    }
}
