//! Settings from the environment: `INNKEEPER__DATABASE__URL` is `database.url`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::{Place, SettingError};
use super::layers::{Layers, Raw};

const PREFIX: &str = "INNKEEPER__";

/// Adds the variables that are settings.
pub(super) fn add(layers: &mut Layers, environment: Vec<(OsString, OsString)>) -> Result<(), SettingError> {
    for (name, value) in environment {
        if !name.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let name = name.into_string().map_err(|name| {
            let name = name.to_string_lossy().into_owned();
            SettingError::value(&name, &Place::Variable(name.clone()), "its name is not UTF-8; unset it")
        })?;
        let rest = name.strip_prefix(PREFIX).unwrap_or_default();
        let setting = setting(rest);
        let place = Place::Variable(name.clone());
        let value = value.into_string().map_err(|_| SettingError::value(&setting, &place, "is not UTF-8"))?;
        layers.set(setting, Raw::Text(value), place);
    }
    Ok(())
}

/// The setting that a variable names. Names of limits have hyphens, for which variables have underscores.
fn setting(rest: &str) -> String {
    let mut parts: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    let section = parts.first().cloned().unwrap_or_default();
    if matches!(section.as_str(), "limits" | "ceilings") {
        for part in parts.iter_mut().skip(1) {
            *part = part.replace('_', "-");
        }
    }
    parts.join(".")
}

/// Where data is kept where nobody says so.
pub(super) fn default_data_dir(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    let get = |wanted: &str| {
        let found =
            environment.iter().find(|(name, _)| name == wanted).map(|(_, value)| PathBuf::from(value));
        found.filter(|path| path.is_absolute())
    };
    let data = get("XDG_DATA_HOME").or_else(|| Some(get("HOME")?.join(".local/share")))?;
    Some(data.join("innkeeper"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_settings() {
        for (variable, expected) in [
            ("LISTEN", "listen"),
            ("DATABASE__URL", "database.url"),
            ("DRAIN_DEADLINE", "drain_deadline"),
            ("LIMITS__FUEL_PER_KIB", "limits.fuel-per-kib"),
            ("CEILINGS__KV_BYTES", "ceilings.kv-bytes"),
            ("PROVIDERS__OPENAI__API_KEY", "providers.openai.api_key"),
        ] {
            assert_eq!(setting(variable), expected);
        }
    }
}
