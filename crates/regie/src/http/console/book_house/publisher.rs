//! The publisher's settings.

use super::*;
use crate::t;

fn current(app: &App) -> Data {
    let mut data = Data::default();
    let catalogue = app.platform.catalogue();
    let Some(kept) = &catalogue.publisher else {
        data.set("auction_currency", "EUR");
        data.set("zone", "Europe/Paris");
        data.set("sample_ppm", "1");
        data.set("tax_rate_ppm", "20");
        return data;
    };
    let spec = &kept.spec;
    data.set("revision", kept.revision);
    data.set("name", &spec.name);
    data.set("legal_address", &spec.legal_address);
    data.set("tax_id", &spec.tax_id);
    data.set("tax_rate_ppm", percent_text(spec.tax_rate_ppm));
    data.set("auction_currency", spec.auction_currency);
    data.set("zone", spec.zone.name());
    data.tick("political_location", spec.political_location);
    data.set("label_languages", spec.label_languages.join(", "));
    data.set("page_keys", spec.page_keys.join(", "));
    data.set("blocked_categories", spec.blocked_categories.join(", "));
    data.set("sample_ppm", percent_text(spec.sample_ppm));
    data.set("auction", spec.auction.word());
    for (row, rate) in spec.rates.iter().enumerate() {
        data.set(format!("rates[{row}].currency"), rate.currency);
        data.set(format!("rates[{row}].quoted_on"), &rate.quoted_on);
        data.set(format!("rates[{row}].rate_nanos"), nanos_text(rate.rate_nanos));
    }
    data
}

/// A rate as decimal text with up to nine digits.
fn nanos_text(rate: i64) -> String {
    let text = regie_model::Nanos(i128::from(rate)).display(Currency::EUR, 9);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
fn read_rate(text: &str) -> Option<i64> {
    let (whole, part) = text.trim().split_once(['.', ',']).unwrap_or((text.trim(), ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 9 || part.len() > 9 || !digits(whole) || !digits(part) {
        return None;
    }
    whole.parse::<i64>().ok()?.checked_mul(DatedRate::PAR)?.checked_add(format!("{part:0<9}").parse().ok()?)
}

fn read(data: &mut Data, faults: &mut Faults) -> PublisherSpec {
    data.compact("rates", &["rate_nanos", "quoted_on", "currency"]);
    let mut rates = Vec::new();
    for row in 0..data.rows("rates") {
        let at = |field: &str| format!("rates[{row}].{field}");
        let rate = read_rate(data.get(&at("rate_nanos")));
        faults.when(rate.is_none(), at("rate_nanos"), "malformed", t!("booking-a-rate-such-as-1"));
        let currency = read_currency(data, &at("currency"), faults);
        rates.push(DatedRate {
            currency,
            rate_nanos: rate.unwrap_or(1),
            quoted_on: data.text(&at("quoted_on")),
        });
    }
    PublisherSpec {
        name: data.text("name"),
        legal_address: data.text("legal_address"),
        tax_id: data.text("tax_id"),
        tax_rate_ppm: read_percent(data, "tax_rate_ppm", 0, faults),
        auction_currency: read_currency(data, "auction_currency", faults),
        zone: read_zone(data, "zone", faults),
        rates,
        political_location: data.has("political_location"),
        page_keys: data.list("page_keys"),
        blocked_categories: data.list("blocked_categories"),
        label_languages: data.list("label_languages"),
        sample_ppm: read_percent(data, "sample_ppm", 10_000, faults),
        auction: AuctionKind::from_word(data.get("auction")).unwrap_or_default(),
    }
}

pub(super) async fn show(State(app): State<AppState>, caller: Caller) -> Response {
    let data = current(&app);
    render(&app, &caller, &data, &Faults::new(), None)
}
pub(super) async fn save(State(app): State<AppState>, caller: Caller, mut data: Data) -> layout::Html {
    let mut faults = Faults::new();
    let spec = read(&mut data, &mut faults);
    let command = Command::PutPublisher { revision: data.get("revision").parse().ok(), spec };
    match act::submit(&app, &caller, command, faults).await? {
        act::Sent::Done(_) => Ok(layout::go("/console/settings")),
        act::Sent::Faults(faults) => Ok(render(&app, &caller, &data, &faults, None)),
        act::Sent::Conflict => {
            let theirs = current(&app);
            data.set("revision", theirs.get("revision"));
            Ok(render(&app, &caller, &data, &Faults::new(), Some(&theirs)))
        }
    }
}

fn render(app: &AppState, caller: &Caller, data: &Data, faults: &Faults, theirs: Option<&Data>) -> Response {
    let form = Form { data, faults, theirs };
    let rates = data.rows("rates") + 1;
    let fields = html! {
        fieldset {
            legend { (t!("booking-publisher")) }
            (form.field("name", t!("words-name")).hint(t!("booking-readers-see-it-in-the")).required())
            (form.field("legal_address", t!("booking-legal-name-address-and-contact")).area(4).hint(t!("booking-on-invoices-and-at-the")))
            div class="row" { (form.field("tax_id", t!("booking-tax-number"))) (form.field("tax_rate_ppm", t!("booking-tax-rate")).amount().unit("percent")) }
        }
        fieldset {
            legend { (t!("booking-money-and-time")) }
            div class="row" {
                (form.field("auction_currency", t!("booking-auction-currency")).hint(t!("words-fixed-once-a-campaign-is")).required())
                (form.field("zone", t!("booking-time-zone-of-pages")).hint(t!("booking-such-as-europe-paris")).required())
            }
            (form.field("auction", t!("booking-places-are-sold-by")).select(AUCTIONS).hint(t!("booking-in-the-auction-tier-a")))
            h3 { (t!("booking-rates-of-other-currencies")) }
            @for row in 0..rates {
                @let at = |field: &str| format!("rates[{row}].{field}");
                div class="row" { (form.field(at("currency"), t!("words-currency"))) (form.field(at("rate_nanos"), t!("booking-worth-in-the-auction-currency")).amount()) (form.field(at("quoted_on"), t!("booking-quoted-on")).date()) }
            }
        }
        fieldset {
            legend { (t!("booking-political-ads-and-privacy")) }
            (form.field("political_location", t!("booking-country-and-region-may-be")).check().hint(t!("booking-only-after-your-own-legal")))
            (form.field("label_languages", t!("booking-label-languages-besides-english-and")).hint(t!("booking-codes-such-as-de-it")))
            (form.field("page_keys", t!("booking-keys-that-describe-the-page")).hint(t!("booking-key-values-with-these-keys")))
            (form.field("blocked_categories", t!("booking-categories-never-shown")).hint(t!("booking-separated-by-commas")))
            (form.field("sample_ppm", t!("booking-decisions-kept-for-replay")).amount().unit("percent").hint(t!("booking-political-decisions-are-always-kept")))
        }
    };
    let place = Place {
        title: t!("booking-settings"),
        nav: "/console/settings",
        to: "/console/settings".into(),
        back: "/console".into(),
        button: t!("booking-save-the-settings"),
    };
    if caller.may_book_inventory() {
        return form_page(app, caller, &place, &form, &fields);
    }
    let body = html! { p class="lead" { (t!("booking-you-may-read-these-settings")) } form { fieldset disabled { (fields) } } };
    layout::console(app, caller, &layout::Frame::new(t!("booking-settings"), "/console/settings"), &body)
}
