//! Names of models that are like one that is not there.

/// Names at most that are offered; more is a list, not a hint.
const OFFERED: usize = 3;
/// The least likeness (Jaro-Winkler, 0 to 1) of a name that is offered: a swapped pair of
/// letters in a short name still passes.
const ALIKE: f64 = 0.85;

/// The names that are most like the wanted one, the best first.
pub(crate) fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = wanted.to_lowercase();
    let mut alike: Vec<(f64, &str)> = names
        .map(|name| (likeness(&wanted, name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.len().cmp(&b.1.len())));
    alike
        .into_iter()
        .take(OFFERED)
        .map(|(_, name)| name)
        .collect()
}

/// How like a wanted name is to a model's name, or to that without its provider.
fn likeness(wanted: &str, name: &str) -> f64 {
    let name = name.to_lowercase();
    let bare = name.rsplit('/').next().unwrap_or(&name);
    strsim::jaro_winkler(wanted, &name).max(strsim::jaro_winkler(wanted, bare))
}
