//! Targeting as rows of a form: what, in or not in, which values.

use super::form::{Data, Form};
use crate::{t, th};
use maud::{Markup, html};
use regie_model::{
    Faults, Zone,
    targeting::{Clause, Dimension, Op, Targeting},
};

/// Empty rows offered besides those that are filled.
const SPARE: usize = 3;

const DIMENSIONS: [(&str, &str); 16] = [
    ("site", "Site (ids)"),
    ("placement", "Placement (ids)"),
    ("country", "Country (FR)"),
    ("region", "Region (FR-IDF)"),
    ("city", "City"),
    ("language", "Language (fr)"),
    ("device", "Device (desktop, phone, tablet, tv, other)"),
    ("os", "Operating system"),
    ("browser", "Browser"),
    ("age_band", "Age band (25-34)"),
    ("hour_of_week", "Hours (mon-fri 8-18)"),
    ("page_url", "Page address (* for any)"),
    ("keyword", "Page keyword"),
    ("topic", "Page topic"),
    ("segment", "Segment (ids)"),
    ("key", "Key-value"),
];

/// Writes a targeting into a form.
pub fn fill(data: &mut Data, targeting: &Targeting) {
    for (row, clause) in targeting.clauses.iter().enumerate() {
        let at = |field: &str| format!("targeting[{row}].{field}");
        match &clause.dimension {
            Dimension::Key(key) => {
                data.set(at("dimension"), "key");
                data.set(at("key"), key);
            }
            plain => data.set(at("dimension"), plain),
        }
        data.set(at("op"), if clause.op == Op::In { "in" } else { "not_in" });
        data.set(at("values"), clause.values.join(", "));
        data.set_some(at("zone"), clause.zone.as_ref().map(Zone::name));
    }
}

/// Reads the rows; empty ones fall out.
pub fn read(data: &mut Data, faults: &mut Faults) -> Targeting {
    data.compact("targeting", &["values", "dimension"]);
    let mut targeting = Targeting::default();
    for row in 0..data.rows("targeting") {
        let at = |field: &str| format!("targeting[{row}].{field}");
        let text = match data.get(&at("dimension")) {
            "key" => format!("key:{}", data.text(&at("key"))),
            plain => plain.to_owned(),
        };
        let dimension = text.parse().unwrap_or_else(|_| {
            let why = if text.starts_with("key:") {
                t!("booking-name-the-key-letters-digits")
            } else {
                t!("booking-choose-what-is-looked-at")
            };
            faults.add(at("dimension"), "unknown", why);
            Dimension::Topic
        });
        let zone = data.text(&at("zone"));
        let parsed = Zone::parse(&zone);
        faults.when(
            !zone.is_empty() && parsed.is_none(),
            at("zone"),
            "unknown",
            t!("booking-a-time-zone-such-as"),
        );
        let op = if data.get(&at("op")) == "not_in" { Op::NotIn } else { Op::In };
        let zone = parsed.filter(|_| !zone.is_empty());
        targeting.clauses.push(Clause { dimension, op, values: data.list(&at("values")), zone });
    }
    targeting
}

/// The rows; only dimensions that are offered.
pub fn rows(form: &Form<'_>, is_offered: impl Fn(&str) -> bool) -> Markup {
    let count = form.data.rows("targeting") + SPARE;
    html! {
        fieldset {
            legend { (t!("booking-targeting")) }
            p { (t!("booking-all-conditions-must-hold-none")) }
            @for row in 0..count {
                @let at = |field: &str| format!("targeting[{row}].{field}");
                div class=(if row == 0 { "row" } else { "row rowset" }) {
                    (form.field(at("dimension"), &t!("booking-condition", row = row + 1)).select(std::iter::once(("", "none")).chain(DIMENSIONS.into_iter().filter(|(word, _)| is_offered(word)))))
                    (form.field(at("op"), t!("booking-must-be")).select([("in", t!("booking-one-of")), ("not_in", t!("booking-none-of"))]))
                    (form.field(at("values"), t!("booking-values")))
                    (form.field(at("key"), t!("booking-key")).hint(t!("booking-only-for-a-key-value")))
                    (form.field(at("zone"), t!("words-time-zone")).hint(t!("booking-only-for-hours")))
                }
            }
            p class="small muted" { (th!("booking-more-conditions-save-and-edit", value = SPARE)) }
        }
    }
}
