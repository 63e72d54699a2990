//! What makes two runs the same one, and how two of them differ.

use crate::fields::{as_str, members, push_json_str};

/// The settings that make two runs the same one, as names and values.
///
/// Long or private values (prompts) are given as hashes.
pub type Settings = Vec<(String, String)>;

pub(super) fn to_json(settings: &Settings) -> String {
    let mut out = vec![b'{'];
    for (n, (name, value)) in settings.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_json_str(&mut out, name);
        out.push(b':');
        push_json_str(&mut out, value);
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// Names the settings that differ, with their values unless those are hashes.
pub(super) fn differences(earlier: &str, settings: &Settings) -> Vec<String> {
    let members = members(earlier).unwrap_or_default();
    let earlier_of = |name: &str| {
        members
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| as_str(value))
    };
    let now = settings.iter().map(|(name, value)| (&**name, &**value));
    let is_gone = |name: &str| !settings.iter().any(|(known, _)| known == name);
    // Settings that are told only where somebody sets them.
    let gone = members.iter().filter(|(name, _)| is_gone(name));
    now.chain(gone.map(|(name, _)| (&**name, "")))
        .filter_map(|(name, value)| {
            let was = earlier_of(name).unwrap_or_default();
            if was == value {
                None
            } else if value.starts_with("hash:") || was.starts_with("hash:") {
                Some(format!("{name} differs"))
            } else {
                Some(format!("{name} was {was:?} and is now {value:?}"))
            }
        })
        .collect()
}
