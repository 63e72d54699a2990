//! Chooses a label for a text, so that results look like results.
//!
//! Owns a few stems in a few languages. Never claims to understand the text.

use std::sync::LazyLock;

use memchr::memmem;

use super::labels::Question;

/// Stems of labels, and the stems of words in a text that speak for such a label.
///
/// Chosen by hand from the most common words of support mail in English, German, French,
/// Spanish, Italian, Dutch and Portuguese.
const GROUPS: [(&str, &str); 7] = [
    (
        "billing|payment|invoice|refund",
        "invoice|charge|refund|payment|billed|billing|paid|receipt|rechnung|zahlung|abgebucht|\
         erstattung|rückerstattung|facture|paiement|rembours|prélev|factura|reembolso|cobr|pago|\
         fattura|rimborso|addebit|factuur|betaling|terugbetal|fatura|pagamento",
    ),
    (
        "bug|technical|error|defect",
        "crash|error|broken|bug|freez|exception|not work|doesn't work|fehler|abgestürzt|stürzt|\
         kaputt|funktioniert nicht|erreur|plante|marche pas|fallo|no funciona|se cierra|errore|\
         non funziona|fout|werkt niet|erro |não funciona",
    ),
    (
        "account|login|access",
        "password|login|log in|sign in|account|username|two-factor|passwort|anmeld|einlogg|konto|\
         mot de passe|connecter|compte|contraseña|iniciar sesión|cuenta|accedere|wachtwoord|\
         inlog|senha|conta ",
    ),
    (
        "shipping|delivery|logistics",
        "parcel|deliver|ship|arriv|package|tracking|courier|paket|liefer|sendung|versand|\
         zugestellt|colis|livr|expédi|paquete|envío|entrega|llegado|pacco|spedi|consegna|pakket|\
         bezorg|levering|encomenda",
    ),
    (
        "positive|good|happy",
        "great|love|excellent|thank|perfect|wunderbar|génial|gracias",
    ),
    (
        "negative|bad|angry",
        "terrible|awful|hate|worst|disappoint|furchtbar|horrible|nul ",
    ),
    (
        "spam|scam",
        "winner|lottery|click here|free money|buy now|viagra|crypto",
    ),
];

/// Labels for what fits nowhere else.
const REST: [&str; 5] = ["other", "none", "unknown", "neutral", "misc"];

/// The bytes of a text that are searched.
const SEARCHED: usize = 4096;

/// The stems by their first byte, each with its group's place in `GROUPS`.
static STEMS: LazyLock<[Vec<(usize, &str)>; 256]> = LazyLock::new(|| {
    let mut stems = [const { Vec::new() }; 256];
    for (group, (_, of_group)) in GROUPS.iter().enumerate() {
        for stem in of_group.split('|') {
            stems[usize::from(stem.as_bytes()[0])].push((group, stem));
        }
    }
    stems
});

/// Chooses the label whose stems start most words of the text; else one the text names; else
/// any, mostly the one for the rest.
pub(super) fn choose<'a>(question: &Question<'a>, rng: &mut fastrand::Rng) -> &'a str {
    let searched = question.text.floor_char_boundary(SEARCHED);
    let text = question.text[..searched].to_lowercase();
    let votes = votes(&text);
    let mut best = (0, "");
    for label in &question.labels {
        let score = score(&label.to_lowercase(), &text, &votes);
        if score > best.0 {
            best = (score, label);
        }
    }
    if best.0 > 0 {
        return best.1;
    }
    let rest = question.labels.iter().find(|label| is_rest(label));
    match rest {
        Some(rest) if rng.u8(..10) < 6 => rest,
        _ => question.labels[rng.usize(..question.labels.len())],
    }
}

/// How many words of a text speak for each group.
fn votes(text: &str) -> [usize; GROUPS.len()] {
    let mut votes = [0; GROUPS.len()];
    let mut inside = false;
    for (at, byte) in text.bytes().enumerate() {
        // Bytes above ASCII are parts of letters.
        let letter = byte.is_ascii_alphanumeric() || !byte.is_ascii();
        if letter && !inside {
            for (group, stem) in &STEMS[usize::from(byte)] {
                // The second byte settles most cases without a call.
                let begun = stem.as_bytes().get(1) == text.as_bytes().get(at + 1);
                votes[*group] += usize::from(begun && text[at..].starts_with(stem));
            }
        }
        inside = letter;
    }
    votes
}

/// How much of a text speaks for a label, both in lower case.
fn score(label: &str, text: &str, votes: &[usize]) -> usize {
    if is_rest(label) {
        return 0;
    }
    let names = |names: &str| {
        let mut words = label.split(|c: char| !c.is_alphanumeric());
        words.any(|word| names.split('|').any(|name| word.starts_with(name)))
    };
    let spoken = GROUPS
        .iter()
        .zip(votes)
        .filter(|((of_group, _), _)| names(of_group));
    let spoken: usize = spoken.map(|(_, votes)| votes).sum();
    usize::from(memmem::find(text.as_bytes(), label.as_bytes()).is_some()) + 2 * spoken
}

fn is_rest(label: &str) -> bool {
    REST.iter().any(|rest| label.eq_ignore_ascii_case(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(text: &str) -> String {
        let question = Question {
            labels: vec!["billing", "bug", "account", "shipping", "other"],
            text,
        };
        choose(&question, &mut fastrand::Rng::with_seed(1)).to_owned()
    }

    #[test]
    fn stems_decide_in_several_languages() {
        assert_eq!(chosen("I was charged twice, please refund me"), "billing");
        assert_eq!(chosen("The app crashes with an error"), "bug");
        assert_eq!(chosen("Ich habe mein Passwort vergessen"), "account");
        assert_eq!(chosen("Mon colis n'est pas encore livré"), "shipping");
        assert_eq!(chosen("No he recibido mi factura"), "billing");
    }

    #[test]
    fn the_rest_is_favoured_when_nothing_fits() {
        let rests = (0..100).filter(|seed| {
            let labels = vec!["red", "blue", "other"];
            let question = Question {
                labels,
                text: "xyz",
            };
            choose(&question, &mut fastrand::Rng::with_seed(*seed)) == "other"
        });
        assert!(rests.count() > 50);
    }

    #[test]
    fn an_unknown_label_is_chosen_when_named() {
        let labels = vec!["cats", "dogs"];
        let question = Question {
            labels,
            text: "I like dogs.",
        };
        assert_eq!(choose(&question, &mut fastrand::Rng::with_seed(1)), "dogs");
    }
}
