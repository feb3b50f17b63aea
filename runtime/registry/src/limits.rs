//! Limits of a plugin: what the operator set, else what the manifest wishes, else the server's default; never above the ceiling.

use innkeeper_model::limits::{LimitMap, Limits, OPERATORS_ONLY};
use serde::Serialize;

/// The server's limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// What holds where nobody says otherwise.
    pub defaults: Limits,
    /// What neither a manifest nor a plugin's settings can exceed.
    pub ceilings: Limits,
}

impl Default for LimitsConfig {
    /// The built-in defaults and ceilings.
    fn default() -> Self {
        Self { defaults: Limits::default(), ceilings: Limits::default_ceilings() }
    }
}

/// A limit that was asked for and cut to the ceiling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CutLimit {
    /// Which limit.
    pub name: &'static str,
    /// What was asked for.
    pub wished: u64,
    /// What holds.
    pub ceiling: u64,
}

impl LimitsConfig {
    /// What holds for a plugin, and what was cut. Names that do not exist are passed over: they were refused when they were given.
    pub(crate) fn effective(&self, wishes: &LimitMap, settings: &LimitMap) -> (Limits, Vec<CutLimit>) {
        let mut limits = self.defaults.clone();
        let mut cut = Vec::new();
        for info in Limits::ALL {
            let ceiling = self.ceilings.get(info.name).unwrap_or(info.ceiling).min(info.ceiling);
            let default = self.defaults.get(info.name).unwrap_or(info.default);
            let (wished, ceiling) = match (settings.get(info.name), wishes.get(info.name)) {
                (Some(&set), _) => (Some(set), ceiling),
                (None, Some(&wish)) if OPERATORS_ONLY.contains(&info.name) => {
                    (Some(wish), default.min(ceiling))
                }
                (None, wish) => (wish.copied(), ceiling),
            };
            if let Some(wished) = wished.filter(|&wished| wished > ceiling) {
                cut.push(CutLimit { name: info.name, wished, ceiling });
            }
            limits.set(info.name, wished.unwrap_or(default).min(ceiling));
        }
        (limits, cut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(values: &[(&str, u64)]) -> LimitMap {
        values.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn settings_come_before_wishes_and_wishes_before_defaults() {
        let config = LimitsConfig::default();
        let (limits, cut) = config.effective(&map(&[("fuel", 10), ("events", 20)]), &map(&[("fuel", 30)]));
        assert_eq!((limits.fuel, limits.events, limits.chunks), (30, 20, Limits::default().chunks));
        assert!(cut.is_empty());
    }

    #[test]
    fn a_wish_above_the_ceiling_is_cut_and_shown() {
        let ceilings = Limits { fuel: 1_000, ..Limits::ceilings() };
        let config = LimitsConfig { ceilings, ..LimitsConfig::default() };
        let (limits, cut) = config.effective(&map(&[("fuel", 5_000)]), &LimitMap::new());
        assert_eq!(limits.fuel, 1_000);
        assert_eq!(cut, [CutLimit { name: "fuel", wished: 5_000, ceiling: 1_000 }]);
    }

    #[test]
    fn a_manifest_cannot_wish_for_a_larger_share_of_the_server() {
        let config = LimitsConfig::default();
        for &name in OPERATORS_ONLY {
            let default = config.defaults.get(name).unwrap();
            let (limits, cut) = config.effective(&map(&[(name, default * 2)]), &LimitMap::new());
            assert_eq!(limits.get(name), Some(default), "{name}");
            assert_eq!(cut, [CutLimit { name, wished: default * 2, ceiling: default }]);
            let (limits, _) = config.effective(&map(&[(name, default / 2)]), &LimitMap::new());
            assert_eq!(limits.get(name), Some(default / 2), "{name}");
            let (limits, _) = config.effective(&LimitMap::new(), &map(&[(name, default * 2)]));
            assert_eq!(limits.get(name), Some(default * 2), "{name}");
        }
    }

    #[test]
    fn without_an_operator_no_wish_goes_beyond_four_times_the_default() {
        let config = LimitsConfig::default();
        for info in Limits::ALL {
            let (limits, _) = config.effective(&map(&[(info.name, u64::MAX)]), &LimitMap::new());
            assert!(limits.get(info.name).unwrap() <= info.default * 4, "{}", info.name);
        }
    }

    #[test]
    fn a_default_above_the_ceiling_is_cut_too() {
        let ceilings = Limits { fuel: 1_000, ..Limits::ceilings() };
        let config = LimitsConfig { ceilings, ..LimitsConfig::default() };
        let (limits, cut) = config.effective(&LimitMap::new(), &LimitMap::new());
        assert_eq!(limits.fuel, 1_000);
        assert!(cut.is_empty());
    }
}
