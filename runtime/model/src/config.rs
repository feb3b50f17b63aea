//! Which settings of the server a plugin may read.

/// Keys that `config.get` answers; all others are withheld, because configuration documents hold keys and addresses.
pub const READABLE: &[&str] = &[
    "audio.stt.engine",
    "audio.tts.engine",
    "image_generation.enable",
    "rag.chunk_overlap",
    "rag.chunk_size",
    "rag.top_k",
    "task.model.default",
    "task.model.external",
    "ui.default_locale",
    "ui.default_models",
    "ui.default_prompt_suggestions",
    "ui.name",
    "version",
];

/// Whether a plugin may read a setting.
pub fn is_readable(key: &str) -> bool {
    READABLE.contains(&key)
}
