//! What a plugin says of itself, not yet checked.

use innkeeper_model::manifest as model;

use crate::bindings::innkeeper::types::manifest as wit;

impl From<wit::Manifest> for model::RawManifest {
    fn from(manifest: wit::Manifest) -> Self {
        let action = |action: wit::ActionDescription| model::ActionDescription {
            id: action.id,
            name: action.name,
            icon_url: action.icon_url,
        };
        let job = |job: wit::JobDescription| model::JobDescription {
            id: job.id,
            name: job.name,
            schedule: job.schedule,
        };
        Self {
            id: manifest.id,
            name: manifest.name,
            version: manifest.version,
            description: manifest.description,
            authors: manifest.authors,
            license: manifest.license,
            homepage: manifest.homepage,
            permissions: manifest.permissions.into_iter().map(|p| (p.name, p.reason, p.optional)).collect(),
            limits: manifest.limits.into_iter().map(|limit| (limit.name, limit.value)).collect(),
            valves: manifest.valves,
            user_valves: manifest.user_valves,
            tools: manifest
                .tools
                .into_iter()
                .map(|tool| (tool.name, tool.description, tool.parameters, tool.read_only))
                .collect(),
            actions: manifest.actions.into_iter().map(action).collect(),
            jobs: manifest.jobs.into_iter().map(job).collect(),
            filter: manifest.filter.map(|filter| model::FilterDescription {
                hooks: model::FilterHooks {
                    inlet: filter.hooks.contains(wit::FilterHooks::INLET),
                    request: filter.hooks.contains(wit::FilterHooks::REQUEST),
                    stream: filter.hooks.contains(wit::FilterHooks::STREAM),
                    outlet: filter.hooks.contains(wit::FilterHooks::OUTLET),
                },
                priority: filter.priority,
                toggle: filter.toggle,
                guard: filter.guard,
                keep_instance: filter.keep_instance,
            }),
        }
    }
}
