//! Limits of a plugin: what the operator set, else what the manifest wishes, else the server's default; never above the ceiling.

use innkeeper_model::limits::{LimitMap, Limits};
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
    /// The built-in defaults under the highest ceilings.
    fn default() -> Self {
        Self { defaults: Limits::default(), ceilings: Limits::ceilings() }
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
            let wished = settings.get(info.name).or_else(|| wishes.get(info.name)).copied();
            if let Some(wished) = wished.filter(|&wished| wished > ceiling) {
                cut.push(CutLimit { name: info.name, wished, ceiling });
            }
            let value = wished.or_else(|| self.defaults.get(info.name)).unwrap_or(info.default);
            limits.set(info.name, value.min(ceiling));
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
    fn a_default_above_the_ceiling_is_cut_too() {
        let ceilings = Limits { fuel: 1_000, ..Limits::ceilings() };
        let config = LimitsConfig { ceilings, ..LimitsConfig::default() };
        let (limits, cut) = config.effective(&LimitMap::new(), &LimitMap::new());
        assert_eq!(limits.fuel, 1_000);
        assert!(cut.is_empty());
    }
}
