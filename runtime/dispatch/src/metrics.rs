//! What calls cost, summed by plugin, for Prometheus and whatever reads its format. No label says for whom a call was.

use innkeeper_model::receipt::{Outcome, Receipt, Usage};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// Bounds of the histogram of active time: from 0.1 ms on, four times as long each, up to 26 s.
const SHORTEST: f64 = 0.000_1;
const STEPS: u16 = 10;

/// Counts receipts from the server's start on.
pub(crate) struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    active: Family<ExportLabels, Histogram, fn() -> Histogram>,
    waiting: Family<PluginLabels, Counter<f64, std::sync::atomic::AtomicU64>>,
    fuel: Family<PluginLabels, Counter>,
    host_calls: Family<InterfaceLabels, Counter>,
    rows: Family<PluginLabels, Counter>,
    /// Receipts that could not be kept.
    pub(crate) lost: Counter,
    /// Set when somebody asks.
    pub(crate) turns: Gauge,
    /// Set when somebody asks.
    pub(crate) free_instances: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PluginLabels {
    plugin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExportLabels {
    plugin: String,
    export: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    plugin: String,
    export: String,
    outcome: &'static str,
    /// The limit that was hit; empty for any other outcome.
    limit: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InterfaceLabels {
    plugin: String,
    interface: String,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let buckets = || Histogram::new(exponential_buckets(SHORTEST, 4.0, STEPS));
        let mut metrics = Self {
            registry: Registry::with_prefix("innkeeper"),
            calls: Family::default(),
            active: Family::new_with_constructor(buckets),
            waiting: Family::default(),
            fuel: Family::default(),
            host_calls: Family::default(),
            rows: Family::default(),
            lost: Counter::default(),
            turns: Gauge::default(),
            free_instances: Gauge::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("calls", "Calls of plugins that have ended", metrics.calls.clone());
        let help = "Time in which calls of plugins computed or waited for storage";
        registry.register_with_unit("call_active", help, Unit::Seconds, metrics.active.clone());
        let help = "Time in which calls of plugins waited for people, models, other plugins or slow clients";
        registry.register_with_unit("call_waiting", help, Unit::Seconds, metrics.waiting.clone());
        registry.register("call_fuel", "Fuel that calls of plugins used", metrics.fuel.clone());
        registry.register("host_calls", "Host calls that plugins made", metrics.host_calls.clone());
        registry.register("rows_read", "Database rows that plugins read", metrics.rows.clone());
        registry.register("receipts_lost", "Receipts that could not be kept", metrics.lost.clone());
        registry.register("turns", "Turns that run, background work included", metrics.turns.clone());
        let help = "Instances of plugins that could be made at once";
        registry.register("free_instances", help, metrics.free_instances.clone());
        metrics
    }

    /// Counts a call that has ended.
    pub(crate) fn count(&self, receipt: &Receipt) {
        let (plugin, export) = (receipt.plugin.to_string(), receipt.export.clone());
        let limit = match &receipt.outcome {
            Outcome::LimitExceeded { limit } => limit.clone(),
            _ => String::new(),
        };
        let outcome = receipt.outcome.as_str();
        self.calls
            .get_or_create(&CallLabels { plugin: plugin.clone(), export: export.clone(), outcome, limit })
            .inc();
        let active = seconds(receipt.delivered.active_us);
        self.active.get_or_create(&ExportLabels { plugin: plugin.clone(), export }).observe(active);
        let of_plugin = PluginLabels { plugin };
        self.used(&of_plugin, &receipt.delivered);
        if let Some(background) = &receipt.background {
            self.used(&of_plugin, &background.used);
        }
    }

    fn used(&self, labels: &PluginLabels, usage: &Usage) {
        self.waiting.get_or_create(labels).inc_by(seconds(usage.waiting_us));
        self.fuel.get_or_create(labels).inc_by(usage.fuel);
        self.rows.get_or_create(labels).inc_by(usage.rows);
        for (interface, calls) in usage.host_calls.iter().filter(|(_, calls)| **calls > 0) {
            let labels = InterfaceLabels { plugin: labels.plugin.clone(), interface: interface.clone() };
            self.host_calls.get_or_create(&labels).inc_by(*calls);
        }
    }

    /// All of them in the format of OpenMetrics.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn seconds(microseconds: u64) -> f64 {
    std::time::Duration::from_micros(microseconds).as_secs_f64()
}
