//! The label of an ad: that it is one, on whose behalf, who paid (DSA Art. 26; TTPA Art. 11 for political ads).
//!
//! Rendered by the tag outside the creative's frame, so that the creative cannot hide it.

use crate::platform::view::AdView;
use serde::Serialize;

/// A label as data.
#[derive(Clone, Debug, Serialize)]
pub struct Label {
    /// BCP 47 primary language of the texts.
    pub language: &'static str,
    /// "Advertisement" or "Political advertisement".
    pub text: &'static str,
    /// "on behalf of NAME".
    pub sponsor: String,
    /// "paid for by NAME".
    pub payer: String,
    /// "controlled by NAME", where declared.
    pub controller: Option<String>,
    /// Linked vote or process, where there is one.
    pub linked: Option<String>,
    /// That it is targeted, for political ads.
    pub targeted: Option<&'static str>,
    /// Words of the link to the public record.
    pub notice_text: &'static str,
    /// Path of the ad's page in the public record.
    pub notice_path: String,
    /// Political advertisement.
    pub political: bool,
}

/// The label of an ad in a language; English where the language is not one of those reviewed (English, French).
pub fn label(ad: &AdView, language: Option<&str>) -> Label {
    let french = language == Some("fr");
    let text = match (french, ad.political) {
        (false, false) => "Advertisement",
        (false, true) => "Political advertisement",
        (true, false) => "Publicité",
        (true, true) => "Annonce à caractère politique",
    };
    let (sponsor, payer) = (&ad.sponsor_name, &ad.payer_name);
    let linked = (!ad.linked.is_empty()).then(|| ad.linked.join("; "));
    let controlled = (ad.political && !ad.controller.is_empty()).then_some(&ad.controller);
    Label {
        language: if french { "fr" } else { "en" },
        text,
        sponsor: if french {
            format!("pour le compte de {sponsor}")
        } else {
            format!("on behalf of {sponsor}")
        },
        payer: if french { format!("payée par {payer}") } else { format!("paid for by {payer}") },
        controller: controlled
            .map(|c| if french { format!("sous le contrôle de {c}") } else { format!("controlled by {c}") }),
        linked: linked.filter(|_| ad.political),
        targeted: (ad.political && ad.targeted).then_some(if french {
            "diffusion ciblée"
        } else {
            "targeted delivery"
        }),
        notice_text: match (french, ad.political) {
            (false, false) => "Who paid?",
            (false, true) => "Transparency notice",
            (true, false) => "Qui a payé ?",
            (true, true) => "Avis de transparence",
        },
        notice_path: format!("/record/ads/{}", ad.id),
        political: ad.political,
    }
}
