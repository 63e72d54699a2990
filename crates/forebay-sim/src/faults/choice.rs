//! Chooses what strikes a request.
//!
//! Owns the order of those who may say so, and the draws. Never waits and never writes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::Fault;
use super::rules::{Rule, Rules};
use crate::script::{Action, Call};
use crate::sim::Shared;

/// What the model of a request starts with that names a fault.
const MODEL_PREFIX: &str = "fault-";

/// How often each rule struck.
#[derive(Debug, Default)]
pub(crate) struct Strikes(Vec<AtomicU64>);

impl Strikes {
    pub(crate) fn of(rules: &Rules) -> Strikes {
        Strikes(rules.rule.iter().map(|_| AtomicU64::new(0)).collect())
    }

    /// Takes one of the times that a rule may strike, if there is one left.
    fn take(&self, n: usize, times: u64) -> bool {
        let next = |struck: u64| (struck < times).then_some(struck + 1);
        let strikes = self.0.get(n);
        strikes.is_some_and(|struck| struck.try_update(Relaxed, Relaxed, next).is_ok())
    }
}

/// Whether a model's name is that of a fault.
pub(crate) fn is_fault_model(model: &str) -> bool {
    fault_name(model).is_some()
}

fn fault_name(model: &str) -> Option<&str> {
    let model = model.strip_prefix("sim/").unwrap_or(model);
    model.strip_prefix(MODEL_PREFIX)
}

/// Decides what happens to a request.
pub(crate) fn decide(shared: &Shared, call: &Call<'_>) -> Action {
    if let Some(script) = &shared.config.script {
        match script(call) {
            Action::Answer => {}
            order => return order,
        }
    }
    if let Some(name) = fault_name(call.model) {
        match name.parse::<Fault>() {
            Ok(fault) if fault.strikes(call.seen) => return fault.action(call),
            Ok(_) => {}
            Err(unknown) => return no_such_model(unknown.to_string()),
        }
    }
    let rules = &shared.config.rules;
    for (n, rule) in rules.rule.iter().enumerate() {
        if strikes(shared, (n, rule), call) {
            return rule.action(call);
        }
    }
    draw(shared, call)
}

fn no_such_model(message: String) -> Action {
    Action::Error {
        status: 404,
        kind: "".into(),
        code: Some("model_not_found".into()),
        message,
        headers: Vec::new(),
    }
}

fn strikes(shared: &Shared, (n, rule): (usize, &Rule), call: &Call<'_>) -> bool {
    rule.holds(call)
        && rule.probability.is_none_or(|p| {
            // 0 and 1 are the purposes of draws without a rule.
            let mut luck = shared.luck(call.key, call.seen, n as u64 + 2);
            luck.f64() < p.get()
        })
        && rule.times.is_none_or(|times| shared.strikes.take(n, times))
}

/// Draws at most one of the faults that strike by probability alone.
fn draw(shared: &Shared, call: &Call<'_>) -> Action {
    let faults = &shared.config.rules.faults;
    if faults.is_empty() {
        return Action::Answer;
    }
    let mut point = shared.luck(call.key, call.seen, 1).f64();
    for (fault, p) in faults {
        if !fault.strikes(call.seen) {
            continue;
        }
        if point < p.get() {
            return fault.action(call);
        }
        point -= p.get();
    }
    Action::Answer
}
