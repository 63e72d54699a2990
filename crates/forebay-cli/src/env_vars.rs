//! Every environment variable that `forebay` reads: its own, named here once, and those of the
//! providers and of proxies, which stand in the library.

/// The configuration file, when `--config` names none.
pub(crate) const FOREBAY_CONFIG: &str = "FOREBAY_CONFIG";
/// A file of further certificate authorities, as OpenSSL and Python read it.
pub(crate) const SSL_CERT_FILE: &str = "SSL_CERT_FILE";

/// The folder for caches of all programs.
pub(crate) const XDG_CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The user's own folder, below which the cache is when that is not set.
pub(crate) const HOME: &str = "HOME";

/// The value of a variable; an empty one counts as not set.
pub(crate) fn read(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use forebay::catalogue::PROVIDERS;
    use forebay::transport::Proxies;

    use super::*;

    /// All of them.
    fn all() -> BTreeSet<&'static str> {
        let mut all = BTreeSet::from([FOREBAY_CONFIG, SSL_CERT_FILE, XDG_CACHE_HOME, HOME]);
        all.extend(Proxies::VARIABLES);
        for provider in &PROVIDERS {
            all.extend(provider.key_variables.iter().map(|v| v.name));
            all.extend(provider.url_variable.iter().map(|v| v.name));
            all.extend(provider.header_variables.iter().map(|v| v.name));
        }
        all
    }

    #[test]
    fn the_readme_names_every_variable_and_no_other() {
        let readme = include_str!("../../../README.md");
        let section = readme.split("## Environment").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let named: BTreeSet<&str> = cells
            .flat_map(|cell| cell.split(','))
            .map(|name| name.trim().trim_matches('`'))
            .collect();
        assert_eq!(named, all());
    }

    #[test]
    fn help_names_its_own_and_where_the_others_are() {
        for name in [FOREBAY_CONFIG, SSL_CERT_FILE, "forebay providers"] {
            assert!(crate::help::RUN_AFTER.contains(name), "{name}");
        }
    }
}
