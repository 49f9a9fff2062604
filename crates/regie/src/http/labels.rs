//! The label of an ad: that it is one, on whose behalf, who paid (DSA Art. 26; TTPA Art. 11 for political ads).
//!
//! Rendered by the tag outside the creative's frame, so that the creative cannot hide it.

use crate::platform::view::AdView;
use regie_record::{
    promise::SignedPromise,
    texts::{Text, Texts},
};
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
    /// "linked to: NAME": the vote or process, where there is one.
    pub linked: Option<String>,
    /// That it is targeted, for political ads.
    pub targeted: Option<&'static str>,
    /// Words of the link to the public record.
    pub notice_text: &'static str,
    /// Path of the notice of a political ad, in the label's language; of another ad's page in the public record.
    pub notice_path: String,
    /// Political advertisement.
    pub political: bool,
    /// The log's signed promise that the ad's facts are in it: for whoever keeps the label (`regie verify --label`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promise: Option<SignedPromise>,
}

/// The label of an ad in a language; English where nobody has reviewed that language and the publisher has not opted in.
pub fn label(ad: &AdView, language: Option<&str>, opted_in: &[String]) -> Label {
    let texts = Texts::choose(language, opted_in);
    let (first, link) = match ad.political {
        false => (Text::Advertisement, Text::WhoPaid),
        true => (Text::PoliticalAdvertisement, Text::TransparencyNotice),
    };
    let controlled = ad.political && !ad.controller.is_empty();
    let linked = ad.political && !ad.linked.is_empty();
    Label {
        language: texts.code,
        text: texts.get(first),
        sponsor: texts.with(Text::OnBehalfOf, &ad.sponsor_name),
        payer: texts.with(Text::PaidBy, &ad.payer_name),
        controller: controlled.then(|| texts.with(Text::ControlledBy, &ad.controller)),
        linked: linked.then(|| texts.with(Text::LinkedTo, &ad.linked.join("; "))),
        targeted: (ad.political && ad.targeted).then(|| texts.get(Text::Targeted)),
        notice_text: texts.get(link),
        notice_path: match ad.political {
            true => format!("/record/ads/{}/notice?lang={}", ad.id, texts.code),
            false => format!("/record/ads/{}", ad.id),
        },
        political: ad.political,
        promise: None,
    }
}
